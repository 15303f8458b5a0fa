/**
 * What a task asks of persons. A question is in the state, in the memo (by which clients find it) and, where the task
 * was started with it, in the search attribute; an answer is an update.
 */
import {
  CancellationScope,
  condition,
  sleep,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { type Answering, readAnswering } from '../core/approval';
import { crossing } from '../core/failure-info';
import { CadreError, inputInvalid } from '../core/failures';
import { canonicalJson } from '../core/json';
import { HAS_ATTRIBUTE, NEEDS_ATTENTION, NEEDS_ATTENTION_ATTRIBUTE } from '../core/names';
import { openQuestions } from '../core/task-details';
import { type TaskPhase, isUnwinding, pivotPassed, stepState } from '../core/task-state';
import {
  ASKED,
  type EndedAsking,
  type Resolving,
  answerEvents,
  answerTimer,
  askedOf,
  checkAnswer,
  isParked,
  questionAskedEvent,
  readResolving,
  resolvedEvent,
  timerEvents,
  withdrawnEvent,
} from '../core/task-resolving';
import type { TaskRecord } from './task-record';

export class Attendance {
  /** By step: when its question is over, in ms since 1970. */
  private readonly deadlines = new Map<string, number>();

  /** `own`: the log knows a step only once it starts, so the question says what it is. */
  constructor(
    private readonly task: TaskRecord,
    private readonly options: { readonly own?: boolean } = {},
  ) {}

  /** Resolves when a person has said what becomes of the step, or of undoing it. */
  async resolution(step: string): Promise<void> {
    this.show();
    try {
      await condition(() => !isParked(this.task.state, step));
    } finally {
      this.show();
    }
  }

  /**
   * Asks whether `step` may run on the input of `hash`; resolves to true for a yes. Withdraws the question where it is
   * cancelled.
   */
  approval(step: string, hash: string, answerWithin: number | undefined): Promise<boolean> {
    this.task.record({ type: 'approvalRequested', step, hash });
    return this.answered(step, untilOf(answerWithin));
  }

  /** Records that the agent of `step` asks a person. */
  ask(step: string, ended: EndedAsking): void {
    this.task.record(questionAskedEvent(step, ended, untilOf(ended.asked.answerWithin)));
    this.show();
  }

  /**
   * Resolves when what `step` asks is answered or its time is over, at `until` in ms since 1970: to true where it may run.
   * Resolves to false once `later`, where it still asks. Withdraws the question where it is cancelled.
   */
  async answered(step: string, until: number | undefined, later = (): boolean => false): Promise<boolean> {
    this.show();
    const { kind: asks } = stepState(this.task.state, step);
    const asking = (): boolean => stepState(this.task.state, step).kind === asks;
    const timer = new CancellationScope();
    if (until !== undefined) {
      this.deadlines.set(step, until);
      void timer.run(() => this.limit(step, until)).catch(() => undefined);
    }
    try {
      await condition(() => !asking() || later());
    } catch (error) {
      if (asking()) this.task.record(withdrawnEvent(this.task.state, step));
      throw error;
    } finally {
      timer.cancel();
      this.deadlines.delete(step);
      this.show();
    }
    return stepState(this.task.state, step).kind === 'waiting';
  }

  /** Throws InputInvalid unless `candidate` is a resolution, NotParked unless its step waits for one. */
  checkResolving(candidate: unknown): Resolving {
    return crossing(() => {
      const resolving = readResolving(candidate);
      const { state } = this.task;
      const { step, how } = resolving;
      if (!isParked(state, step)) {
        const parked = openQuestions(state).filter(({ kind }) => kind === 'parked');
        const others =
          parked.length === 0 ? 'nothing does' : `${parked.map((one) => one.step).join(', ')} does`;
        throw new CadreError('NotParked', `The step "${step}" does not wait for a person; ${others}`);
      }
      if (how === 'fail' && (isUnwinding(state) || pivotPassed(state))) {
        throw inputInvalid('`how`', 'retry or skip, since it can fail no more', how);
      }
      return resolving;
    });
  }

  /** Says what is to become of what is parked. */
  resolve(candidate: unknown): Resolving {
    const resolving = this.checkResolving(candidate);
    this.task.record(resolvedEvent(this.task.state, resolving));
    return resolving;
  }

  /** Throws InputInvalid unless `candidate` is an answer that may be given, NotAsked unless it is to what is asked now. */
  checkAnswering(candidate: unknown): Answering {
    return crossing(() => {
      const answering = readAnswering(candidate);
      const { step } = answering;
      // A timer that has fired comes first in history; of a question of an earlier run there may be none yet.
      const asks = stepState(this.task.state, step);
      const until = this.deadlines.get(step) ?? (asks.kind === 'asking' ? asks.until : undefined);
      if (until !== undefined && Date.now() >= until) {
        throw new CadreError('NotAsked', `The time to answer what the step "${step}" asks is over`);
      }
      checkAnswer(this.task.state, answering);
      return answering;
    });
  }

  /** Answers what is asked. */
  answer(candidate: unknown): Answering {
    const answering = this.checkAnswering(candidate);
    for (const event of answerEvents(this.task.state, answering, Date.now())) this.task.record(event);
    return answering;
  }

  private async limit(step: string, until: number): Promise<void> {
    const summary = answerTimer(step);
    await sleep(Math.max(0, until - Date.now()), { summary });
    for (const event of timerEvents(this.task.state, summary)) this.task.record(event);
  }

  /** Brings memo and search attribute up to the state. */
  private show(): void {
    const { phase } = this.task.state;
    const waits = isWaiting(phase) ? phase.step : null;
    const asked = askedOf(this.task.state, this.options);
    const { memo = {} } = workflowInfo();
    const changes = {
      ...((memo[NEEDS_ATTENTION] ?? null) === waits ? {} : { [NEEDS_ATTENTION]: waits }),
      ...(canonicalJson(memo[ASKED] ?? {}) === canonicalJson(asked) ? {} : { [ASKED]: asked }),
    };
    if (Object.keys(changes).length === 0) return;
    upsertMemo(changes);
    if (memo[HAS_ATTRIBUTE] !== true) return;
    const value = isWaiting(phase) ? phase.kind : 'no';
    upsertSearchAttributes([{ key: NEEDS_ATTENTION_ATTRIBUTE, value }]);
  }
}

/** When a time that begins now is over, in ms since 1970. */
function untilOf(within: number | undefined): number | undefined {
  return within === undefined ? undefined : Date.now() + within;
}

/** True where a step of it waits for a person. */
function isWaiting(phase: TaskPhase): phase is Extract<TaskPhase, { kind: (typeof WAITING)[number] }> {
  return WAITING.some((kind) => kind === phase.kind);
}

const WAITING = ['needsAttention', 'awaitingApproval', 'awaitingAnswer'] as const;
