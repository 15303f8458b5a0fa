/**
 * What became of a saga as a ladder: each step going up, each compensation coming down. Projected from the log; what an
 * event means for the saga is `task-events.ts`'s.
 */
import { idempotencyKey } from './envelope';
import type { FailureInfo } from './failures';
import type { StepKind, StepOutcome } from './saga';
import { evolve } from './task-fold';
import { type TaskState, INITIAL_TASK_STATE, actorOf, planStep, stepState } from './task-state';
import type { LoggedTaskEvent } from './task-projection';

/** A step that was begun, or asks whether it may be; or the undoing of one. */
export interface Rung {
  readonly direction: 'up' | 'down';
  readonly step: string;
  /** Who did the step, or was about to. Of a vote how many vote. */
  readonly agent: string;
  readonly kind?: StepKind;
  readonly state:
    | 'waiting'
    | 'awaitingApproval'
    | 'asking'
    | 'running'
    | 'completed'
    | 'failed'
    | 'parked'
    | 'skipped'
    | 'cancelled'
    | 'undone';
  /** What is known of the step that is undone. */
  readonly outcome?: StepOutcome;
  /** As far as history tells: of an activity that runs it does not. */
  readonly attempts: number;
  /**
   * Milliseconds since 1970. Absent where it was begun in an execution that this one goes on from, or was not begun.
   */
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** Under which the outside world knows it; a vote has none. */
  readonly key?: string;
  /** Of the last end that was one. */
  readonly failure?: FailureInfo;
  /** Why a person said to go on without it. */
  readonly note?: string;
}

/** The rungs in the order in which they were begun: `up`, and then what was undone, `down`. */
export interface Ladder {
  readonly up: readonly Rung[];
  readonly down: readonly Rung[];
}

/** The ladder of a log, which need not have ended. */
export function sagaLadder(events: Iterable<LoggedTaskEvent>): Ladder {
  const ladder = new LadderBuilder();
  for (const event of events) ladder.add(event);
  return ladder.rungs();
}

type Change = Partial<Pick<Rung, 'state' | 'failure' | 'note' | 'endedAt'>>;

class LadderBuilder {
  private state: TaskState = INITIAL_TASK_STATE;
  /** By direction, step and agent. */
  private readonly known = new Map<string, Rung>();
  /** Attempts of the rounds before the present one: a step may be scheduled more than once. */
  private readonly before = new Map<string, number>();

  rungs(): Ladder {
    const all = [...this.known.values()];
    return {
      up: all.filter(({ direction }) => direction === 'up'),
      down: all.filter(({ direction }) => direction === 'down'),
    };
  }

  add(event: LoggedTaskEvent): void {
    this.state = evolve(this.state, event);
    const { time } = event;
    switch (event.type) {
      case 'taskResumed':
        if (event.number === 1) this.resumed();
        return;
      case 'approvalRequested':
        this.end('up', event.step, this.actor(event.step), { state: 'awaitingApproval' });
        return;
      case 'questionAsked':
        this.handedBack('up', event.step, event.agent);
        this.end('up', event.step, event.agent, { state: 'asking' });
        return;
      case 'approvalAnswered':
      case 'approvalWithdrawn':
      case 'questionAnswered':
      case 'questionExpired':
      case 'questionWithdrawn':
        this.end('up', event.step, this.actor(event.step), { state: 'waiting' });
        return;
      case 'stepScheduled':
        this.begin('up', event.step, event.agent, time, { state: 'running' });
        return;
      case 'ballotRequested':
        this.begin('up', event.step, this.actor(event.step), time, { state: 'running' });
        return;
      case 'stepStarted':
        this.attempt('up', event.step, event.actor, event.attempt);
        return;
      case 'stepHandedBack':
      case 'stepRefused':
        this.handedBack('up', event.step, event.actor);
        return;
      case 'stepFellBack':
        this.handedBack('up', event.step, event.from);
        this.passedOn(event.step, event.from, time);
        return;
      case 'stepCompleted':
        this.end('up', event.step, this.actor(event.step), { state: 'completed', endedAt: time });
        return;
      case 'stepFailed':
      case 'stepParked': {
        const state = event.type === 'stepFailed' ? 'failed' : 'parked';
        this.end('up', event.step, this.actor(event.step), { state, failure: event.failure, endedAt: time });
        return;
      }
      case 'stepResolved':
        this.resolved('up', event, this.actor(event.step));
        return;
      case 'stepCancelled':
        this.end('up', event.step, this.actor(event.step), { state: 'cancelled', endedAt: time });
        return;
      case 'compensationScheduled':
        this.begin('down', event.step, event.agent, time, { state: 'running', outcome: event.outcome });
        return;
      case 'compensationStarted':
        this.attempt('down', event.step, event.agent, event.attempt);
        return;
      case 'compensated':
        this.end('down', event.step, event.agent, { state: 'undone', endedAt: time });
        return;
      case 'compensationFailed':
        this.end('down', event.step, event.agent, { state: 'failed', failure: event.failure, endedAt: time });
        return;
      case 'compensationResolved': {
        const failed = [...this.known.values()].find(
          ({ direction, step, state }) => direction === 'down' && step === event.step && state === 'failed',
        );
        if (failed !== undefined) this.resolved('down', event, failed.agent);
      }
    }
  }

  /** What an execution that was cut off had done; its own log has the rest of what there is to know. */
  private resumed(): void {
    const { plan, compensations = [] } = this.state;
    for (const { id } of plan?.steps ?? []) {
      const now = stepState(this.state, id);
      if (now.kind === 'waiting') continue;
      const failure = 'failure' in now && now.failure !== undefined ? { failure: now.failure } : {};
      const skipped = now.kind === 'completed' && now.skipped !== undefined;
      const end = skipped ? { state: 'skipped' as const, note: now.skipped } : { state: STATES[now.kind] };
      this.put({ ...this.rung('up', id, this.actor(id)), ...end, ...failure });
    }
    for (const one of compensations) {
      const state = one.kind === 'retry' ? 'waiting' : one.kind;
      this.put({ ...this.rung('down', one.step, one.agent), state, outcome: one.outcome });
    }
  }

  private actor(step: string): string {
    const planned = planStep(this.state, step);
    return planned === undefined ? '' : actorOf(this.state, planned);
  }

  private rung(direction: Rung['direction'], step: string, agent: string): Rung {
    const known = this.known.get(keyOf({ direction, step, agent }));
    if (known !== undefined) return known;
    const planned = planStep(this.state, step);
    const kind = direction === 'up' ? planned?.kind : undefined;
    const act = direction === 'up' ? 'act' : 'undo';
    return {
      direction,
      step,
      agent,
      ...(kind === undefined ? {} : { kind }),
      state: 'waiting',
      attempts: 0,
      ...(planned?.vote === undefined
        ? { key: idempotencyKey({ root: this.state.root, step, kind: act }) }
        : {}),
    };
  }

  private put(rung: Rung): void {
    this.known.set(keyOf(rung), rung);
  }

  private begin(
    direction: Rung['direction'],
    step: string,
    agent: string,
    time: number,
    now: Pick<Rung, 'state' | 'outcome'>,
  ): void {
    const rung = this.rung(direction, step, agent);
    // Of a compensation that is handed back nothing else is in the log.
    if (direction === 'down' && rung.state === 'running') this.handedBack(direction, step, agent);
    this.before.set(keyOf(rung), this.rung(direction, step, agent).attempts);
    const { endedAt: _over, failure: _mended, ...kept } = this.rung(direction, step, agent);
    this.put({ startedAt: time, ...kept, ...now });
  }

  private attempt(direction: Rung['direction'], step: string, agent: string, attempt: number): void {
    const rung = this.rung(direction, step, agent);
    const attempts = (this.before.get(keyOf(rung)) ?? 0) + attempt;
    this.put({ ...rung, attempts });
  }

  /** The attempt that a stopping worker cut short, or a breaker refused, does not count. */
  private handedBack(direction: Rung['direction'], step: string, agent: string): void {
    const rung = this.rung(direction, step, agent);
    this.put({ ...rung, state: 'waiting', attempts: Math.max(0, rung.attempts - 1) });
  }

  /** Another agent has the step: of one that never tried it nothing is to be told. */
  private passedOn(step: string, agent: string, time: number): void {
    const rung = this.rung('up', step, agent);
    if (rung.attempts === 0) this.known.delete(keyOf(rung));
    else this.put({ ...rung, state: 'cancelled', endedAt: time });
  }

  private end(direction: Rung['direction'], step: string, agent: string, change: Change): void {
    this.put({ ...this.rung(direction, step, agent), ...change });
  }

  private resolved(
    direction: Rung['direction'],
    { step, how, note }: LoggedTaskEvent & { type: 'stepResolved' | 'compensationResolved' },
    agent: string,
  ): void {
    const state = ({ retry: 'waiting', skip: 'skipped', fail: 'failed' } as const)[how];
    this.end(direction, step, agent, { state, ...(note === '' ? {} : { note }) });
  }
}

const STATES = {
  waiting: 'waiting',
  awaitingApproval: 'awaitingApproval',
  asking: 'asking',
  refused: 'waiting',
  scheduled: 'running',
  voting: 'running',
  arbitrating: 'running',
  completed: 'completed',
  failed: 'failed',
  parked: 'parked',
  cancelled: 'cancelled',
} as const;

function keyOf({ direction, step, agent }: Pick<Rung, 'direction' | 'step' | 'agent'>): string {
  return JSON.stringify([direction, step, agent]);
}
