/**
 * One cut over a whole cadre: each of its workflows, folded up to the same time. Owns what belongs to the cut and where it
 * is not causal; how each workflow folds is its projection's.
 *
 * 1. A fact belongs to the cut where its server time is not after the cut's. What comes behind the first that is after it is
 *    not folded, though the server may date it earlier: it kept that back while a workflow task was under way.
 * 2. Of signals, those are counted that the cut's facts sent or received, from workflow to workflow.
 * 3. It is called not causal only where a receiver has more of a sender's signals than that has sent, ever. (A signal that
 *    an earlier workflow of the sender's id sent with its last breath may look like one.)
 */
import { type HistoryFact, isEnd } from '../history-facts';
import { AgentProjection } from '../agent/agent-projection';
import { type AgentReport, agentReport } from '../agent/agent-report';
import type { AgentState } from '../agent/agent-state';
import { BreakerProjection } from '../breaker/breaker-projection';
import type { KeyedBreaker } from '../breaker/start';
import type { ElectionState } from '../election';
import { ElectionProjection } from '../election-projection';
import { AGENT_WORKFLOW, BREAKER_WORKFLOW, ELECTION_WORKFLOW, LOCK_WORKFLOW } from '../names';
import { type LoggedTaskEvent, TaskProjection } from '../task-projection';
import type { TaskState } from '../task-state';

/** What a workflow of a cadre was at the time of the cut. */
export type CutState =
  | { readonly kind: 'election'; readonly state: ElectionState }
  /** `busy`: something had come to it that it had not taken. `state` may be changed in place by later facts. */
  | {
      readonly kind: 'agent';
      readonly report: AgentReport;
      readonly busy: boolean;
      readonly state: AgentState;
    }
  | ({ readonly kind: 'breaker' } & KeyedBreaker)
  /** Number and time of the last event of its log. */
  | { readonly kind: 'task'; readonly number: number; readonly time: number; readonly state: TaskState }
  /** One that has no state of ours: a lock, or a workflow of your own without sagas. */
  | { readonly kind: 'other' };

/** Times, in ms since 1970, by the id of the workflow at the other end. */
type TimesOf = Map<string, number[]>;

/** The signals between one workflow and others, up to the time of a cut. */
export interface SignalTraffic {
  readonly workflow: string;
  /** When the first of its facts that there are was. */
  readonly since: number;
  /** False where runs of it are missing that came before. */
  readonly whole: boolean;
  readonly sent: ReadonlyMap<string, readonly number[]>;
  readonly failed: ReadonlyMap<string, readonly number[]>;
  readonly received: ReadonlyMap<string, readonly number[]>;
}

/** Folds the facts of one workflow, of all runs there are, up to a time. */
export class WorkflowCut {
  private readonly projection: Folding;
  private readonly sent: TimesOf = new Map();
  private readonly failed: TimesOf = new Map();
  private readonly received: TimesOf = new Map();
  private since: number | undefined;
  private whole = false;
  private over = false;
  private passed = false;
  private missed = 0;

  /** `time`: of the cut, in ms since 1970. `type`: the workflow's. */
  constructor(
    readonly workflow: string,
    type: string,
    private readonly time: number,
  ) {
    this.projection = foldingOf(type);
  }

  /** Whether it had begun at the time of the cut, and had not ended. */
  get isOpen(): boolean {
    return this.since !== undefined && !this.over;
  }

  /** How many of its facts could not be read. */
  get unread(): number {
    return this.missed;
  }

  /** As the last fact of the cut left it. */
  get state(): CutState {
    return this.projection.state();
  }

  get traffic(): SignalTraffic {
    const { workflow, since = this.time, whole, sent, failed, received } = this;
    return { workflow, since, whole, sent, failed, received };
  }

  /** False once no later fact belongs to the cut. Throws InputInvalid where its history is not that of its type. */
  next(fact: HistoryFact): boolean {
    const isAfter = fact.time > this.time;
    // What was kept back stands before the next workflow task.
    if (isAfter && (fact.kind === 'workflowTaskStarted' || fact.kind === 'workflowStarted')) return false;
    this.passed ||= isAfter;
    if (isAfter) return true;
    this.count(fact);
    if (this.passed) return true;
    if (this.since === undefined) {
      this.since = fact.time;
      this.whole = fact.kind === 'workflowStarted' && fact.continuedFrom === undefined;
    }
    this.over = isEnd(fact);
    this.projection.next(fact);
    return true;
  }

  private count(fact: HistoryFact): void {
    if (fact.kind === 'signalSent') add(this.sent, fact.to, fact.time);
    if (fact.kind === 'signalFailed') add(this.failed, fact.to, fact.time);
    if (fact.kind === 'signalled' && fact.from !== undefined) add(this.received, fact.from, fact.time);
    if (fact.kind === 'unread') this.missed += 1;
  }
}

function add(times: TimesOf, workflow: string, time: number): void {
  const known = times.get(workflow);
  if (known === undefined) times.set(workflow, [time]);
  else known.push(time);
}

interface Folding {
  next(fact: HistoryFact): void;
  state(): CutState;
}

function foldingOf(type: string): Folding {
  switch (type) {
    case ELECTION_WORKFLOW:
      return electionFolding();
    case AGENT_WORKFLOW:
      return agentFolding();
    case BREAKER_WORKFLOW:
      return breakerFolding();
    case LOCK_WORKFLOW:
      return { next: () => undefined, state: () => ({ kind: 'other' }) };
    default:
      return taskFolding();
  }
}

function electionFolding(): Folding {
  const projection = new ElectionProjection();
  return {
    next: (fact) => void projection.next(fact),
    state: () => ({ kind: 'election', state: projection.state }),
  };
}

function agentFolding(): Folding {
  const projection = new AgentProjection();
  return {
    next: (fact) => void projection.next(fact),
    state() {
      const { state, isBusy: busy, isSearching: searching, historyLength } = projection;
      if (state === undefined) return { kind: 'other' };
      return { kind: 'agent', report: agentReport(state, { searching, historyLength }), busy, state };
    },
  };
}

function breakerFolding(): Folding {
  const projection = new BreakerProjection();
  return {
    next: (fact) => projection.next(fact),
    state: () =>
      projection.keyed === undefined ? { kind: 'other' } : { kind: 'breaker', ...projection.keyed },
  };
}

function taskFolding(): Folding {
  const projection = new TaskProjection();
  let last: LoggedTaskEvent | undefined;
  return {
    next(fact) {
      last = projection.next(fact).at(-1) ?? last;
    },
    state: () =>
      last === undefined
        ? { kind: 'other' }
        : { kind: 'task', number: last.number, time: last.time, state: projection.state },
  };
}

/** Signals from one workflow to another. */
export interface SignalCount {
  readonly from: string;
  readonly to: string;
  readonly signals: number;
}

/** Where a cut is not causal, and what was on its way, among the workflows of the cut. */
export interface CutSignals {
  /** `to` has so many more of `from`'s signals than `from` has sent: it has heard of what has not happened yet. */
  readonly notCausal: readonly SignalCount[];
  /** `from` has sent so many signals that `to` has not received yet. */
  readonly inFlight: readonly SignalCount[];
  /** Of these what is missing of the history does not let one say how many are on their way. */
  readonly unknown: readonly Pick<SignalCount, 'from' | 'to'>[];
}

/** Compares what each workflow has received of each other with what that has sent, up to the time of the cut. */
export function cutSignals(workflows: readonly SignalTraffic[]): CutSignals {
  const notCausal: SignalCount[] = [];
  const inFlight: SignalCount[] = [];
  const unknown: Pick<SignalCount, 'from' | 'to'>[] = [];
  for (const [from, to] of pairsOf(workflows)) {
    const pair = { from: from.workflow, to: to.workflow };
    const surplus = from.whole ? surplusOf(from, to) : 0;
    if (surplus > 0) notCausal.push({ ...pair, signals: surplus });
    else if (!from.whole || !to.whole) unknown.push(pair);
    else {
      const signals = outstandingOf(from, to);
      if (signals > 0) inFlight.push({ ...pair, signals });
    }
  }
  return { notCausal, inFlight, unknown };
}

/** Those of which the one has sent to the other, or been received from by it. */
function pairsOf(workflows: readonly SignalTraffic[]): [SignalTraffic, SignalTraffic][] {
  const byId = new Map(workflows.map((one) => [one.workflow, one]));
  return workflows.flatMap((one) => {
    const heard = [...one.received.keys()].flatMap((id) => byId.get(id) ?? []);
    const told = [...one.sent.keys()].flatMap((id) => byId.get(id) ?? []);
    const unheard = told.filter((to) => !to.received.has(one.workflow));
    return [
      ...heard.map((from): [SignalTraffic, SignalTraffic] => [from, one]),
      ...unheard.map((to): [SignalTraffic, SignalTraffic] => [one, to]),
    ];
  });
}

/**
 * How many more `to` has received than were sent to it. An earlier workflow under the id of `from` may have sent what came
 * before this one began; of what was sent all counts, since it may have taken its time.
 */
function surplusOf(from: SignalTraffic, to: SignalTraffic): number {
  return countSince(to.received.get(from.workflow), from.since) - countSince(from.sent.get(to.workflow), 0);
}

/** How many are on their way: what was sent before `to` began went to an earlier workflow under its id. */
function outstandingOf(from: SignalTraffic, to: SignalTraffic): number {
  const sent = countSince(from.sent.get(to.workflow), to.since);
  const failed = countSince(from.failed.get(to.workflow), to.since);
  return sent - failed - countSince(to.received.get(from.workflow), from.since);
}

function countSince(times: readonly number[] | undefined, since: number): number {
  return (times ?? []).filter((time) => time >= since).length;
}
