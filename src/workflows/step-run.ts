/**
 * Carries one agent's step to its end: asks for approval, has the agent try, and waits for a person where its agent asks
 * or the step is parked. Every change is an event, recorded where history gets the same fact.
 */
import { CancellationScope, condition, isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import { APPROVAL_VALID_FOR, inputHash } from '../core/approval';
import { isAsking, readAsking } from '../core/asking';
import { afterRefusal, isRefusal, refusalTimer } from '../core/breaker/refusal';
import { failureDetails, failureInfo } from '../core/failure-info';
import { type FailureInfo, isHandedBack } from '../core/failures';
import type { AgentStep } from '../core/plan';
import { approvalSubject, stepInputs } from '../core/step-inputs';
import {
  type ActOutcome,
  type ActRequest,
  type HandedBack,
  actEvents,
  readHandedBack,
} from '../core/task-activities';
import { failureEvent, refusalEvents } from '../core/task-fold';
import {
  type StepState,
  type TaskState,
  agentOf,
  answersTo,
  goesForward,
  isUndoable,
  pivotPassed,
  planStep,
  resolutionsOf,
  stepState,
} from '../core/task-state';
import { usageField } from '../core/usage';
import { callAgent } from './agent-call';
import type { Attendance } from './attendance';
import type { TaskRecord } from './task-record';

/** The places of the steps that are under way: one that waits for a breaker leaves its own to others. */
export interface Places {
  leave(): void;
  /** Takes a place where one is free. */
  tryEnter(): boolean;
  /** Takes a place whether or not one is free, for what asks for no activity any more. */
  enter(): void;
}

export class StepRun {
  /** The output, where the state has only its reference and the step's agent was asked to return it. */
  returned: unknown;
  /** The last yes: to which input, and until when it holds. */
  private approved: { hash: string; until: number } | undefined;
  /** What the last attempt left, where its worker stopped. */
  private handedBack: HandedBack | undefined;
  /** The refusal that it has waited for. */
  private heldBy: StepState | undefined;

  /** An output of more bytes than `inlineMaximum` goes to the artifact store. */
  constructor(
    private readonly task: TaskRecord,
    private readonly attendance: Attendance,
    private readonly step: AgentStep,
    private readonly inlineMaximum: number,
    /** Of a step that no plan has. */
    private readonly own?: Pick<ActRequest, 'added' | 'returnMaximum' | 'madeByCode'>,
    /** Absent where steps side by side are not counted. */
    private readonly places?: Places,
    /** Whether another agent is to try after that failure, which is then the state's. Default: none. */
    private readonly assignAnew?: (failure: FailureInfo) => Promise<boolean> | false,
  ) {
    // How much of its wait was left when an earlier run ended the breaker knows better.
    const now = this.now();
    if (now.kind === 'refused') this.heldUntilNow(now);
  }

  /**
   * Resolves when the step is completed, was cancelled (undefined both), or has failed for good (with what). Rejects
   * with the cancellation where it had not begun.
   */
  async execute(): Promise<FailureInfo | undefined> {
    for (;;) {
      const now = this.now();
      if (now.kind === 'failed') {
        if (!(await this.assignAnew?.(now.failure))) return now.failure;
        continue;
      }
      if (now.kind === 'waiting' && now.handedBack !== undefined) this.handedBack = now.handedBack;
      if (now.kind === 'completed' || now.kind === 'cancelled') return undefined;
      if (now.kind === 'parked') {
        await this.unlessForward(() => this.attendance.resolution(this.step.id));
      } else if (now.kind === 'asking') {
        // The next run goes on from here.
        if (!(await this.inPeace(() => this.answered(now)))) return undefined;
      } else if (now.kind === 'refused' && this.heldBy !== now) {
        await this.inPeace(() => this.hold(now));
        // The next run goes on from here.
        if (this.goesOnLater()) return undefined;
      } else if (this.step.approval === undefined || (await this.mayRun())) {
        // A pivot's attempt heeds no cancel: one that came while another agent was asked first is heeded here.
        if (this.isCancelled()) await CancellationScope.current().cancelRequested;
        const { before, historyLength } = this.begin();
        try {
          this.succeeded(await this.unlessForward(() => this.call()));
        } catch (error) {
          this.ended(error, before, historyLength);
        }
      }
    }
  }

  private now() {
    return stepState(this.task.state, this.step.id);
  }

  /** A pivot, and what comes after one, is not cut off: no direction would be safe then. */
  private unlessForward<Result>(work: () => Promise<Result>): Promise<Result> {
    const forward = this.step.kind === 'pivot' || pivotPassed(this.task.state);
    return forward ? CancellationScope.nonCancellable(work) : work();
  }

  /** Asks for approval, where the step wants one. */
  private mayRun(): Promise<boolean> {
    return this.inPeace(() => this.isApproved());
  }

  /** Nothing cuts off what is before an attempt at what may have happened. */
  private inPeace<Result>(work: () => Promise<Result>): Promise<Result> {
    return goesForward(this.task.state) ? CancellationScope.nonCancellable(work) : work();
  }

  private isCancelled(): boolean {
    return CancellationScope.current().consideredCancelled && !goesForward(this.task.state);
  }

  /** Waits for the breaker that refused it, or until the task is to go on in its next run. */
  private async hold(refused: StepState & { kind: 'refused' }): Promise<void> {
    this.heldUntilNow(refused);
    // A checkpoint stands in the state while it waits, so that not all steps may wait at once.
    const places = refused.checkpoint === undefined ? this.places : undefined;
    places?.leave();
    let entered = false;
    const timer = new CancellationScope();
    const summary = refusalTimer(this.step.id, refused);
    try {
      await timer.run(() =>
        Promise.race([sleep(refused.retryAfter, { summary }), condition(() => this.goesOnLater())]),
      );
      timer.cancel();
      if (places !== undefined && !this.goesOnLater()) {
        await condition(() => (entered = places.tryEnter()));
      }
    } finally {
      if (!entered) places?.enter();
    }
  }

  /** What the next attempt gets back: a person who is asked again may come in between. */
  private heldUntilNow(refused: StepState & { kind: 'refused' }): void {
    this.heldBy = refused;
    this.handedBack = afterRefusal(refused);
  }

  /** Waits for the answer to what its agent asks, or until the task is to go on in its next run. */
  private answered({ until }: StepState & { kind: 'asking' }): Promise<boolean> {
    return this.attendance.answered(this.step.id, until, () => this.goesOnLater());
  }

  private goesOnLater(): boolean {
    return this.own === undefined && workflowInfo().continueAsNewSuggested;
  }

  /** Asks for approval where the step wants one and has none that still holds. */
  private async isApproved(): Promise<boolean> {
    const { id, approval } = this.step;
    if (approval === undefined) return true;
    this.addToPlan();
    const hash = inputHash(approvalSubject(this.task.state, this.step));
    if (this.approved?.hash === hash && Date.now() < this.approved.until) return true;
    if (!(await this.attendance.approval(id, hash, approval.answerWithin))) return false;
    this.approved = { hash, until: Date.now() + (approval.validFor ?? APPROVAL_VALID_FOR) };
    return true;
  }

  private agent(): string {
    return agentOf(this.task.state, this.step) ?? this.step.agent;
  }

  /** Where the log first reads of it. */
  private addToPlan(): void {
    if (planStep(this.task.state, this.step.id) === undefined) {
      this.task.record({ type: 'stepAdded', step: this.step });
    }
  }

  /** Records that an attempt begins. Returns what was before, and how long the history was. */
  private begin(): { before: TaskState; historyLength: number } {
    const before = this.task.state;
    this.addToPlan();
    this.task.record({
      type: 'stepScheduled',
      step: this.step.id,
      agent: this.agent(),
      term: this.task.state.term,
    });
    return { before, historyLength: workflowInfo().historyLength };
  }

  private call(): Promise<ActOutcome> {
    const { id, instruction } = this.step;
    const agent = this.agent();
    return callAgent(this.task.state, this.step, {
      agent,
      envelope: this.task.envelope(id, 'act'),
      activityId: id,
      instruction,
      request: this.request(agent),
    });
  }

  private succeeded(outcome: ActOutcome): void {
    this.returned = outcome.returned;
    for (const event of actEvents(this.step.id, outcome)) this.task.record(event);
  }

  /** Records how an attempt ended that gave nothing. Throws the cancellation of one that never began. */
  private ended(error: unknown, before: TaskState, historyLength: number): void {
    const { id } = this.step;
    const failure = failureInfo(error);
    const asked = isAsking(failure) ? readAsking(failureDetails(error)) : undefined;
    if (asked !== undefined) this.attendance.ask(id, { agent: this.agent(), asked, ...usageField(failure) });
    else if (isHandedBack(failure)) {
      this.task.record({ type: 'stepHandedBack', step: id });
      this.handedBack = readHandedBack(failureDetails(error));
    } else if (isRefusal(failure)) {
      const details = failureDetails(error);
      for (const event of refusalEvents(this.task.state, id, this.agent(), failure, details)) {
        this.task.record(event);
      }
    } else if (!isCancellation(error)) {
      this.task.record(failureEvent(this.task.state, id, failure));
    } else if (workflowInfo().historyLength === historyLength) {
      // Cancelled in the workflow task that scheduled it: Temporal never heard of it, so neither does the state.
      this.task.restore(id, before);
      throw error;
    } else this.task.record({ type: 'stepCancelled', step: id });
  }

  private request(agent: string): ActRequest {
    const { handedBack } = this;
    this.handedBack = undefined;
    const { state } = this.task;
    const { id } = this.step;
    const resolutions = resolutionsOf(state, id);
    const answers = answersTo(state, id);
    return {
      ...stepInputs(state, this.step),
      inlineMaximum: this.inlineMaximum,
      ...(isUndoable(state, { step: id, agent }) ? { undoable: true } : {}),
      ...this.own,
      ...(resolutions === 0 ? {} : { resolutions }),
      ...(answers.length === 0 ? {} : { answers }),
      ...(handedBack === undefined ? {} : { handedBack }),
    };
  }
}
