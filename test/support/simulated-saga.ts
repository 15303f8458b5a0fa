/**
 * A saga without Temporal: what its workflow does with the pure engine, against an outside that is simulated. Every end of
 * an attempt, word of a person, cancel and terminate is the case's choice, at any moment at which it may happen.
 */
import { isDeepStrictEqual } from 'node:util';
import { inputHash } from '../../src/core/approval';
import type { FailureInfo } from '../../src/core/failures';
import { Frontier } from '../../src/core/frontier';
import type { AgentStep, Plan } from '../../src/core/plan';
import type { ResolvedPolicy } from '../../src/core/policy';
import { type StackEntry, nextToUndo, sameEntry } from '../../src/core/saga';
import type { SagaInput } from '../../src/core/saga-input';
import { needsResume } from '../../src/core/saga-resume';
import { approvalSubject } from '../../src/core/step-inputs';
import type { TaskEvent } from '../../src/core/task-events';
import { evolve, failureEvent, restoreStep } from '../../src/core/task-fold';
import {
  type TaskState,
  INITIAL_TASK_STATE,
  goesForward,
  isUnwinding,
  mayBeCancelled,
  pivotPassed,
  stepState,
} from '../../src/core/task-state';
import { startEvents } from '../../src/core/task-projection';
import {
  answerEvents,
  answerTimer,
  isParked,
  resolvedEvent,
  timerEvents,
} from '../../src/core/task-resolving';
import { readResume } from '../../src/core/task-resume';

/** Where the case chooses. */
export interface Choices {
  readonly oneOf: <Value>(...values: readonly [Value, ...Value[]]) => Value;
  /** True about so often in a hundred. */
  readonly chance: (percent: number) => boolean;
}

/** What befalls a saga; each may be switched off. */
export interface Hazards {
  /** So many terminates, each followed by going on in a new execution. */
  readonly terminates: number;
  /** A cancel or the time limit, at any moment. */
  readonly cancels: boolean;
}

/** How it ended. `broken`: nothing needed to be gone on with after a terminate. */
export type SimulatedEnd = 'completed' | 'failed' | 'cancelled' | 'broken';

/** An undoing, as it was seen from outside: moments count up. */
export interface Undoing extends StackEntry {
  readonly from: number;
  readonly to: number;
  readonly how: 'undone' | 'failed' | 'handedBack' | 'cutOff';
}

/** When a step was first begun, as which of all, and when its last attempt was over. */
export interface Presence {
  readonly order: number;
  readonly from: number;
  readonly to: number;
}

const NO: FailureInfo = { type: 'Error', message: 'no' };
const REFUSED: FailureInfo = { type: 'Refused', message: 'no', final: true };
const NEVER_BEGAN: readonly [FailureInfo, FailureInfo, FailureInfo] = [
  { type: 'AgentUnknown', message: 'no', final: true },
  { type: 'AgentInputInvalid', message: 'no', final: true },
  { type: 'TimedOut', message: 'Timed out: SCHEDULE_TO_START' },
];
/** It acted, and what it put out is none of what it may put out. */
const SPOILT: FailureInfo = { type: 'AgentOutputInvalid', message: 'no', final: true };
const OUTCOME_UNKNOWN: FailureInfo = { type: 'OutcomeUnknown', message: 'no', final: true };

/** What stops the forward way. */
class Stopped extends Error {
  constructor(readonly why: 'failed' | 'cancelled') {
    super(why);
  }
}

class Terminated extends Error {}

type Part = { readonly kind: 'attempt' | 'parked' | 'asking'; readonly shielded: boolean };

export class SimulatedSaga {
  state: TaskState = INITIAL_TASK_STATE;
  /** All that was recorded, for whoever looks into a case. */
  readonly log: TaskEvent[] = [];
  end: SimulatedEnd | undefined;
  /** Each effect of a step that stands, by step: the outside has it once a key, and none after its undoing. */
  readonly effects = new Set<string>();
  readonly undoings: Undoing[] = [];
  readonly presence = new Map<string, Presence>();
  /** Steps of which an attempt began, so that it may have had its effect. */
  readonly began = new Set<string>();
  /** Steps of which an attempt ended in a way that does not say that no agent began it. */
  readonly mayHaveBegun = new Set<string>();
  /** What a person said of an undoing that failed. */
  readonly saidOf: { readonly step: string; readonly at: number }[] = [];
  /** Steps, or their undoing, that a person said to go on without. */
  readonly skipped = new Set<string>();
  readonly violations: string[] = [];
  /** True once `needsResume` said no, of what was cut off. */
  private readonly undone = new Set<string>();
  private readonly parts = new Map<string, Part>();
  private readonly approved = new Set<string>();
  /** Steps scheduled since something last happened, with the state before: Temporal has not heard of them yet. */
  private readonly unheard = new Map<string, TaskState>();
  private readonly cancelling = new Set<string>();
  private failed = false;
  private cancelled = false;
  private moment = 0;
  private terminates: number;

  constructor(
    input: SagaInput,
    policies: Readonly<Record<string, ResolvedPolicy>>,
    private readonly choices: Choices,
    private readonly hazards: Hazards,
  ) {
    this.terminates = hazards.terminates;
    for (const event of startEvents(input, 'saga/run', 0)) this.record(event);
    this.record({ type: 'pinned', policies });
  }

  get plan(): Plan {
    return this.state.plan ?? { steps: [] };
  }

  /** Carries it to its end, through as many executions as that takes. */
  run(): void {
    let resumed = false;
    for (;;) {
      try {
        this.execute(resumed);
        return;
      } catch (error) {
        if (!(error instanceof Terminated)) throw error;
      }
      this.cutOff();
      if (!needsResume(this.state)) {
        this.end = 'broken';
        return;
      }
      resumed = true;
    }
  }

  private execute(resumed: boolean): void {
    const snapshot = this.state;
    if (resumed) this.resume();
    try {
      if (resumed && !goesForward(snapshot)) throw new Stopped('failed');
      this.runSteps();
      this.record({ type: 'taskCompleted' });
      this.end = 'completed';
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      this.unwind();
      this.record(error.why === 'failed' ? { type: 'taskFailed', failure: NO } : { type: 'taskCancelled' });
      this.end = error.why;
    }
  }

  /** The new execution begins with what crosses as JSON. */
  private resume(): void {
    const origin = { kind: 'terminated', workflowId: 'saga', runId: 'run', at: 0 } as const;
    const resume = readResume(
      JSON.parse(JSON.stringify({ snapshot: this.state, origin, overrides: {} })) as unknown,
    );
    if (resume === undefined) throw new Error('What was terminated cannot be gone on with');
    if (!isDeepStrictEqual(resume.snapshot, this.state)) this.violate('the state does not survive JSON');
    this.failed = false;
    this.cancelled = false;
    this.parts.clear();
    this.approved.clear();
    this.cancelling.clear();
    this.unheard.clear();
    this.record({ type: 'taskResumed', ...resume });
  }

  /** What was out at the terminate ends by itself, and nobody hears of it. */
  private cutOff(): void {
    for (const [id, { kind }] of this.parts) {
      if (kind !== 'attempt') continue;
      this.mayHaveBegun.add(id);
      this.leave(id);
      this.isPresent(id);
    }
    this.record({ type: 'taskTerminated', how: this.choices.oneOf('terminated', 'timedOut') });
  }

  private runSteps(): void {
    try {
      this.runFrontier(false);
    } catch (error) {
      if (!(error instanceof Stopped) || error.why === 'failed' || !goesForward(this.state)) throw error;
      this.runFrontier(true);
    }
  }

  private runFrontier(shielded: boolean): void {
    const frontier = new Frontier(this.plan, this.state);
    const stopped = (): boolean => this.failed || (this.cancelled && !shielded);
    for (;;) {
      while (!stopped()) {
        const id = frontier.take();
        if (id === undefined) break;
        this.advance(id, frontier);
      }
      if (this.parts.size === 0) break;
      this.happen(frontier);
    }
    if (this.failed) throw new Stopped('failed');
    if (stopped()) throw new Stopped('cancelled');
  }

  /** Takes a step as far as it goes without anybody's doing. */
  private advance(id: string, frontier: Frontier): void {
    this.parts.delete(id);
    const now = stepState(this.state, id);
    switch (now.kind) {
      case 'failed':
        this.failed = true;
        return this.stopOthers();
      case 'completed':
        return frontier.complete(id);
      case 'cancelled':
        return;
      case 'parked':
        if (this.isStopped() && !this.isShielded(id)) return;
        return void this.parts.set(id, { kind: 'parked', shielded: this.isShielded(id) });
      default:
        if (this.step(id).approval === undefined || this.approved.has(id)) return this.attempt(id);
        return this.ask(id);
    }
  }

  private ask(id: string): void {
    const before = this.state;
    this.record({ type: 'approvalRequested', step: id, hash: this.hashOf(id) });
    const shielded = goesForward(before);
    if (this.isStopped() && !shielded) this.record({ type: 'approvalWithdrawn', step: id });
    else this.parts.set(id, { kind: 'asking', shielded });
  }

  private attempt(id: string): void {
    const before = this.state;
    const shielded = this.isShielded(id);
    const { agent } = this.step(id);
    if (this.undone.has(id)) this.violate(`${id} is tried after it was undone`);
    this.record({ type: 'stepScheduled', step: id, agent, term: 0 });
    if (this.isStopped() && !shielded) {
      this.state = restoreStep(this.state, id, before);
      return;
    }
    this.parts.set(id, { kind: 'attempt', shielded });
    this.unheard.set(id, before);
    this.isPresent(id);
  }

  private happen(frontier: Frontier): void {
    this.moment += 1;
    if (this.hazards.cancels && !this.cancelled && this.choices.chance(4)) return this.cancel();
    this.unheard.clear();
    if (this.mayTerminate()) this.terminate();
    const [first, ...others] = this.parts;
    if (first === undefined) return;
    const [id, { kind }] = this.choices.oneOf(first, ...others);
    if (kind === 'attempt') this.endAttempt(id);
    else if (kind === 'parked') this.resolve(id);
    else this.answer(id);
    if (!this.parts.has(id) || kind !== 'attempt' || stepState(this.state, id).kind !== 'scheduled') {
      this.advance(id, frontier);
    }
  }

  private mayTerminate(): boolean {
    return this.terminates > 0 && this.choices.chance(12);
  }

  private terminate(): never {
    this.terminates -= 1;
    throw new Terminated();
  }

  /** By a person, or by the time limit. */
  private cancel(): void {
    const limit = this.choices.chance(40);
    const heard = mayBeCancelled(this.state);
    this.record({ type: limit ? 'timeLimitReached' : 'cancelRequested' });
    // The timer asks the state first; a cancel reaches the scope in any case.
    if (limit && !heard) return;
    this.cancelled = true;
    this.stopOthers();
  }

  private stopOthers(): void {
    for (const [id, { kind, shielded }] of this.parts) {
      if (shielded) continue;
      if (kind === 'asking') this.record({ type: 'approvalWithdrawn', step: id });
      const before = this.unheard.get(id);
      if (kind !== 'attempt') this.parts.delete(id);
      else if (before === undefined) this.cancelling.add(id);
      else {
        this.parts.delete(id);
        this.state = restoreStep(this.state, id, before);
      }
    }
  }

  /** An attempt comes to its end, as it may at this point. */
  private endAttempt(id: string): void {
    this.isPresent(id);
    const pivot = this.step(id).kind === 'pivot';
    const cancelling = this.cancelling.has(id);
    const fates: [string, ...string[]] = ['completed', 'completed', 'completed'];
    if (cancelling) fates.push('cancelled', 'cancelled', 'cancelled');
    fates.push('failed', 'handedBack', 'outcomeUnknown', 'retriedInVain', 'spoilt');
    // A pivot refuses only where its effect did not happen.
    if (!pivot || !this.effects.has(id)) fates.push('refused');
    fates.push('neverBegan');
    const fate = this.choices.oneOf(...fates);
    if (fate !== 'neverBegan') this.mayHaveBegun.add(id);
    switch (fate) {
      case 'completed':
        this.affect(id);
        return this.record({ type: 'stepCompleted', step: id, output: { value: id } });
      case 'cancelled':
        this.leave(id);
        return this.record({ type: 'stepCancelled', step: id });
      case 'handedBack':
        this.leave(id);
        this.record({ type: 'stepHandedBack', step: id });
        // No worker has looked since.
        if (this.mayTerminate()) {
          this.parts.delete(id);
          this.terminate();
        }
        return this.attempt(id);
      case 'refused':
        this.began.add(id);
        if (!pivot) this.leave(id);
        return this.record(failureEvent(this.state, id, REFUSED));
      case 'retriedInVain': {
        // Of the server's own attempts the last one never began.
        this.leave(id);
        const failure = { ...this.choices.oneOf(...NEVER_BEGAN), began: true as const };
        return this.record(failureEvent(this.state, id, failure));
      }
      case 'neverBegan':
        return this.record(failureEvent(this.state, id, this.choices.oneOf(...NEVER_BEGAN)));
      case 'spoilt':
        this.affect(id);
        return this.record(failureEvent(this.state, id, SPOILT));
      default:
        this.leave(id);
        return this.record(failureEvent(this.state, id, fate === 'failed' ? NO : OUTCOME_UNKNOWN));
    }
  }

  /** An attempt that began and may have had its effect. */
  private leave(id: string): void {
    if (this.choices.chance(70)) this.began.add(id);
    else return;
    if (this.choices.chance(60)) this.affect(id);
  }

  private affect(id: string): void {
    this.began.add(id);
    if (!this.undone.has(id)) this.effects.add(id);
  }

  private resolve(id: string): void {
    const pivot = this.step(id).kind === 'pivot';
    const hows: ['retry', ...('retry' | 'skip' | 'fail')[]] = ['retry', 'retry'];
    // Of a pivot a person says what is true.
    if (!pivot || this.effects.has(id)) hows.push('skip');
    if (!pivotPassed(this.state) && (!pivot || !this.effects.has(id))) hows.push('fail');
    const how = this.choices.oneOf(...hows);
    if (how === 'skip') this.skipped.add(id);
    if (!isParked(this.state, id)) this.violate(`${id} is parked, and nobody can say so`);
    this.record(resolvedEvent(this.state, { step: id, how, note: '' }));
  }

  private answer(id: string): void {
    const answer = this.choices.oneOf('yes', 'yes', 'yes', 'no', 'none');
    const hash = this.hashOf(id);
    if (answer === 'none') for (const event of timerEvents(this.state, answerTimer(id))) this.record(event);
    else
      for (const event of answerEvents(this.state, { step: id, answer, hash, note: '' }, this.moment)) {
        this.record(event);
      }
    if (answer === 'yes') this.approved.add(id);
  }

  private unwind(): void {
    for (;;) {
      const { stack = [], compensations = [], options = {} } = this.state;
      const next = nextToUndo(stack, compensations, options.unwinding);
      if (next.length > 0) this.undoAll(next);
      else if (compensations.some(({ kind }) => kind === 'failed')) this.sayOfUndoing();
      else return;
    }
  }

  private undoAll(next: readonly StackEntry[]): void {
    const out = new Map<StackEntry, number>();
    for (const entry of next) out.set(entry, this.beginUndo(entry));
    while (out.size > 0) {
      this.moment += 1;
      if (this.mayTerminate()) {
        for (const [entry, from] of out) {
          if (this.choices.chance(50)) this.takeBack(entry);
          this.undoings.push({ ...entry, from, to: this.moment, how: 'cutOff' });
        }
        this.terminate();
      }
      if (this.state.compensations?.some(({ kind }) => kind === 'failed') && this.choices.chance(20)) {
        this.sayOfUndoing();
        continue;
      }
      const [first, ...others] = out;
      if (first === undefined) return;
      const [entry, from] = this.choices.oneOf(first, ...others);
      out.delete(entry);
      this.undoings.push({ ...entry, from, to: this.moment, how: this.endUndo(entry) });
    }
  }

  private beginUndo(entry: StackEntry): number {
    this.moment += 1;
    const known = this.state.compensations?.find((one) => sameEntry(one, entry));
    if (known?.kind === 'undone' || known?.kind === 'skipped') this.violate(`${entry.step} is undone twice`);
    if (known?.kind === 'failed') this.violate(`${entry.step} is undone before a person said so`);
    if (pivotPassed(this.state)) this.violate(`${entry.step} is undone after the pivot`);
    const completed = stepState(this.state, entry.step).kind === 'completed';
    this.record({ type: 'compensationScheduled', ...entry, outcome: completed ? 'completed' : 'unknown' });
    this.undone.add(entry.step);
    return this.moment;
  }

  private endUndo(entry: StackEntry): Undoing['how'] {
    const how = this.choices.oneOf('undone', 'undone', 'undone', 'failed', 'handedBack');
    if (how === 'undone' || this.choices.chance(50)) this.takeBack(entry);
    if (how === 'undone') this.record({ type: 'compensated', ...entry });
    if (how === 'failed') this.record({ type: 'compensationFailed', ...entry, failure: NO });
    return how;
  }

  private takeBack({ step }: StackEntry): void {
    this.effects.delete(step);
  }

  private sayOfUndoing(): void {
    this.moment += 1;
    const { compensations = [] } = this.state;
    const [first, ...others] = compensations.filter(({ kind }) => kind === 'failed');
    if (first === undefined) return;
    const { step } = this.choices.oneOf(first, ...others);
    const how = this.choices.oneOf('retry', 'retry', 'skip');
    if (how === 'skip') this.skipped.add(step);
    this.saidOf.push({ step, at: this.moment });
    if (this.state.phase.kind !== 'needsAttention')
      this.violate('a person is waited for, and nobody is told');
    this.record(resolvedEvent(this.state, { step, how, note: '' }));
  }

  private isPresent(id: string): void {
    const { from = this.moment, order = this.presence.size } = this.presence.get(id) ?? {};
    this.presence.set(id, { order, from, to: this.moment });
  }

  private isStopped(): boolean {
    return this.failed || this.cancelled;
  }

  private isShielded(id: string): boolean {
    return this.step(id).kind === 'pivot' || pivotPassed(this.state);
  }

  private step(id: string): AgentStep {
    const step = this.plan.steps.find((one) => one.id === id);
    if (step?.agent === undefined) throw new Error(`No step ${id}`);
    return step;
  }

  private hashOf(id: string): string {
    return inputHash(approvalSubject(this.state, this.step(id)));
  }

  private record(event: TaskEvent): void {
    this.log.push(event);
    const unwinding = isUnwinding(this.state);
    this.state = evolve(this.state, event);
    const crossed = JSON.parse(JSON.stringify(this.state)) as TaskState;
    if (!isDeepStrictEqual(crossed, this.state))
      this.violate(`after ${event.type} the state does not survive JSON`);
    if (unwinding && !isUnwinding(this.state)) this.violate(`${event.type} stops the undoing`);
  }

  private violate(what: string): void {
    this.violations.push(what);
  }
}
