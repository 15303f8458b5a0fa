/**
 * A cadre's agents in one process, on a clock of their own and a network that delays, doubles, reorders and refuses. Each
 * has the loop of `src/workflows/agent-run.ts`, line by line, with the real state and outbox.
 */
import type { Gossip, Remember } from '../../../src/core/agent/agent-messages';
import {
  type AgentEvent,
  type AgentState,
  type Evolved,
  cohortOf,
  evolveAgent,
  heardEvent,
  membersIn,
  rememberedEvent,
  rereadAgent,
  snapshotOf,
} from '../../../src/core/agent/agent-state';
import { type AgentBeginning, agentBeginning } from '../../../src/core/agent/agent-start';
import { roundAt } from '../../../src/core/agent/gossip';
import type { Member } from '../../../src/core/agent/members';
import { type Letter, Outbox } from '../../../src/core/agent/outbox';
import type { Random } from '../../support/random';

export const CADRE = 'cadre';
/** 2023-11-14, in ms. */
const START = 1_700_000_000_000;
const TRACE_LENGTH = 60;

/** How bad the network and the workers are. Shares are from 0 to 1, times in ms. */
export interface Weather {
  /** Of messages that take up to `slowest` rather than 50 ms. */
  readonly slow: number;
  readonly slowest: number;
  readonly doubled: number;
  /** Of messages that are refused; half of them arrive all the same. */
  readonly refused: number;
  /** Of attempts to start another agent that fail. */
  readonly unreachable: number;
  /** Of times an agent looks at its mail at which it goes on in a new run. */
  readonly continued: number;
}

export const FAIR: Weather = { slow: 0, slowest: 50, doubled: 0, refused: 0, unreachable: 0, continued: 0 };

type Sent = 'delivered' | 'missing' | 'refused';
/** What a task of an agent waits for. */
type Wait = () => boolean;
type Task = Generator<Wait, void, void>;

/** One that is sent, as the tests look at it. */
export interface Posted {
  readonly from: Member;
  readonly to: Member;
  /** The sender's. */
  readonly round: number;
  readonly kind: 'round' | 'answer' | 'search';
  readonly gossip: Gossip;
}

export class SimulatedCadre {
  now = START;
  weather = FAIR;
  /** Agents that workers know. */
  readonly known = new Set<Member>();
  readonly running = new Map<Member, SimulatedAgent>();
  private readonly notes: (() => string)[] = [];
  sent = 0;
  doubled = 0;
  refused = 0;
  continued = 0;
  posted: (letter: Posted) => void = () => undefined;
  private readonly events = new EventQueue();
  private born = 0;
  private workersBackAt = 0;

  constructor(readonly random: Random) {}

  get round(): number {
    return roundAt(this.now);
  }

  at(at: number, run: () => void): void {
    this.events.add(at, run);
  }

  /** Until `end`, or until nothing is to come. */
  runUntil(end: number): void {
    for (let next = this.events.next(end); next !== undefined; next = this.events.next(end)) {
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = Math.max(this.now, Math.min(end, Number.MAX_SAFE_INTEGER));
  }

  /** True where nothing will ever happen any more. */
  get isSilent(): boolean {
    return this.events.isEmpty;
  }

  get workersAreAway(): boolean {
    return this.now < this.workersBackAt;
  }

  /** Nobody runs workflows for so long; what comes is kept for them. */
  loseWorkers(ms: number): void {
    this.note(`workers are away for ${ms} ms`);
    this.workersBackAt = Math.max(this.workersBackAt, this.now + ms);
    this.at(this.workersBackAt, () => {
      if (!this.workersAreAway) for (const agent of this.running.values()) agent.wake();
    });
  }

  /** Starts `member` where it is not there. */
  ensure(member: Member): SimulatedAgent {
    const there = this.running.get(member);
    if (there !== undefined) return there;
    const agent = this.create(member);
    agent.wake();
    return agent;
  }

  private create(member: Member): SimulatedAgent {
    this.born += 1;
    const runId = `run-${String(this.born).padStart(8, '0')}`;
    this.note(`${member} starts as ${runId.slice(-8)}`);
    const agent = new SimulatedAgent(
      this,
      member,
      runId,
      [...this.known].filter((one) => one !== member).toReversed(),
    );
    this.running.set(member, agent);
    return agent;
  }

  /** Tells `member`, which is started where it is not there. */
  remember(member: Member, message: Remember): SimulatedAgent {
    this.note(`${member} remembers ${message.id}`);
    // Its first workflow task has both.
    const agent = this.running.get(member) ?? this.create(member);
    agent.signal('remember', clone(message));
    return agent;
  }

  terminate(member: Member): void {
    this.note(`${member} is terminated`);
    this.running.get(member)?.end();
    this.running.delete(member);
  }

  note(text: string | (() => string)): void {
    const seconds = ((this.now - START) / 1000).toFixed(3);
    this.notes.push(() => `${seconds} ${typeof text === 'string' ? text : text()}`);
    if (this.notes.length > TRACE_LENGTH) this.notes.shift();
  }

  /** What happened last. */
  get trace(): string {
    return this.notes.map((note) => note()).join('\n');
  }

  post(letter: Posted, answered: (how: Sent) => void): void {
    const { random, weather } = this;
    this.sent += 1;
    this.posted(letter);
    const fate = random.between(0, 1);
    const isRefused = fate < weather.refused;
    if (isRefused) this.refused += 1;
    const arrive = (): Sent => {
      const there = this.running.get(letter.to);
      this.note(() => wordsOf(letter, there !== undefined));
      if (there === undefined) return 'missing';
      there.signal('gossip', clone(letter.gossip));
      return 'delivered';
    };
    this.at(this.now + this.delay(), () => {
      const how = isRefused && fate > weather.refused / 2 ? 'refused' : arrive();
      this.at(this.now + this.delay(), () => answered(isRefused && how === 'delivered' ? 'refused' : how));
    });
    if (random.between(0, 1) < weather.doubled) {
      this.doubled += 1;
      this.at(this.now + this.delay() + random.between(0, 3000), arrive);
    }
  }

  /** The activity `ensureAgent`. */
  ensureAgent(member: Member, answered: (found: 'started' | 'unknown' | 'unreachable') => void): void {
    this.at(this.now + this.delay(), () => {
      if (this.random.between(0, 1) < this.weather.unreachable) return answered('unreachable');
      if (!this.known.has(member)) return answered('unknown');
      this.ensure(member);
      answered('started');
    });
  }

  private delay(): number {
    const { random, weather } = this;
    return Math.floor(random.between(1, random.between(0, 1) < weather.slow ? weather.slowest : 50));
  }
}

/** One agent's workflow, over all its runs. */
export class SimulatedAgent {
  private begun: Run | undefined;
  private mail: ((run: Run) => void)[] = [];
  private ended = false;

  constructor(
    readonly cadre: SimulatedCadre,
    readonly member: Member,
    readonly firstRunId: string,
    private readonly seeds: readonly Member[],
  ) {}

  /** Throws Error before a worker has begun it. */
  get state(): AgentState {
    if (this.begun === undefined) throw new Error(`${this.member} has not begun`);
    return this.begun.current;
  }

  signal(kind: 'remember' | 'gossip', message: unknown): void {
    this.receive((run) => (kind === 'remember' ? run.remember(message) : run.hear(message)));
  }

  leave(): void {
    this.receive((run) => run.leave());
  }

  /** Handles `event` as soon as a worker is there. */
  receive(event: (run: Run) => void): void {
    if (this.ended) return;
    this.mail.push(event);
    this.wake();
  }

  wake(): void {
    const { member, seeds, cadre } = this;
    if (this.ended || cadre.workersAreAway) return;
    const run = (this.begun ??= new Run(this, agentBeginning({ member, seeds }, CADRE, this.firstRunId)));
    for (const event of this.mail.splice(0)) {
      run.historyLength += 1;
      event(run);
    }
    const how = run.goOn();
    if (how === 'left') {
      cadre.note(`${member} has left`);
      this.end();
      cadre.running.delete(member);
    } else if (how === 'continued') {
      cadre.continued += 1;
      cadre.note(`${member} continues as new`);
      const snapshot = clone({ agent: snapshotOf(run.current), outbox: run.outbox.toJSON() });
      this.begun = new Run(this, agentBeginning({ snapshot }, CADRE, this.firstRunId));
      this.wake();
    }
  }

  end(): void {
    this.ended = true;
  }
}

/** The class AgentRun, with generators in the place of promises. */
class Run {
  current: AgentState;
  readonly outbox: Outbox;
  historyLength = 0;
  private readonly answers: Letter[] = [];
  private readonly starting = new Map<Member, Letter>();
  private readonly seeds: readonly Member[];
  private tasks: { task: Task; wait: Wait }[] = [];
  private how: 'running' | 'left' | 'continued' = 'running';
  private isTold = false;

  constructor(
    private readonly agent: SimulatedAgent,
    beginning: AgentBeginning,
  ) {
    this.current = beginning.state;
    if (beginning.kind === 'new') {
      this.outbox = new Outbox();
      this.seeds = beginning.seeds;
      this.record({ type: 'joined', at: this.now });
    } else {
      this.outbox = Outbox.read(beginning.outbox, this.now, cohortOf(this.current).length);
      this.seeds = [];
      this.take(rereadAgent(this.current, this.now));
    }
    this.begin(this.gossip());
  }

  remember(message: unknown): void {
    this.record(rememberedEvent(message, this.now));
  }

  hear(message: unknown): void {
    const event = heardEvent(message, this.now);
    const { refused } = this.current;
    this.record(event);
    if (event.type !== 'heard' || event.read.kind !== 'message') return;
    const { message: heard } = event.read;
    if (heard.cadre !== this.current.cadre) return;
    const answer = this.outbox.answer(this.current, heard, this.current.refused === refused);
    if (answer !== undefined) this.answers.push(answer);
  }

  leave(): void {
    if (!this.current.left) this.record({ type: 'left', at: this.now });
  }

  /** Goes on as far as it can. */
  goOn(): 'running' | 'left' | 'continued' {
    this.isTold ||= this.agent.cadre.random.between(0, 1) < this.agent.cadre.weather.continued;
    for (let moved = true; moved && this.how === 'running'; ) {
      moved = false;
      for (const one of this.tasks) {
        if (this.how === 'running' && one.wait()) {
          moved = true;
          this.advance(one);
        }
      }
    }
    return this.how;
  }

  private *gossip(): Task {
    yield* this.findOthers();
    for (;;) {
      yield () => this.mustSend() || this.current.left || this.isLong();
      if (this.isLong()) {
        for (const letter of this.starting.values()) this.outbox.failed(letter);
        this.how = 'continued';
        return;
      }
      yield* this.send(this.answers.splice(0), 'answer');
      if (!this.outbox.isDirty) {
        if (this.current.left && this.outbox.mayLeave(this.current)) break;
        continue;
      }
      const wait = this.outbox.dueIn(this.now);
      if (wait > 0) yield* this.sleepUnless(wait, () => this.answers.length > 0 || this.isLong());
      else yield* this.send(this.outbox.round(this.current, this.now), 'round');
    }
    this.how = 'left';
  }

  private *findOthers(): Task {
    for (const [index, seed] of this.seeds.entries()) {
      const letter = this.outbox.hello(this.current, seed, this.now);
      const how = yield* this.deliver(letter, 'search');
      const isFound = how === 'delivered' && seed < this.current.member;
      if (how === 'refused') this.outbox.failed(letter);
      if (how === 'delivered') this.outbox.seek(isFound ? this.seeds.slice(index) : [seed], this.now);
      if (isFound) return;
    }
  }

  private mustSend(): boolean {
    return this.answers.length > 0 || this.outbox.isDirty;
  }

  private isLong(): boolean {
    return this.isTold || this.historyLength >= 1000;
  }

  private *send(letters: readonly Letter[], kind: Posted['kind']): Task {
    let left = letters.length;
    for (const letter of letters) this.begin(this.sendOne(letter, kind, () => void (left -= 1)));
    if (left > 0) yield () => left === 0;
  }

  private *sendOne(letter: Letter, kind: Posted['kind'], done: () => void): Task {
    const { to } = letter;
    if (!this.starting.has(to)) {
      const how = yield* this.deliver(letter, kind);
      if (how === 'delivered') this.outbox.delivered(letter);
      else if (how === 'refused') this.outbox.failed(letter);
      else if (!membersIn(this.current).includes(to)) this.outbox.gone(to);
      else if (!this.starting.has(to)) this.begin(this.startAgain(letter));
    }
    done();
  }

  private *startAgain(letter: Letter): Task {
    const { to } = letter;
    this.starting.set(to, letter);
    const found = yield* this.asked<'started' | 'unknown' | 'unreachable'>((answered) =>
      this.agent.cadre.ensureAgent(to, answered),
    );
    this.starting.delete(to);
    if (found === 'unreachable') {
      this.outbox.failed(letter);
      return;
    }
    this.outbox.gone(to);
    if (found === 'unknown') this.record({ type: 'memberGone', at: this.now, member: to });
  }

  private *deliver({ to, gossip }: Letter, kind: Posted['kind']): Generator<Wait, Sent, void> {
    const { member: from, cadre } = this.agent;
    const posted = { from, to, gossip, kind, round: cadre.round };
    return yield* this.asked<Sent>((answered) => cadre.post(posted, answered));
  }

  /** What `ask` is answered, as an event of this run's history. */
  private *asked<Answer>(ask: (answered: (answer: Answer) => void) => void): Generator<Wait, Answer, void> {
    let answer: { is: Answer } | undefined;
    this.historyLength += 1;
    ask((is) => this.agent.receive(() => (answer = { is })));
    yield () => answer !== undefined;
    return (answer as unknown as { is: Answer }).is;
  }

  private *sleepUnless(ms: number, over: Wait): Task {
    if (over()) return;
    let fired = false;
    this.historyLength += 1;
    this.agent.cadre.at(this.now + ms, () => this.agent.receive(() => (fired = true)));
    yield () => fired || over();
  }

  private record(event: AgentEvent): void {
    this.take(evolveAgent(this.current, event));
  }

  private take(evolved: Evolved): void {
    this.current = evolved.state;
    this.outbox.take(evolved, this.now);
  }

  private begin(task: Task): void {
    this.tasks.push({ task, wait: () => true });
  }

  private advance(one: { task: Task; wait: Wait }): void {
    const { done, value } = one.task.next();
    if (done) this.tasks = this.tasks.filter((other) => other !== one);
    else one.wait = value;
  }

  private get now(): number {
    return this.agent.cadre.now;
  }
}

/** By time; at the same time, in the order in which they were added. */
class EventQueue {
  private readonly heap: { at: number; order: number; run: () => void }[] = [];
  private added = 0;

  get isEmpty(): boolean {
    return this.heap.length === 0;
  }

  add(at: number, run: () => void): void {
    const { heap } = this;
    this.added += 1;
    const event = { at, order: this.added, run };
    heap.push(event);
    for (let index = heap.length - 1; index > 0; ) {
      const parent = (index - 1) >> 1;
      if (!this.isBefore(index, parent)) return;
      this.swap(index, parent);
      index = parent;
    }
  }

  /** Takes out the next event up to `end`. */
  next(end: number): { at: number; run: () => void } | undefined {
    const { heap } = this;
    const [first] = heap;
    if (first === undefined || first.at > end) return undefined;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) heap[0] = last;
    for (let index = 0; ; ) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < heap.length && this.isBefore(child, least)) least = child;
      }
      if (least === index) return first;
      this.swap(index, least);
      index = least;
    }
  }

  private isBefore(a: number, b: number): boolean {
    const [one, other] = [this.heap[a], this.heap[b]];
    if (one === undefined || other === undefined) return false;
    return one.at < other.at || (one.at === other.at && one.order < other.order);
  }

  private swap(a: number, b: number): void {
    const [one, other] = [this.heap[a], this.heap[b]];
    if (one === undefined || other === undefined) return;
    this.heap[a] = other;
    this.heap[b] = one;
  }
}

function wordsOf({ from, to, kind, gossip }: Posted, isThere: boolean): string {
  const { version: _version, cadre: _cadre, from: _from, seen: _seen, ...said } = gossip;
  return `${from} -> ${to}${isThere ? '' : ', which is missing'} (${kind}) ${JSON.stringify(said).slice(0, 250)}`;
}

function clone<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}
