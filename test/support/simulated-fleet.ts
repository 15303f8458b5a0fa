/**
 * Workers, their network, the fleet's breaker and an agent, without Temporal and without time: a queue of events, each
 * at its moment. What a worker's breaker does is the real code, on a clock of the worker's own.
 *
 * 1. All that happens is told as a {@link Fact}, before the code that it happens to sees it.
 * 2. Chance comes from the seed alone.
 * 3. There is trouble up to a moment; from then on the agent is up, every message arrives in time, and nobody dies.
 */
import { Breakers } from '../../src/activities/breaker/breakers';
import type { Guard } from '../../src/activities/breaker/guard';
import type { Admission } from '../../src/activities/breaker/local-breaker';
import { type AnyAgent, defineAgent } from '../../src/activities/define-agent';
import { type BreakerState, newBreaker } from '../../src/core/breaker/breaker';
import {
  type BreakerReply,
  type BreakerReport,
  foldBreaker,
  readReport,
  replyTo,
  reportEvents,
} from '../../src/core/breaker/report';
import type { BreakerSettings } from '../../src/core/breaker/settings';
import { breakerStart } from '../../src/core/breaker/start';
import type { Outcome } from '../../src/core/outcome';
import type { OpenBreaker } from '../../src/core/policy';
import type { Random } from './random';

export type Admitted = Admission & { kind: 'admitted' };
export type Refused = Admission & { kind: 'refused' };

/** What happened. `local`: what the worker's own clock says, in ms. An exchange is a report and its answer. */
export type Fact =
  | { readonly type: 'workerBegan'; readonly worker: number }
  | { readonly type: 'workerDied'; readonly worker: number }
  | {
      readonly type: 'told';
      readonly worker: number;
      readonly local: number;
      readonly exchange: number;
      readonly report: BreakerReport;
    }
  | {
      readonly type: 'applied';
      readonly worker: number;
      readonly report: BreakerReport;
      readonly before: BreakerState;
      readonly after: BreakerState;
    }
  | {
      readonly type: 'answered';
      readonly worker: number;
      readonly local: number;
      readonly exchange: number;
      readonly reply: BreakerReply;
    }
  | { readonly type: 'unanswered'; readonly worker: number; readonly exchange: number }
  | { readonly type: 'offered'; readonly worker: number; readonly task: number }
  | {
      readonly type: 'admitted';
      readonly worker: number;
      readonly local: number;
      readonly task: number;
      readonly waited: boolean;
      readonly asked: boolean;
      readonly admission: Admitted;
    }
  | {
      readonly type: 'refused';
      readonly worker: number;
      readonly local: number;
      readonly task: number;
      readonly waited: boolean;
      readonly asked: boolean;
      readonly admission: Refused;
    }
  | {
      readonly type: 'ended';
      readonly worker: number;
      readonly local: number;
      readonly task: number;
      readonly admission: Admitted;
      readonly outcome: Outcome | 'success';
      readonly slow: boolean;
    }
  /** A probe has failed: it is to wait like any other call. */
  | {
      readonly type: 'sentBack';
      readonly worker: number;
      readonly task: number;
      readonly admission: Refused;
    }
  | { readonly type: 'taskBegan'; readonly task: number }
  | {
      readonly type: 'taskEnded';
      readonly task: number;
      readonly how: 'completed' | 'failed';
      readonly spent: number;
    }
  | { readonly type: 'calmed' };

/** Watches a fleet. Returns what is wrong with what happened at `at` (in ms of the server's clock), where anything is. */
export type Watch = (at: number, fact: Fact) => string | undefined;

type Weather = 'good' | 'lossy' | 'away';
type Mood = 'up' | 'down' | 'hanging' | 'slow' | 'flaky' | 'pacing';

/** What a fleet is like. Durations are in ms. */
export interface FleetPlan {
  readonly settings: BreakerSettings;
  readonly workers: number;
  /** How many calls a worker makes at once. */
  readonly slots: number;
  /** A call that takes longer has failed. */
  readonly timeLimit: number;
  /** How long there is trouble; 0 for none at all. */
  readonly trouble: number;
}

export const ATTEMPTS = 3;
export const DEADLINE = 500;
/** What a message takes at most where the weather is good. */
export const LATENCY = 200;
/** What a call takes at most where the agent is up; calls are never slow then. */
export const CALL_TIME = 150;
/** No fleet takes so long after its trouble. */
const TOO_LONG = 10 * 60 * 1000;
/** How often a worker looks whether somebody has heard that the breaker is not closed, in ms. */
const LOOK_INTERVAL = 5000;
const EPOCH = 1_700_000_000_000;
const KEY = 'a key';

export function planFleet(random: Random): FleetPlan {
  const whole = (minimum: number, maximum: number): number =>
    Math.floor(random.between(minimum, maximum + 1));
  const window = random.oneOf<BreakerSettings['window']>([
    { calls: whole(1, 30) },
    { seconds: whole(1, 20) },
  ]);
  const cooldown = whole(100, 4000);
  return {
    settings: {
      failureRate: random.oneOf([0.1, 0.25, 0.5, 0.5, 0.8, 1]),
      slowCallRate: random.oneOf([0.3, 0.6, 1]),
      slowCallDuration: whole(CALL_TIME + 50, 800),
      window,
      minimumCalls: 'calls' in window ? whole(1, window.calls) : whole(1, 10),
      cooldown,
      cooldownMax: cooldown * whole(1, 8),
      probes: random.oneOf([1, 1, 2, 3]),
      maxProbeTime: whole(300, 4000),
    },
    workers: whole(1, 8),
    slots: whole(1, 5),
    timeLimit: whole(800, 3000),
    trouble: random.between(0, 20) < 1 ? 0 : whole(3000, 20_000),
  };
}

interface Task {
  readonly id: number;
  waited: boolean;
  /** Attempts that are used up. */
  spent: number;
}

interface WorkerProcess {
  readonly id: number;
  readonly now: () => number;
  readonly guard: () => Guard;
  /** What it is at, and what it has called. */
  readonly at: Map<Task, Admitted | undefined>;
  alive: boolean;
  /** The fleet's breaker has answered to its last report. */
  answered: boolean;
}

export class SimulatedFleet {
  /** Of the server, in ms since the simulation began. */
  private now = 0;
  private readonly timeline = new Timeline();
  private readonly workers: WorkerProcess[] = [];
  private readonly waiting: Task[] = [];
  private state: BreakerState = newBreaker();
  private mood: Mood = 'up';
  private weather: Weather = 'good';
  private calm = false;
  private promised = false;
  private processes = 0;
  private exchanges = 0;
  private tasks = 0;
  /** Looks that are due. */
  private looks = 0;
  private wrong: string | undefined;
  private readonly agent: AnyAgent;

  constructor(
    private readonly plan: FleetPlan,
    private readonly random: Random,
    private readonly watch: Watch,
  ) {
    this.agent = agentOf(plan.settings);
  }

  /** Runs to the end of all tasks. Resolves to what was wrong first, where anything was. */
  async run(): Promise<string | undefined> {
    for (let index = 0; index < this.plan.workers; index += 1) this.beginWorker();
    this.later(this.plan.trouble, () => this.calmDown());
    if (this.plan.trouble > 0) {
      this.changeMood();
      this.changeWeather();
      this.strike();
    }
    this.arrive();
    for (let next = this.timeline.next(); next !== undefined; next = this.timeline.next()) {
      // Workers look for ever.
      if (this.timeline.size < this.looks) return undefined;
      this.now = next.at;
      if (this.now > this.plan.trouble + TOO_LONG) return 'it does not come to an end';
      next.work();
      // Only what waits for an answer goes on by itself.
      if (this.promised) await settled();
      this.promised = false;
      if (this.wrong !== undefined) return this.wrong;
    }
    return undefined;
  }

  private tell(fact: Fact): void {
    this.wrong ??= this.watch(this.now, fact);
  }

  private later(wait: number, work: () => void): void {
    this.timeline.add(this.now + wait, work);
  }

  private chance(share: number): boolean {
    return this.random.between(0, 1) < share;
  }

  private calmDown(): void {
    this.calm = true;
    this.mood = 'up';
    this.weather = 'good';
    this.tell({ type: 'calmed' });
  }

  private changeMood(): void {
    if (this.calm) return;
    this.mood = this.random.oneOf<Mood>(['up', 'up', 'down', 'down', 'hanging', 'slow', 'flaky', 'pacing']);
    this.later(this.random.between(200, 6000), () => this.changeMood());
  }

  private changeWeather(): void {
    if (this.calm) return;
    this.weather = this.random.oneOf<Weather>(['good', 'good', 'good', 'lossy', 'away']);
    this.later(this.random.between(300, 5000), () => this.changeWeather());
  }

  /** Now and then a worker dies, whatever it is at. */
  private strike(): void {
    this.later(this.random.between(1000, 15_000), () => {
      if (this.calm) return;
      const living = this.workers.filter(({ alive }) => alive);
      if (living.length > 0) this.kill(this.random.oneOf(living));
      this.strike();
    });
  }

  private beginWorker(): void {
    const id = this.processes;
    this.processes += 1;
    const [began, offset] = [this.now, this.random.between(0, 1e6)];
    const rate = this.random.between(0.999, 1.001);
    const around = {
      id: `worker ${id}`,
      now: () => offset + (this.now - began) * rate,
      random: () => this.random.between(0, 1),
      later: (work: () => void, wait: number) => this.later(wait / rate, () => worker.alive && work()),
    };
    const breakers = new Breakers(
      [this.agent],
      { report: (_key, report) => this.report(worker, report), notClosed: () => this.notClosed(worker) },
      () => undefined,
      around,
    );
    const worker: WorkerProcess = {
      id,
      now: around.now,
      guard: () => found(breakers.guardOf(this.agent)),
      at: new Map(),
      alive: true,
      answered: true,
    };
    this.workers.push(worker);
    this.look(worker, breakers);
    this.tell({ type: 'workerBegan', worker: id });
    this.dispatch();
  }

  private look(worker: WorkerProcess, breakers: Breakers): void {
    if (!worker.alive) return;
    this.promised = true;
    breakers.look();
    this.looks += 1;
    this.later(LOOK_INTERVAL, () => {
      this.looks -= 1;
      this.look(worker, breakers);
    });
  }

  /** What it was at is given to others once it is missed. */
  private kill(worker: WorkerProcess): void {
    if (this.calm || !worker.alive) return;
    worker.alive = false;
    this.workers.splice(this.workers.indexOf(worker), 1);
    this.tell({ type: 'workerDied', worker: worker.id });
    for (const task of worker.at.keys()) this.later(this.random.between(500, 2000), () => this.spend(task));
    this.later(this.random.between(100, 3000), () => this.beginWorker());
  }

  private arrive(): void {
    if (this.isOver()) return;
    const task = { id: this.tasks, waited: false, spent: 0 };
    this.tasks += 1;
    this.tell({ type: 'taskBegan', task: task.id });
    this.queue(task);
    this.later(this.random.between(20, 400), () => this.arrive());
  }

  /** What the trouble has left is told, and the breaker is closed nevertheless. */
  private isOver(): boolean {
    const { trouble, timeLimit } = this.plan;
    const told = this.workers.every(({ answered }) => answered);
    return this.now > trouble + timeLimit + 1000 && told && this.state.phase.kind === 'closed';
  }

  private queue(task: Task): void {
    this.waiting.push(task);
    this.dispatch();
  }

  private dispatch(): void {
    for (;;) {
      const free = this.workers.filter(({ at }) => at.size < this.plan.slots);
      const task = free.length === 0 ? undefined : this.waiting.shift();
      if (task === undefined) return;
      this.attempt(this.random.oneOf(free), task);
    }
  }

  private attempt(worker: WorkerProcess, task: Task): void {
    worker.at.set(task, undefined);
    const guard = worker.guard();
    this.tell({ type: 'offered', worker: worker.id, task: task.id });
    const admission = guard.breaker.admit(task.waited);
    if (!(admission instanceof Promise)) return this.decided(worker, task, admission, false);
    void admission.then((one) => {
      if (worker.alive) this.decided(worker, task, one, true);
    });
  }

  private decided(worker: WorkerProcess, task: Task, admission: Admission, asked: boolean): void {
    const said = { worker: worker.id, local: worker.now(), task: task.id, waited: task.waited, asked };
    if (admission.kind === 'admitted') {
      this.tell({ type: 'admitted', ...said, admission });
      this.call(worker, task, admission);
    } else {
      this.tell({ type: 'refused', ...said, admission });
      this.hold(worker, task, admission.retryAfter);
    }
  }

  /** As the task's workflow does it. */
  private hold(worker: WorkerProcess, task: Task, wait: number): void {
    task.waited = true;
    this.later(Math.ceil(wait), () => this.queue(task));
    this.leave(worker, task);
  }

  private leave(worker: WorkerProcess, task: Task): void {
    worker.at.delete(task);
    this.dispatch();
  }

  private call(worker: WorkerProcess, task: Task, admission: Admitted): void {
    worker.at.set(task, admission);
    const [time, outcome] = this.answer();
    if (admission.probe !== undefined && this.chance(0.15)) {
      this.later(this.random.between(0, time), () => this.kill(worker));
    }
    this.later(time, () => {
      if (!worker.alive) return;
      const slow = worker.now() - admission.beganAt > this.plan.settings.slowCallDuration;
      const said = { worker: worker.id, local: worker.now(), task: task.id };
      this.tell({ type: 'ended', ...said, admission, outcome, slow });
      worker.guard().breaker.record(admission, outcome, outcome === 'failure' ? 'HTTP 500' : undefined);
      if (typeof outcome === 'object') return this.hold(worker, task, outcome.paced);
      if (outcome === 'failure' && admission.probe !== undefined) return this.sendBack(worker, task);
      if (outcome === 'success') this.end(task, 'completed');
      else this.spend(task);
      this.leave(worker, task);
    });
  }

  private sendBack(worker: WorkerProcess, task: Task): void {
    this.promised = true;
    void worker
      .guard()
      .breaker.afterProbe()
      .then((admission) => {
        if (!worker.alive) return;
        this.tell({ type: 'sentBack', worker: worker.id, task: task.id, admission });
        this.hold(worker, task, admission.retryAfter);
      });
  }

  /** What the agent does with a call that comes now: after how long, and how it ends. */
  private answer(): [number, Outcome | 'success'] {
    const { timeLimit, settings } = this.plan;
    const quick = this.random.between(5, CALL_TIME);
    const slow = settings.slowCallDuration * this.random.between(1, 2);
    const answers = {
      up: [quick, 'success'],
      down: [quick, 'failure'],
      hanging: [timeLimit, 'failure'],
      slow: slow > timeLimit ? [timeLimit, 'failure'] : [slow, 'success'],
      flaky: [quick, this.random.oneOf(['success', 'failure', 'ignored'])],
      pacing: [quick, { paced: Math.floor(this.random.between(1000, 4000)) }],
    } satisfies Record<Mood, [number, Outcome | 'success']>;
    return answers[this.mood];
  }

  private spend(task: Task): void {
    task.spent += 1;
    if (task.spent >= ATTEMPTS) return this.end(task, 'failed');
    this.later(200 * 2 ** task.spent, () => this.queue(task));
  }

  private end({ id, spent }: Task, how: 'completed' | 'failed'): void {
    this.tell({ type: 'taskEnded', task: id, how, spent });
  }

  private report(worker: WorkerProcess, report: BreakerReport): Promise<BreakerReply> {
    const exchange = this.exchanges;
    this.exchanges += 1;
    this.tell({ type: 'told', worker: worker.id, local: worker.now(), exchange, report });
    worker.answered = false;
    // Whoever sends it must not change it afterwards.
    const message = JSON.stringify(report);
    return new Promise((resolve, reject) => {
      let open = true;
      const close = (work: () => void): void => {
        if (!open || !worker.alive) return;
        open = false;
        this.promised = true;
        work();
      };
      const fail = (): void => {
        this.tell({ type: 'unanswered', worker: worker.id, exchange });
        reject(new Error('The breaker does not answer'));
      };
      this.later(DEADLINE, () => close(fail));
      const silent = this.send(() => {
        const reply = this.apply(worker, JSON.parse(message));
        this.send(() =>
          close(() => {
            worker.answered = true;
            this.tell({ type: 'answered', worker: worker.id, local: worker.now(), exchange, reply });
            resolve(reply);
          }),
        );
      });
      if (silent && this.chance(0.5)) this.later(this.random.between(1, 20), () => close(fail));
    });
  }

  /** Has a message arrive, or get lost. Returns whether it was lost at once. */
  private send(arrive: () => void): boolean {
    const lost = this.weather === 'away' || (this.weather === 'lossy' && this.chance(0.3));
    const most = this.weather === 'lossy' ? 1.5 * DEADLINE : LATENCY;
    if (!lost) this.later(this.random.between(1, most), () => this.weather !== 'away' && arrive());
    return lost;
  }

  private apply(worker: WorkerProcess, message: unknown): BreakerReply {
    if (this.chance(0.05) && this.state.phase.kind !== 'halfOpen') this.continueAsNew();
    const report = readReport(message);
    const before = this.state;
    const now = EPOCH + Math.floor(this.now);
    this.state = foldBreaker(before, reportEvents(report, before, now, this.random.between(0, 1)));
    this.tell({ type: 'applied', worker: worker.id, report, before, after: this.state });
    return JSON.parse(JSON.stringify(replyTo(before, this.state, now))) as BreakerReply;
  }

  private continueAsNew(): void {
    const snapshot: unknown = JSON.parse(JSON.stringify({ key: KEY, state: this.state }));
    this.state = breakerStart({ snapshot }).state;
  }

  /** A list of the server's, which is up to a second behind. */
  private notClosed(worker: WorkerProcess): Promise<readonly OpenBreaker[]> {
    const { kind } = this.state.phase;
    const open = kind === 'closed' ? [] : [{ key: KEY, kind }];
    return new Promise((resolve) => {
      this.later(this.random.between(10, 1000), () => {
        if (!worker.alive || this.weather === 'away') return;
        this.promised = true;
        resolve(open);
      });
    });
  }
}

/** Since the server's clock is told apart from the simulation's. */
export function serverTime(at: number): number {
  return EPOCH + Math.floor(at);
}

function agentOf(settings: BreakerSettings): AnyAgent {
  const anything = {
    '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) },
  } as const;
  return defineAgent({
    name: 'caller',
    description: 'Calls.',
    input: anything,
    output: anything,
    policy: { breaker: { key: KEY, ...settings } },
    act: () => undefined,
  });
}

function found<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new TypeError('Expected the agent to have a guard');
  return value;
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Scheduled {
  readonly at: number;
  readonly work: () => void;
}

/** What is to happen, by its moment; what comes at one moment in the order in which it was added. A binary heap. */
class Timeline {
  private readonly heap: (Scheduled & { readonly order: number })[] = [];
  private added = 0;

  add(at: number, work: () => void): void {
    this.added += 1;
    const item = { at, work, order: this.added };
    let index = this.heap.length;
    this.heap.push(item);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.heap[parent];
      if (above === undefined || !isEarlier(item, above)) break;
      this.heap[index] = above;
      index = parent;
    }
    this.heap[index] = item;
  }

  get size(): number {
    return this.heap.length;
  }

  next(): Scheduled | undefined {
    const [first] = this.heap;
    const last = this.heap.pop();
    if (first !== undefined && last !== undefined && this.heap.length > 0) this.sink(last);
    return first;
  }

  private sink(item: Scheduled & { readonly order: number }): void {
    let index = 0;
    for (;;) {
      const left = this.heap[2 * index + 1];
      const right = this.heap[2 * index + 2];
      const isRight = left !== undefined && right !== undefined && isEarlier(right, left);
      const child = isRight ? right : left;
      if (child === undefined || !isEarlier(child, item)) break;
      this.heap[index] = child;
      index = 2 * index + (isRight ? 2 : 1);
    }
    this.heap[index] = item;
  }
}

function isEarlier(
  a: { readonly at: number; readonly order: number },
  b: { readonly at: number; readonly order: number },
): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
