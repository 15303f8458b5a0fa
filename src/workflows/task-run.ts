/**
 * One run of a task or of a saga. Owns the order of things: plan, then each step when its needs are done, then the
 * result. What a step does is the activities'; what an event means is `task-events.ts`'s.
 *
 * 1. Every change of state is an event, recorded where history gets the same fact.
 * 2. No step starts while {@link STEPS_IN_FLIGHT} activities are out, so that what one workflow task sends stays
 *    under Temporal's 4 MB. One that waits for a breaker is not counted.
 * 3. After a failure, a cancel or the suggestion to continue as new no step starts; those in flight are
 *    waited for (cancelled first, in the former two cases).
 * 4. Once a pivot is done neither a failure nor a cancel stops it.
 * 5. Who plans, assigns, decides votes and makes a task's result is the leader; see `on-leader.ts`. A saga has none.
 */
import { CancellationScope, continueAsNew, isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import { failureInfo } from '../core/failure-info';
import { CadreError, type FailureInfo, type FailureType } from '../core/failures';
import { Frontier } from '../core/frontier';
import {
  type AggregateOutcome,
  type AggregateRequest,
  type AssignOutcome,
  type AssignRequest,
  type PlanOutcome,
  type PlanRequest,
  aggregateEvents,
  assignEvents,
  planEvents,
} from '../core/leader-work';
import { AGGREGATE_STEP, PLAN_STEP } from '../core/names';
import {
  type AgentStep,
  type Plan,
  type Step,
  type VoteStep,
  agentsOf,
  inlineMaximumBytes,
  kindProblem,
  stepAgents,
} from '../core/plan';
import type { Resume } from '../core/resume';
import { neverBegan } from '../core/saga';
import { parseSagaInput } from '../core/saga-input';
import { quietAt } from '../core/saga-resume';
import { stepInputs } from '../core/step-inputs';
import {
  type TaskResult,
  type TaskState,
  actorOf,
  assignmentOf,
  isGivenUp,
  policyOf,
  finalOutputs,
  goesForward,
  pivotPassed,
  resultOf,
  stepState,
} from '../core/task-state';
import { parseTaskInput } from '../core/task-input';
import { startEvents, taskRoot } from '../core/task-projection';
import { readResume } from '../core/task-resume';
import { ballotStep } from '../core/vote';
import { callAgent } from './agent-call';
import { Attendance } from './attendance';
import { claimLock, giveLockBack } from './claim';
import { endOf, timeLimitReached } from './ending';
import { onLeader } from './on-leader';
import { pinPolicies } from './pin';
import { remember } from './remembering';
import { type Places, StepRun } from './step-run';
import { TaskRecord } from './task-record';
import { begunAt, startTimeLimit } from './time-limit';
import { undoGivenUp, unwind } from './unwinding';
import { VoteRun } from './vote-run';

const STEPS_IN_FLIGHT = 100;
/** How often a step that failed for good may be given to yet another agent. */
const ASSIGNMENTS_MAXIMUM = 2;

export class TaskRun {
  private readonly task = new TaskRecord();
  /** Asks persons, and hears them. */
  readonly attendance = new Attendance(this.task);
  /** What leads to the result; undoing is outside of it. */
  private readonly forward = new CancellationScope();
  private inFlight = 0;
  /** Steps that wait for a breaker, and leave their places to others. */
  private held = 0;
  private readonly places: Places = {
    leave: () => {
      this.inFlight -= 1;
      this.held += 1;
      this.wake();
    },
    tryEnter: () => {
      if (this.inFlight >= STEPS_IN_FLIGHT) return false;
      this.places.enter();
      return true;
    },
    enter: () => {
      this.inFlight += 1;
      this.held -= 1;
    },
  };
  private failed: { step: Step; failure: FailureInfo } | undefined;
  private overdue = false;
  /** Has the loop of {@link runFrontier} look again: a place is free, a step has what it needs, or one has failed. */
  private wake: () => void = () => undefined;

  /** `led`: by a leader, who plans and makes the result; else the input has all steps. */
  constructor(private readonly led: boolean) {}

  get state(): TaskState {
    return this.task.state;
  }

  /** Carries the task to its end. Returns its result, continues as new, or throws what ends the workflow. */
  async execute(start: unknown): Promise<TaskResult> {
    let stopTimer: (() => void) | undefined;
    try {
      const given = this.begin(start);
      stopTimer = startTimeLimit(this.task, () => this.timeIsOver());
      await this.forward.run(() => this.goForward(start, given));
    } catch (error) {
      const reason = this.overdue && isCancellation(error) ? timeLimitReached(this.state) : error;
      await unwind(this.task, this.attendance, failureInfo(reason));
      if (this.state.locked) await giveLockBack(this.task);
      await remember(this.task);
      throw endOf(this.task, reason);
    } finally {
      stopTimer?.();
    }
    if (this.unfinished()) return this.continueAsNew();
    // Where there is nothing to do, nothing is awaited: each promise costs a workflow about 0.1 ms.
    if (this.state.stack !== undefined) await undoGivenUp(this.task, this.attendance);
    if (this.state.locked) await giveLockBack(this.task);
    const remembering = remember(this.task);
    if (remembering !== undefined) await remembering;
    this.task.record({ type: 'taskCompleted' });
    return resultOf(this.state);
  }

  /** Returns the caller's own plan where there is one. */
  private begin(start: unknown): Plan | undefined {
    CancellationScope.current().cancelRequested.catch(() => this.task.record({ type: 'cancelRequested' }));
    const { workflowId, firstExecutionRunId, continuedFromExecutionRunId } = workflowInfo();
    const root = taskRoot(workflowId, firstExecutionRunId, continuedFromExecutionRunId);
    for (const event of startEvents(start, root, begunAt())) this.task.record(event);
    if (readResume(start) !== undefined) return undefined;
    if (this.led) return parseTaskInput(start).plan;
    parseSagaInput(start);
    return undefined;
  }

  private async goForward(start: unknown, given: Plan | undefined): Promise<void> {
    const resume = readResume(start);
    if (resume?.origin.kind === 'terminated') await this.afterTerminate(resume);
    if (this.state.options?.lock !== undefined) await claimLock(this.task);
    if (!this.led || resume?.origin.kind === 'forked') await this.pin();
    else if (this.state.plan === undefined) await this.makePlan(given);
    if (this.state.plan !== undefined) await this.runSteps(this.state.plan);
    if (this.led && !this.unfinished()) await this.unlessForward(() => this.aggregate());
  }

  /** Waits until nothing of the terminated execution can be running. Throws where what it did is to be undone. */
  private async afterTerminate(resume: Resume<TaskState>): Promise<void> {
    const wait = quietAt(resume) - Date.now();
    const summary = 'time limit of what was running at the terminate';
    if (wait > 0) await CancellationScope.nonCancellable(() => sleep(wait, { summary }));
    if (goesForward(resume.snapshot)) return;
    const { workflowId } = resume.origin;
    throw new CadreError('TerminatedBefore', `${workflowId} was terminated; what it had done is undone`);
  }

  /** Learns the policies of a saga's agents. */
  private async pin(): Promise<void> {
    const { plan } = this.state;
    const names = new Set((plan?.steps ?? []).flatMap(agentsOf));
    const agents = [...names].filter((agent) => policyOf(this.state, agent) === undefined);
    if (agents.length > 0) await pinPolicies(this.task, { agents });
    const problem = kindProblem(plan, this.state.policies);
    if (problem !== undefined) throw new CadreError('PlanInvalid', problem.message, { details: [problem] });
  }

  private timeIsOver(): void {
    if (this.state.phase.kind !== 'cancelling') return;
    this.overdue = true;
    this.forward.cancel();
  }

  private async makePlan(given: Plan | undefined): Promise<void> {
    const { goal, docs } = this.state;
    const request: PlanRequest = {
      goal,
      ...(docs === undefined ? {} : { docs }),
      ...(given === undefined ? {} : { plan: given }),
    };
    await onLeader<PlanRequest, PlanOutcome>(this.task, {
      work: 'plan',
      step: PLAN_STEP,
      activityId: PLAN_STEP,
      summary: given === undefined ? `planner: ${goal}` : 'check the given plan',
      request,
      requested: (term) => ({ type: 'planRequested', term }),
      succeeded: planEvents,
      failed: (failure) => ({ type: 'planFailed', failure }),
    });
  }

  private async aggregate(): Promise<void> {
    const { goal } = this.state;
    await onLeader<AggregateRequest, AggregateOutcome>(this.task, {
      work: 'aggregate',
      step: AGGREGATE_STEP,
      activityId: AGGREGATE_STEP,
      summary: 'make the result',
      request: { goal, outputs: finalOutputs(this.state) },
      requested: (term) => ({ type: 'aggregateRequested', term }),
      succeeded: aggregateEvents,
      failed: (failure) => ({ type: 'aggregateFailed', failure }),
    });
  }

  /** A pivot that may be done, and what comes after it, is carried to its end, whatever is cancelled. */
  private async runSteps(plan: Plan): Promise<void> {
    try {
      await this.runFrontier(plan);
    } catch (error) {
      if (!isCancellation(error) || !goesForward(this.state)) throw error;
      await CancellationScope.nonCancellable(() =>
        CancellationScope.cancellable(() => this.runFrontier(plan)),
      );
    }
  }

  private unlessForward<Result>(work: () => Promise<Result>): Promise<Result> {
    return pivotPassed(this.state) ? CancellationScope.nonCancellable(work) : work();
  }

  /** Cancels the scope that it runs in where a step fails. */
  private async runFrontier(plan: Plan): Promise<void> {
    const scope = CancellationScope.current();
    const frontier = new Frontier(plan, this.state);
    const steps = new Map(plan.steps.map((step) => [step.id, step]));
    const inlineMaximum = inlineMaximumBytes(plan);
    for (;;) {
      while (this.mayStart(scope)) {
        const step = steps.get(frontier.take() ?? '');
        if (step === undefined) break;
        const weight = stepAgents(step).length;
        this.inFlight += weight;
        const completed = (): void => frontier.complete(step.id);
        this.runStep(step, inlineMaximum, completed, () => (this.inFlight -= weight));
      }
      if (this.inFlight + this.held === 0) break;
      if (this.mustStop(scope)) scope.cancel();
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    if (scope.consideredCancelled && this.failed === undefined) await scope.cancelRequested;
    if (this.failed !== undefined) throw this.stepFailure(this.failed);
  }

  /** True where a step has failed and the others do not know yet. */
  private mustStop(scope: CancellationScope): boolean {
    return this.failed !== undefined && !scope.consideredCancelled;
  }

  private mayStart(scope: CancellationScope): boolean {
    return (
      this.inFlight < STEPS_IN_FLIGHT &&
      this.failed === undefined &&
      !scope.consideredCancelled &&
      !workflowInfo().continueAsNewSuggested
    );
  }

  /** How the step ended is in the state. `completed` is called as soon as it has its output, `ended` at its end. */
  private runStep(step: Step, inlineMaximum: number, completed: () => void, ended: () => void): void {
    const over = (failure?: FailureInfo): void => {
      ended();
      if (failure !== undefined) this.failed ??= { step, failure };
      if (step.vote === undefined && stepState(this.state, step.id).kind === 'completed') completed();
      this.wake();
    };
    const run =
      step.vote === undefined
        ? this.runAgent(step, inlineMaximum)
        : this.runVote(step, inlineMaximum, completed);
    run.then(over, (error: unknown) => over(isCancellation(error) ? undefined : failureInfo(error)));
  }

  /** Has agents try the step until one succeeds, it is cancelled, or fails for good: the leader names no other. */
  private runAgent(step: AgentStep, inlineMaximum: number): Promise<FailureInfo | undefined> {
    const assignAnew = (failure: FailureInfo): Promise<boolean> | false =>
      this.led && mayBeAssigned(step, failure) && this.assignAnew(step, failure);
    const { task, attendance, places } = this;
    return new StepRun(task, attendance, step, inlineMaximum, undefined, places, assignAnew).execute();
  }

  private async runVote(step: VoteStep, inlineMaximum: number, completed: () => void): Promise<undefined> {
    const vote = new VoteRun(this.task, step, (agent, voter, handedBack) => {
      const id = ballotStep(step.id, voter);
      const { choices } = step.vote;
      return callAgent(this.state, step, {
        agent,
        envelope: this.task.envelope(id, 'act'),
        activityId: id,
        instruction: step.instruction,
        request: {
          ...stepInputs(this.state, step),
          inlineMaximum,
          ballot: choices === undefined ? {} : { choices },
          ...(handedBack === undefined ? {} : { handedBack }),
        },
      });
    });
    const decided = (): void => {
      completed();
      this.wake();
    };
    const failed = (failure: FailureInfo): void => {
      this.failed ??= { step, failure };
      this.wake();
    };
    await this.unlessForward(() => vote.execute(decided, failed));
  }

  /** True where the leader gave the step to another agent. */
  private async assignAnew(
    { id, instruction, input, agent }: AgentStep,
    failure: FailureInfo,
  ): Promise<boolean> {
    const last = assignmentOf(this.state, id);
    const tried = last === undefined ? [agent] : [...last.before, last.agent];
    if (tried.length - (last?.fellBack ?? 0) > ASSIGNMENTS_MAXIMUM || this.failed !== undefined) return false;
    const step = { id, instruction, ...(input === undefined ? {} : { input }) };
    try {
      await onLeader<AssignRequest, AssignOutcome>(this.task, {
        work: 'assign',
        step: id,
        activityId: `${id}/assign`,
        summary: `${id}: another agent than ${tried.join(', ')}`,
        request: { goal: this.state.goal, step, tried, failure },
        requested: (term) => ({ type: 'assignRequested', step: id, term }),
        succeeded: (outcome, state) => assignEvents(id, outcome, state),
        failed: (reason) => ({ type: 'assignFailed', step: id, failure: reason }),
      });
    } catch (error) {
      if (isCancellation(error) && this.failed === undefined) throw error;
      return false;
    }
    return this.failed === undefined && stepState(this.state, id).kind === 'waiting';
  }

  /** A budget that is reached ends a task as that. */
  private stepFailure({ step, failure }: { step: Step; failure: FailureInfo }): CadreError {
    const steps = this.state.plan?.steps ?? [];
    const ids = (kind: string) =>
      steps.filter(({ id }) => stepState(this.state, id).kind === kind).map(({ id }) => id);
    const actor = step.vote === undefined ? actorOf(this.state, step) : 'vote';
    const type = failure.short === undefined ? 'StepFailed' : 'BudgetReached';
    return new CadreError(type, `Step "${step.id}" (${actor}) failed: ${failure.message}`, {
      details: {
        ...failure.short,
        failed: { step: step.id, agent: actor, failure },
        finished: ids('completed'),
        cancelled: ids('cancelled'),
        notStarted: ids('waiting'),
      },
    });
  }

  private unfinished(): boolean {
    const { steps } = this.state;
    return Object.entries(steps).some(([id, { kind }]) => kind !== 'completed' && !isGivenUp(this.state, id));
  }

  private continueAsNew(): Promise<never> {
    const { workflowId, runId } = workflowInfo();
    this.task.record({ type: 'continuedAsNew' });
    const resume: Resume<TaskState> = {
      snapshot: this.state,
      origin: { kind: 'continuedAsNew', workflowId, runId },
      overrides: {},
    };
    return continueAsNew<(start: Resume<TaskState>) => Promise<TaskResult>>(resume);
  }
}

/**
 * Another agent helps neither against what a person said, or did not say in time, nor against a budget, nor where an effect
 * may have happened that is not undone.
 */
function mayBeAssigned({ kind }: AgentStep, failure: FailureInfo): boolean {
  return (kind !== 'pivot' || neverBegan(failure)) && !BEYOND_AGENTS.some((type) => type === failure.type);
}

const BEYOND_AGENTS: readonly FailureType[] = [
  'ApprovalRefused',
  'ApprovalTimedOut',
  'QuestionExpired',
  'OutcomeUnknown',
  'BudgetReached',
];
