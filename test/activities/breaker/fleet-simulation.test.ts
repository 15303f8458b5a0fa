// Pure: fleets of workers with a random agent, network and fate, against the laws of a breaker that they share.
import { type BreakerState, newBreaker } from '../../../src/core/breaker/breaker';
import type { BreakerReport } from '../../../src/core/breaker/report';
import type { BreakerSettings } from '../../../src/core/breaker/settings';
import { assertNever } from '../../../src/core/json';
import { Random } from '../../support/random';
import {
  ATTEMPTS,
  CALL_TIME,
  DEADLINE,
  type Fact,
  type FleetPlan,
  LATENCY,
  SimulatedFleet,
  planFleet,
  serverTime,
} from '../../support/simulated-fleet';

const SEEDS = 1000;
/** They take 7 s where nothing else runs. In ms. */
const TIME_LIMIT = 180_000;
/** How often a worker looks whether somebody has heard, and how old what it sees may be. In ms. */
const LOOK_INTERVAL = 5000;
const LOOK_AGE = 1000;
/** What nobody answered is sent again after so long; each time after twice as long. In ms. */
const RESEND_MINIMUM = 1000;
const RESEND_MAXIMUM = 30_000;
const JITTER = { share: 0.1, minimum: 100, maximum: 5000 };
/** How long the first refusals are at most, in ms. */
const FIRST = 1000;

type Of<Type extends Fact['type']> = Fact & { readonly type: Type };

/** A call as its worker counted it; by the worker's clock. */
interface Counted {
  readonly ended: number;
  readonly failed: boolean;
  readonly slow: boolean;
}

/** What is known of one worker from outside. */
class Watched {
  /** The exchange that is under way. */
  exchange: number | undefined;
  latest = -1;
  /** The last that ended, and when. */
  heard: { at: number; exchange: number; reply?: Of<'answered'>['reply'] } | undefined;
  /** What was in a report that nobody answered, until the next. */
  unanswered: Sent | undefined;
  /** Reports in a row that were not answered. */
  silences = 0;
  /** By task: the latest exchange when its call came. */
  readonly offered = new Map<number, number>();
  /** Permits of probes of its own breaker that run. */
  readonly ownProbes = new Map<string, number>();
  /** Its own window says that it is open; undefined where probes of its own may have closed it. */
  open: boolean | undefined = false;
  counted: Counted[] = [];
  /** It has opened by its own window since its last report. */
  opened = false;
  /** It is open by its own window, and no report since was answered or lost. */
  unheard = false;
  /** Calls that it counted since its last report. */
  untold = 0;
  since = 0;
  pacedUntil = Number.NEGATIVE_INFINITY;
  /** Since the fleet's breaker opened: */
  begun = 0;
  endedBadly = 0;
  endedElse = 0;
  /** When the first call that counts against the agent ended, and no report was lost since. */
  firstBad: number | undefined;
  /** When it looked whether somebody has heard that it is not closed. */
  looked: number | undefined;

  get view(): 'nothing' | 'closed' | 'notClosed' | 'alone' {
    if (this.heard === undefined) return 'nothing';
    if (this.heard.reply === undefined) return 'alone';
    return this.heard.reply.view.kind === 'closed' ? 'closed' : 'notClosed';
  }
}

/** Says what is wrong with what happens to a fleet. */
class Laws {
  private readonly workers = new Map<number, Watched>();
  private fleet: BreakerState = newBreaker();
  private trouble = false;
  /** Permits of the fleet's breaker by which calls run: whose, and granted when. */
  private readonly running = new Map<string, { worker: number; grantedAt: number }>();
  private readonly granted = new Map<string, number>();
  /** Probes that have ended and of which the fleet's breaker has not heard. */
  private readonly untold = new Map<string, number>();
  private readonly tasks = new Set<number>();
  private readonly lost = new Map<number, number>();
  private readonly failed = new Map<number, number>();
  private calmSince: number | undefined;
  private openedAt = 0;
  private disturbedAt = 0;
  /** By when the fleet's breaker is to be closed. */
  private closedBy = Number.POSITIVE_INFINITY;
  tells = 0;
  opened = 0;
  probes = 0;

  constructor(private readonly plan: FleetPlan) {}

  readonly check = (at: number, fact: Fact): string | undefined => this.one(at, fact) ?? this.recovery(at);

  /** What is wrong once nothing is left to happen. */
  end(): string | undefined {
    if (this.tasks.size > 0) return `tasks ${[...this.tasks].join()} do not end`;
    if (this.fleet.phase.kind !== 'closed') return 'it does not close';
    if (this.untold.size > 0) return `nobody tells of the probes ${[...this.untold.keys()].join()}`;
    if (this.plan.trouble === 0 && this.tells > 0) return 'it tells though all goes well';
    return undefined;
  }

  private one(at: number, fact: Fact): string | undefined {
    switch (fact.type) {
      case 'workerBegan':
        this.workers.set(fact.worker, new Watched());
        return undefined;
      case 'workerDied':
        return this.died(at, fact);
      case 'told':
        return this.told(at, fact);
      case 'applied':
        return this.applied(at, fact);
      case 'answered':
        return this.answered(at, fact);
      case 'unanswered':
        return this.notAnswered(at, fact);
      case 'offered':
        return this.offered(at, fact);
      case 'admitted':
        return this.admitted(at, fact);
      case 'refused':
        return this.refused(at, fact);
      case 'ended':
        return this.ended(at, fact);
      case 'sentBack':
        return this.sentBack(fact);
      case 'taskBegan':
        this.tasks.add(fact.task);
        return undefined;
      case 'taskEnded':
        return this.taskEnded(fact);
      case 'calmed':
        this.calmSince = at;
        this.disturbed(at);
        return undefined;
      default:
        return assertNever(fact);
    }
  }

  private worker({ worker }: { readonly worker: number }): Watched {
    const watched = this.workers.get(worker);
    if (watched === undefined) throw new RangeError(`No worker is ${worker}`);
    return watched;
  }

  private get probeLimit(): number {
    return this.plan.settings.probes;
  }

  private get first(): number {
    return Math.min(FIRST, this.plan.settings.cooldown);
  }

  private died(at: number, { worker }: Of<'workerDied'>): undefined {
    for (const [task] of this.worker({ worker }).offered) this.lost.set(task, (this.lost.get(task) ?? 0) + 1);
    for (const held of [this.running, this.untold]) {
      for (const [permit, of] of held)
        if ((typeof of === 'number' ? of : of.worker) === worker) held.delete(permit);
    }
    this.workers.delete(worker);
    this.disturbed(at);
  }

  private told(at: number, { worker, local, exchange, report }: Of<'told'>): string | undefined {
    const watched = this.worker({ worker });
    this.tells += 1;
    if (watched.exchange !== undefined) return 'two reports of a worker are under way';
    if (!this.trouble) return 'it tells though all goes well';
    if (
      !saysSomething(report) &&
      watched.unanswered === undefined &&
      watched.open === false &&
      !watched.opened
    ) {
      return 'it tells nothing';
    }
    const { heard, silences, unanswered } = watched;
    const wait = Math.min(RESEND_MAXIMUM, RESEND_MINIMUM * 2 ** (silences - 1));
    if (silences > 0 && report.wanted === 0 && at < (heard?.at ?? 0) + 0.99 * wait) {
      return `it tells again ${at - (heard?.at ?? 0)} ms after it was not answered`;
    }
    if (report.pacedFor !== undefined && report.pacedFor > Math.max(0, watched.pacedUntil - local)) {
      return 'it tells of a longer pause than there is';
    }
    Object.assign(watched, {
      exchange,
      latest: exchange,
      unanswered: { at, report },
      opened: false,
      untold: 0,
    });
    return unanswered === undefined ? undefined : missing(unanswered, { at, report }, this.plan.settings);
  }

  private applied(at: number, { report, before, after }: Of<'applied'>): string | undefined {
    if (JSON.stringify(before) !== JSON.stringify(this.fleet)) return 'the breaker forgets';
    this.fleet = after;
    const proven = report.probes.some(({ end }) => end !== 'ignored' && !end.failed);
    const closes = before.phase.kind !== 'closed' && after.phase.kind === 'closed';
    if (closes && this.probeLimit === 1 && !proven) return 'it closes though no probe went well';
    for (const { permit } of report.probes) this.untold.delete(permit);
    if (after.phase.kind === 'halfOpen') {
      for (const { id, grantedAt } of after.phase.permits) this.granted.set(id, grantedAt);
    }
    if (before.phase.kind === 'closed' && after.phase.kind === 'open') {
      this.opened += 1;
      this.openedAt = at;
      for (const watched of this.workers.values()) {
        Object.assign(watched, {
          begun: 0,
          endedBadly: 0,
          endedElse: 0,
          firstBad: undefined,
          looked: undefined,
        });
      }
    }
    // A call that went well may open it too: where others that did are too old by now, or as the last of several probes.
    const opens = before.phase.kind !== 'open' && after.phase.kind === 'open';
    if (isBad(report) || opens) this.disturbed(at);
    if (after.phase.kind !== 'halfOpen') return undefined;
    const used = after.phase.permits.length + after.phase.reported.calls;
    return used > this.probeLimit ? `(a) ${used} probes are to decide` : undefined;
  }

  private answered(at: number, { worker, local, exchange, reply }: Of<'answered'>): undefined {
    const watched = this.worker({ worker });
    watched.exchange = undefined;
    watched.unanswered = undefined;
    watched.silences = 0;
    watched.heard = { at, exchange, reply };
    watched.pacedUntil = Math.max(watched.pacedUntil, local + reply.view.pacedFor);
    watched.ownProbes.clear();
    if (reply.view.kind !== 'closed') watched.open = true;
    // What was answered knows nothing of the calls by which it opened meanwhile.
    else if (watched.open === true && !(watched.unheard && watched.untold > 0)) {
      Object.assign(watched, { open: false, counted: [], since: local });
    }
    watched.unheard &&= watched.open === true && reply.view.kind === 'closed';
  }

  private notAnswered(at: number, { worker, exchange }: Of<'unanswered'>): undefined {
    const watched = this.worker({ worker });
    watched.exchange = undefined;
    watched.heard = { at, exchange };
    watched.silences += 1;
    watched.unheard = false;
    watched.firstBad = undefined;
    this.disturbed(at);
  }

  private offered(at: number, fact: Of<'offered'>): undefined {
    const watched = this.worker(fact);
    watched.offered.set(fact.task, watched.latest);
    const { calmSince = Infinity, openedAt } = this;
    if (at > Math.max(calmSince, openedAt) + LOOK_INTERVAL) watched.looked ??= at;
  }

  private admitted(at: number, fact: Of<'admitted'>): string | undefined {
    const { task, worker, local, waited, asked, admission } = fact;
    const watched = this.worker(fact);
    if (waited && !asked) return 'a call that has waited does not ask';
    const { probe } = admission;
    if (probe?.own === true) return this.probesAlone(watched, probe.permit, local);
    if (probe !== undefined) return this.probesForAll(at, worker, probe.permit);
    const reply = asked ? this.justHeard(at, watched, task)?.reply : undefined;
    if (reply !== undefined && reply.view.pacedFor > 0) return 'it goes though it is paced';
    if (watched.view === 'notClosed') return '(b) it goes though its worker has heard that it may not';
    if (watched.open === true && reply === undefined)
      return "(b) it goes though its worker's own window says that it may not";
    return this.fleet.phase.kind === 'closed' ? undefined : this.leaked(at, watched);
  }

  /** A probe that only its worker's breaker knows of. */
  private probesAlone(watched: Watched, permit: string, local: number): string | undefined {
    if (watched.view !== 'alone') return 'a worker probes alone though the breaker answers';
    watched.ownProbes.set(permit, local);
    watched.open = undefined;
    const late = local - this.plan.settings.maxProbeTime;
    const out = [...watched.ownProbes.values()].filter((began) => began > late);
    return out.length > this.probeLimit ? `a worker has ${out.length} probes of its own` : undefined;
  }

  private probesForAll(at: number, worker: number, permit: string): string | undefined {
    const grantedAt = this.granted.get(permit);
    if (grantedAt === undefined) return 'a probe has a permit that nobody granted';
    if (this.running.has(permit)) return 'a permit is used twice';
    this.probes += 1;
    this.running.set(permit, { worker, grantedAt });
    const late = serverTime(at) - this.plan.settings.maxProbeTime;
    const out = [...this.running.values()].filter((one) => one.grantedAt > late);
    return out.length > this.probeLimit ? `(a) ${out.length} probes are out` : undefined;
  }

  /**
   * The bound of what reaches the agent after the fleet's breaker has opened, for each worker, without permits: at most
   * its slots, and one for each call that ended meanwhile; of these fewer count against the agent than open its own window
   * twice (an answer from before may have closed that once) beside those that were in flight when it was closed. None
   * comes later than two deadlines after the first that counts, unless a report of the worker was not answered.
   */
  private leaked(at: number, watched: Watched): string | undefined {
    const { slots } = this.plan;
    watched.begun += 1;
    if (watched.firstBad !== undefined && at > watched.firstBad + 2 * DEADLINE) {
      return `(b) a call goes ${at - watched.firstBad} ms after the first that failed`;
    }
    if (watched.looked !== undefined && at > watched.looked + LOOK_AGE) return '(b) a worker does not look';
    if (watched.begun > slots + watched.endedElse + watched.endedBadly)
      return `(b) ${watched.begun} calls go`;
    if (watched.view === 'alone' || watched.open === undefined) return undefined;
    const bound = 2 * this.needed(watched) + slots;
    return watched.endedBadly > bound
      ? `(b) ${watched.endedBadly} calls fail, more than ${bound}`
      : undefined;
  }

  /** No more failures than so leave a worker's window closed. */
  private needed({ counted, endedElse }: Watched): number {
    const { minimumCalls, failureRate } = this.plan.settings;
    const others = counted.filter(({ failed }) => !failed).length + endedElse;
    if (failureRate === 1) return others === 0 ? minimumCalls : Number.POSITIVE_INFINITY;
    return Math.max(minimumCalls, Math.ceil((others * failureRate) / (1 - failureRate)) + 1);
  }

  /** The answer, or the lack of it, to which a call that asked owes its decision; undefined where there is none. */
  private justHeard(at: number, { heard, offered }: Watched, task: number): Watched['heard'] {
    return heard?.at === at && heard.exchange > (offered.get(task) ?? Infinity) ? heard : undefined;
  }

  private refused(at: number, fact: Of<'refused'>): string | undefined {
    const { task, local, waited, asked, admission } = fact;
    const watched = this.worker(fact);
    const just = asked ? this.justHeard(at, watched, task) : undefined;
    watched.offered.delete(task);
    if (waited && !asked) return '(e) a local view refuses a call that has waited';
    if (asked && just === undefined) return '(e) a call that asked is refused before there is an answer';
    const view = just?.reply?.view;
    if (view !== undefined) {
      const least = Math.max(view.retryAfter, view.pacedFor);
      if (view.kind === 'closed' && view.pacedFor === 0) return '(e) it is refused against the answer';
      const most = jittered(Math.max(least, this.first));
      const fits = admission.retryAfter >= least && admission.retryAfter <= most;
      return fits ? undefined : `it is to wait ${admission.retryAfter} ms, not ${least} to ${most}`;
    }
    if (waited && watched.ownProbes.size === 0 && local >= watched.pacedUntil) {
      return '(e) a worker that is alone refuses a call that has waited, and does not probe';
    }
    if (watched.open === true && watched.exchange === undefined && watched.view === 'closed') {
      return 'a worker that is open by its own window tells nobody';
    }
    const confirmed = watched.view === 'alone' || watched.view === 'notClosed' || admission.why === 'paced';
    const long = !confirmed && admission.retryAfter > jittered(this.first);
    return long ? `a worker that has not heard refuses for ${admission.retryAfter} ms` : undefined;
  }

  private ended(at: number, fact: Of<'ended'>): undefined {
    const { task, worker, local, admission, outcome, slow } = fact;
    const watched = this.worker(fact);
    watched.offered.delete(task);
    const paced = typeof outcome === 'object';
    const bad = outcome === 'failure' || (outcome === 'success' && slow);
    if (bad || paced) this.disturbed(at);
    if (outcome !== 'success' || slow) this.trouble = true;
    if (outcome === 'failure' || outcome === 'ignored')
      this.failed.set(task, (this.failed.get(task) ?? 0) + 1);
    if (paced) watched.pacedUntil = Math.max(watched.pacedUntil, local + outcome.paced);
    const { probe } = admission;
    if (probe?.own === true) watched.ownProbes.delete(probe.permit);
    else if (probe !== undefined) {
      this.running.delete(probe.permit);
      this.untold.set(probe.permit, worker);
    } else {
      if (outcome === 'failure') watched.endedBadly += 1;
      else watched.endedElse += 1;
      if (outcome === 'success' || outcome === 'failure') this.counts(at, watched, fact);
    }
  }

  /** A probe that failed spends no attempt. */
  private sentBack({ worker, task, admission }: Of<'sentBack'>): string | undefined {
    const { open } = this.worker({ worker });
    this.failed.set(task, (this.failed.get(task) ?? 0) - 1);
    if (open === false && admission.why !== 'failing') {
      return 'a probe is sent back to wait for what its worker takes for closed';
    }
    const longest = jittered(
      Math.max(this.plan.settings.cooldownMax, this.plan.settings.maxProbeTime, FIRST),
    );
    return admission.retryAfter > longest ? `a probe is sent back for ${admission.retryAfter} ms` : undefined;
  }

  private counts(at: number, watched: Watched, { local, admission, outcome, slow }: Of<'ended'>): void {
    if (watched.open === true || admission.beganAt < watched.since) return;
    watched.untold += 1;
    watched.counted.push({ ended: local, failed: outcome === 'failure', slow });
    watched.counted = latest(watched.counted, this.plan.settings.window, local);
    const bad = outcome === 'failure' || slow;
    if (bad && watched.open === false && watched.view !== 'alone') watched.firstBad ??= at;
    if (watched.open === false && isOpening(watched.counted, this.plan.settings)) {
      Object.assign(watched, { open: true, opened: true, unheard: true });
    }
  }

  private taskEnded({ task, how, spent }: Of<'taskEnded'>): string | undefined {
    if (!this.tasks.delete(task)) return 'a task ends twice';
    const used = (this.failed.get(task) ?? 0) + (this.lost.get(task) ?? 0);
    if (spent !== used) return `(g) ${spent} attempts are spent, but ${used} have failed`;
    return how === 'failed' && used !== ATTEMPTS ? `(g) a task fails after ${used} attempts` : undefined;
  }

  /** Something bad was heard or told of once more: from here on it takes a cooldown, a probe, and whoever asks for it. */
  private disturbed(at: number): void {
    if (this.calmSince === undefined) return;
    this.disturbedAt = at;
    const { settings } = this.plan;
    const now = serverTime(at);
    const { phase, pacedUntil = now } = this.fleet;
    const until = phase.kind === 'open' ? phase.until : now;
    const grants = phase.kind === 'halfOpen' ? phase.permits.map(({ grantedAt }) => grantedAt) : [];
    // A permit whose holder never heard of it: the answer was under way when the trouble ended.
    const withdrawn = Math.max(now, ...grants.map((grantedAt) => grantedAt + settings.maxProbeTime));
    const wait = Math.max(until, pacedUntil, withdrawn) - now;
    const asks =
      LOOK_INTERVAL +
      LOOK_AGE +
      jittered(Math.max(wait, settings.maxProbeTime, FIRST)) -
      wait +
      settings.probes * FIRST;
    this.closedBy =
      at + Math.max(0, wait) + asks + this.probeLimit * (CALL_TIME + 4 * LATENCY) + 2 * DEADLINE;
  }

  private recovery(at: number): string | undefined {
    const { calmSince = Infinity, disturbedAt } = this;
    if (disturbedAt > calmSince + this.plan.timeLimit + RESEND_MAXIMUM + 2 * DEADLINE) {
      return `(c) it is disturbed ${disturbedAt - calmSince} ms after the trouble`;
    }
    if (this.fleet.phase.kind === 'closed' || at <= this.closedBy) return undefined;
    return `(c) it is not closed ${at - calmSince} ms after the trouble`;
  }
}

function jittered(wait: number): number {
  return wait + Math.min(JITTER.maximum, Math.max(JITTER.minimum, JITTER.share * wait));
}

function saysSomething({ calls, probes, pacedFor, wanted }: BreakerReport): boolean {
  return (
    pacedFor !== undefined || wanted + probes.length > 0 || calls.some((one) => one.failures + one.slow > 0)
  );
}

function isBad({ calls, probes, pacedFor }: BreakerReport): boolean {
  const failed = probes.some(({ end }) => end === 'ignored' || end.failed || end.slow);
  return failed || pacedFor !== undefined || calls.some((one) => one.failures + one.slow > 0);
}

interface Sent {
  readonly at: number;
  readonly report: BreakerReport;
}

/** What a report leaves out of the one before it, which nobody answered. */
function missing(before: Sent, next: Sent, { window }: BreakerSettings): string | undefined {
  const elapsed = next.at - before.at;
  const told = new Set(next.report.probes.map(({ permit }) => permit));
  if (before.report.probes.some(({ permit }) => !told.has(permit))) return 'a report loses a probe';
  const { pacedFor = 0 } = before.report;
  if ((next.report.pacedFor ?? 0) < pacedFor - 1.01 * elapsed) return 'a report loses a pause';
  if (next.report.refused < before.report.refused) return 'a report loses refusals';
  const oldest = 'calls' in window ? Infinity : 0.89 * window.seconds * 1000 - elapsed;
  const sum = ({ report }: Sent, of: 'calls' | 'failures' | 'slow', age = Infinity): number =>
    report.calls.reduce((total, one) => total + (one.ended <= age ? one[of] : 0), 0);
  if ('calls' in window && sum(next, 'calls') >= window.calls) return undefined;
  const loses = (['calls', 'failures', 'slow'] as const).find(
    (of) => sum(next, of) < sum(before, of, oldest),
  );
  return loses === undefined ? undefined : `a report loses ${loses}`;
}

function latest(counted: Counted[], window: BreakerSettings['window'], now: number): Counted[] {
  if ('calls' in window) return counted.slice(-window.calls);
  const slice = (time: number): number => Math.floor(time / (window.seconds * 100));
  return counted.filter(({ ended }) => slice(ended) > slice(now) - 10);
}

function isOpening(
  counted: readonly Counted[],
  { minimumCalls, failureRate, slowCallRate }: BreakerSettings,
): boolean {
  const share = (of: 'failed' | 'slow'): number => counted.filter((one) => one[of]).length / counted.length;
  return counted.length >= minimumCalls && (share('failed') >= failureRate || share('slow') >= slowCallRate);
}

interface Run {
  readonly seed: number;
  readonly plan: FleetPlan;
  readonly laws: Laws;
  readonly wrong: string | undefined;
  readonly trace: readonly string[];
}

async function simulate(seed: number, traced: boolean): Promise<Run> {
  const random = new Random(seed);
  const plan = planFleet(random);
  const laws = new Laws(plan);
  const trace: string[] = [];
  const fleet = new SimulatedFleet(plan, random, (at, fact) => {
    if (traced) trace.push(`${at.toFixed(1)} ${JSON.stringify(fact, shown)}`);
    return laws.check(at, fact);
  });
  const wrong = (await fleet.run()) ?? laws.end();
  return { seed, plan, laws, wrong, trace };
}

/** The settings are in every report. */
function shown(field: string, value: unknown): unknown {
  return field === 'settings' ? undefined : value;
}

/** The plan and the last facts of the shortest of `runs`. */
async function shortest(runs: readonly Run[]): Promise<string> {
  const traced = await Promise.all(runs.slice(0, 20).map(({ seed }) => simulate(seed, true)));
  const [first] = traced.sort((a, b) => a.trace.length - b.trace.length);
  if (first === undefined) return '';
  const { seed, plan, wrong, trace } = first;
  return [`seed ${seed}: ${wrong}`, JSON.stringify(plan), ...trace.slice(-60)].join('\n');
}

test(
  `${SEEDS} fleets keep to the laws of a breaker that they share`,
  async () => {
    const runs: Run[] = [];
    for (let seed = 1; seed <= SEEDS; seed += 1) runs.push(await simulate(seed, false));
    const broken = runs.filter(({ wrong }) => wrong !== undefined);
    expect(broken.length === 0 ? '' : `${broken.length} fleets do not. ${await shortest(broken)}`).toBe('');
    // It is about something.
    expect(runs.filter(({ laws }) => laws.opened > 0).length).toBeGreaterThan(SEEDS / 2);
    expect(runs.filter(({ laws }) => laws.probes > 0).length).toBeGreaterThan(SEEDS / 2);
    expect(runs.filter(({ plan }) => plan.trouble === 0).length).toBeGreaterThan(SEEDS / 50);
  },
  TIME_LIMIT,
);
