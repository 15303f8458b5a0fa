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
import { isUnwinding, pivotPassed, stepState } from '../core/task-state';
import {
  ASKED,
  type Resolving,
  answerEvents,
  approvalTimer,
  askedOf,
  isParked,
  readResolving,
  resolvedEvent,
  timerEvents,
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
  async approval(step: string, hash: string, answerWithin: number | undefined): Promise<boolean> {
    this.task.record({ type: 'approvalRequested', step, hash });
    this.show();
    const asking = (): boolean => stepState(this.task.state, step).kind === 'awaitingApproval';
    const timer = new CancellationScope();
    if (answerWithin !== undefined) {
      this.deadlines.set(step, Date.now() + answerWithin);
      void timer.run(() => this.limit(step, answerWithin)).catch(() => undefined);
    }
    try {
      await condition(() => !asking());
    } finally {
      timer.cancel();
      this.deadlines.delete(step);
      if (asking()) this.task.record({ type: 'approvalWithdrawn', step });
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

  /** Throws InputInvalid unless `candidate` is an answer, NotAsked unless it answers what is asked now. */
  checkAnswering(candidate: unknown): Answering {
    return crossing(() => {
      const answering = readAnswering(candidate);
      const { step, hash } = answering;
      const asked = stepState(this.task.state, step);
      // A timer that has fired comes first in history.
      const over = Date.now() >= (this.deadlines.get(step) ?? Infinity);
      if (asked.kind !== 'awaitingApproval' || over) {
        throw new CadreError('NotAsked', `The step "${step}" does not ask for approval: ${asked.kind}`);
      }
      if (hash === asked.hash) return answering;
      throw new CadreError(
        'NotAsked',
        `The step "${step}" would run on the input ${asked.hash}, not on ${hash}: look at it again`,
      );
    });
  }

  /** Says yes or no to what is asked. */
  answer(candidate: unknown): Answering {
    const answering = this.checkAnswering(candidate);
    for (const event of answerEvents(this.task.state, answering)) this.task.record(event);
    return answering;
  }

  private async limit(step: string, answerWithin: number): Promise<void> {
    const summary = approvalTimer(step);
    await sleep(answerWithin, { summary });
    for (const event of timerEvents(this.task.state, summary)) this.task.record(event);
  }

  /** Brings memo and search attribute up to the state. */
  private show(): void {
    const { phase } = this.task.state;
    const waits = phase.kind === 'needsAttention' || phase.kind === 'awaitingApproval' ? phase.step : null;
    const asked = askedOf(this.task.state, this.options);
    const { memo = {} } = workflowInfo();
    const changes = {
      ...((memo[NEEDS_ATTENTION] ?? null) === waits ? {} : { [NEEDS_ATTENTION]: waits }),
      ...(canonicalJson(memo[ASKED] ?? {}) === canonicalJson(asked) ? {} : { [ASKED]: asked }),
    };
    if (Object.keys(changes).length === 0) return;
    upsertMemo(changes);
    if (memo[HAS_ATTRIBUTE] !== true) return;
    const value = phase.kind === 'needsAttention' || phase.kind === 'awaitingApproval' ? phase.kind : 'no';
    upsertSearchAttributes([{ key: NEEDS_ATTENTION_ATTRIBUTE, value }]);
  }
}
