// Pure: agents that gossip, on a network and with workers that fail, against what must hold once all is well again.
import { exceeds } from '../../../src/core/crdt/causal-context';
import { encodeKnowledge } from '../../../src/core/crdt/knowledge-json';
import { dotsAt } from '../../../src/core/crdt/handles';
import type { Operation } from '../../../src/core/crdt/replica';
import { elementKey } from '../../../src/core/crdt/collection';
import { MESSAGE_VERSION } from '../../../src/core/agent/agent-messages';
import { membersIn } from '../../../src/core/agent/agent-state';
import { FANOUT, ROUND, roundsToAll } from '../../../src/core/agent/gossip';
import type { Member } from '../../../src/core/agent/members';
import { Random } from '../../support/random';
import { FAIR, SimulatedCadre, type Weather } from './simulated-cadre';

const SEEDS = 300;
const MEMBERS_MAXIMUM = 12;
const THINGS = 30;
/** How long things happen, in ms. */
const BUSY = 9000;
/** Rounds after the last operation and fault in which all must agree. */
const ROUNDS_MAXIMUM = 10;
/** They take 10 s where nothing else runs. In ms. */
const TIME_LIMIT = 120_000;

/** What a run is like. */
interface Plan {
  readonly members: number;
  readonly weather: Weather;
  /** How often each happens, of 100 things that do. */
  readonly terminated: number;
  readonly joined: number;
  readonly left: number;
  readonly outages: number;
}

function planFor(random: Random): Plan {
  const often = (share: number): number => random.oneOf([0, share]);
  return {
    members: Math.floor(random.between(2, random.oneOf([5, MEMBERS_MAXIMUM + 1]))),
    weather: {
      slow: often(0.2),
      slowest: random.oneOf([900, 5000]),
      doubled: often(0.2),
      refused: random.oneOf([0, 0.05, 0.3]),
      unreachable: often(0.5),
      continued: random.oneOf([0, 0.02, 0.2]),
    },
    terminated: often(15),
    joined: often(15),
    left: often(8),
    outages: often(5),
  };
}

/** One run of a cadre. What came of it is in its fields. */
class Simulation {
  readonly random: Random;
  readonly cadre: SimulatedCadre;
  readonly plan: Plan;
  /** What was remembered, by its id, under the run that took it; a run that was terminated may have lost it. */
  readonly taken = new Map<string, string>();
  readonly terminated = new Set<string>();
  readonly left = new Set<string>();
  wrong: string | undefined;
  /** From the last operation and fault on. */
  roundsToAgree = 0;
  private members: Member[];
  private operations = 0;

  constructor(readonly seed: number) {
    this.random = new Random(seed);
    this.plan = planFor(this.random);
    this.cadre = new SimulatedCadre(this.random);
    this.members = Array.from({ length: this.plan.members }, (_none, index) => `agent-${index}`);
  }

  run(): this {
    try {
      this.live();
      this.heal();
      this.agree();
    } catch (error) {
      this.wrong = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    return this;
  }

  private live(): void {
    const { cadre, random, plan, members } = this;
    for (const member of members) cadre.known.add(member);
    cadre.weather = plan.weather;
    // All at once, or one after the other.
    const spread = random.oneOf([1, 3000]);
    for (const member of members) {
      cadre.at(cadre.now + Math.floor(random.between(0, spread)), () => {
        if (cadre.known.has(member)) cadre.ensure(member);
      });
    }
    const until = cadre.now + BUSY;
    const pause = BUSY / THINGS;
    for (let at = cadre.now; at < until; at += random.between(0, 2 * pause)) {
      cadre.at(Math.floor(at), () => this.happen());
    }
    cadre.runUntil(until);
  }

  private happen(): void {
    const { random, plan, cadre } = this;
    let dice = random.between(0, 100);
    const is = (share: number): boolean => (dice -= share) < 0;
    const members = [...cadre.known];
    if (is(plan.terminated)) this.terminate(random.oneOf(members));
    else if (is(plan.joined)) this.join();
    else if (is(plan.left) && members.length > 2) this.leave(random.oneOf(members));
    else if (is(plan.outages)) cadre.loseWorkers(Math.floor(random.between(500, 4000)));
    else this.remember(random.oneOf(members));
  }

  private terminate(member: Member): void {
    const agent = this.cadre.running.get(member);
    if (agent === undefined) return;
    this.terminated.add(agent.firstRunId);
    this.cadre.terminate(member);
  }

  private join(): void {
    const { cadre } = this;
    if (cadre.known.size >= MEMBERS_MAXIMUM) return;
    const member = `agent-${this.members.length}`;
    this.members = [...this.members, member];
    cadre.known.add(member);
    cadre.ensure(member);
  }

  private leave(member: Member): void {
    const { cadre } = this;
    cadre.known.delete(member);
    cadre.note(`${member} is told to leave`);
    const agent = cadre.running.get(member);
    if (agent === undefined) return;
    this.left.add(agent.firstRunId);
    agent.leave();
  }

  private remember(member: Member): void {
    const { random, cadre } = this;
    this.operations += 1;
    const id = `task-${this.operations}`;
    const message = {
      version: MESSAGE_VERSION,
      id,
      task: id,
      decisions: [],
      operations: this.operationsFor(member, id),
    } as const;
    const agent = cadre.remember(member, message);
    this.taken.set(id, agent.firstRunId);
    if (random.between(0, 1) < 0.2) {
      // The same once more, to the same run.
      cadre.at(cadre.now + Math.floor(random.between(0, 3000)), () => {
        if (cadre.running.get(member) === agent) agent.signal('remember', message);
      });
    }
  }

  /** A finding that no other task has, a count of it, and something that others write, too. */
  private operationsFor(member: Member, id: string): Operation[] {
    const { random, cadre } = this;
    const value = random.oneOf(['a', 'b', 'c']);
    const place = { type: 'orSet', name: 'shared' } as const;
    const agent = cadre.workersAreAway ? undefined : cadre.running.get(member);
    const dots = agent === undefined ? [] : dotsAt(agent.state.replica.entries(place), elementKey(value));
    return [
      { type: 'gSet', name: 'found', add: id },
      { type: 'pnCounter', name: 'count', by: 1 },
      dots.length > 0 && random.between(0, 1) < 0.4
        ? { ...place, remove: elementKey(value), dots }
        : { ...place, add: value },
      { type: 'lwwRegister', name: 'last', assign: id },
    ];
  }

  /** All goes well from now on, and all that workers know is there. */
  private heal(): void {
    const { cadre } = this;
    cadre.note('all is well');
    cadre.weather = FAIR;
    // What is under way may take as long as it did.
    cadre.runUntil(cadre.now + this.plan.weather.slowest + 3000);
    for (const member of cadre.known) cadre.ensure(member);
    cadre.note('all are there');
  }

  private agree(): void {
    const { cadre } = this;
    const began = cadre.now;
    while (this.disagreement() !== undefined) {
      if (cadre.now - began > ROUNDS_MAXIMUM * ROUND) throw new Error(this.disagreement());
      cadre.runUntil(cadre.now + ROUND);
    }
    this.roundsToAgree = (cadre.now - began) / ROUND;
    cadre.runUntil(cadre.now + 60 * ROUND);
    if (!cadre.isSilent) throw new Error('They have not fallen silent within a minute');
    const disagreement = this.disagreement();
    if (disagreement !== undefined) throw new Error(`They agreed, and then did not: ${disagreement}`);
    this.checkFound();
  }

  /** What two of them differ in. */
  private disagreement(): string | undefined {
    const [first, ...others] = [...this.cadre.running.values()];
    if (first === undefined) return 'There is nobody';
    const { replica } = first.state;
    const text = JSON.stringify(encodeKnowledge(replica.knowledge));
    for (const { member, state } of others) {
      const { context, knowledge } = state.replica;
      if (exceeds(replica.context, context)) return `${member} lacks what ${first.member} has`;
      if (exceeds(context, replica.context)) return `${first.member} lacks what ${member} has`;
      if (JSON.stringify(encodeKnowledge(knowledge)) !== text) return `${first.member} and ${member} differ`;
    }
    const members = membersIn(first.state);
    const stranger = [...this.cadre.running.keys()].find((member) => !members.includes(member));
    return stranger === undefined ? undefined : `${stranger} is a member for nobody`;
  }

  private checkFound(): void {
    const [first] = this.cadre.running.values();
    if (first === undefined) return;
    const found = new Set(first.state.replica.value('gSet', 'found'));
    for (const [id, run] of this.taken) {
      if (!found.has(id) && !this.mayBeLost(run)) throw new Error(`${id}, which ${run} took, is lost`);
    }
    const count = first.state.replica.value('pnCounter', 'count');
    // A total that arrived counts what was lost before it with the run that took it.
    const most = this.terminated.size === 0 ? found.size : this.taken.size;
    if (count < found.size || count > most) throw new Error(`${found.size} were found, and ${count} counted`);
  }

  /** True for what one took that was terminated, or that left it to one that was. */
  private mayBeLost(run: string): boolean {
    return this.terminated.has(run) || (this.left.has(run) && this.terminated.size > 0);
  }
}

test(
  `${SEEDS} cadres agree once all is well, have lost and doubled nothing, and fall silent`,
  () => {
    const runs = Array.from({ length: SEEDS }, (_none, index) => new Simulation(index + 1).run());
    const broken = runs.filter(({ wrong }) => wrong !== undefined);
    const [first] = broken;
    if (first !== undefined) {
      throw new Error(
        `${broken.length} do not (${broken
          .map(({ seed }) => seed)
          .join(', ')
          .slice(
            0,
            200,
          )}); seed ${first.seed}: ${first.wrong}\n${JSON.stringify(first.plan)}\n${first.cadre.trace}`,
      );
    }
    // It is about something.
    const sum = (count: (run: Simulation) => number): number =>
      runs.reduce((total, run) => total + count(run), 0);
    expect(sum(({ cadre }) => cadre.sent)).toBeGreaterThan(100 * SEEDS);
    expect(sum(({ cadre }) => cadre.doubled)).toBeGreaterThan(5 * SEEDS);
    expect(sum(({ cadre }) => cadre.refused)).toBeGreaterThan(5 * SEEDS);
    expect(sum(({ cadre }) => cadre.continued)).toBeGreaterThan(5 * SEEDS);
    expect(sum(({ terminated }) => terminated.size)).toBeGreaterThan(SEEDS / 2);
    expect(sum(({ left }) => left.size)).toBeGreaterThan(SEEDS / 5);
  },
  TIME_LIMIT,
);

describe.each([2, 5, 12, 25])('%i agents where all goes well', (size) => {
  const cadre = new SimulatedCadre(new Random(size));
  const members = Array.from({ length: size }, (_none, index) => `agent-${index}`);
  for (const member of members) cadre.known.add(member);
  for (const member of members) cadre.ensure(member);
  cadre.runUntil(cadre.now + 20 * ROUND);
  const told = new Map<string, number>();
  let answers = 0;
  cadre.posted = ({ round, to, kind }) => {
    if (kind === 'answer') answers += 1;
    if (kind === 'round') told.set(`${round} ${to}`, (told.get(`${round} ${to}`) ?? 0) + 1);
  };
  const remember = (second: number, member: Member): void => {
    cadre.at(cadre.now + second * ROUND + Math.floor(cadre.random.between(0, ROUND)), () => {
      const id = `${second} ${member}`;
      const operations = [{ type: 'gSet', name: 'found', add: id }] as const;
      cadre.remember(member, { version: MESSAGE_VERSION, id, task: id, decisions: [], operations });
    });
  };
  for (let second = 0; second < 10; second += 1) for (const member of members) remember(second, member);
  cadre.runUntil(cadre.now + 60 * ROUND);

  test('know the same, and are silent', () => {
    expect(cadre.isSilent).toBe(true);
    for (const { state } of cadre.running.values()) {
      expect(state.replica.value('gSet', 'found')).toHaveLength(10 * size);
      expect(membersIn(state)).toEqual([...members].sort());
      expect(state.refusals).toEqual([]);
    }
  });

  test(`tell each at most ${FANOUT} times a round`, () => {
    expect(Math.max(...told.values())).toBeLessThanOrEqual(FANOUT);
  });

  test('ask nothing, since nothing is lacking', () => {
    expect(answers).toBe(0);
  });
});

describe.each([2, 4, 12])('%i agents that begin at once, each told by a task', (size) => {
  const RUNS = 30;
  /** Of each run, ms until all agreed. */
  const times = Array.from({ length: RUNS }, (_none, seed) => {
    const cadre = new SimulatedCadre(new Random(seed + 1));
    const members = Array.from({ length: size }, (_empty, index) => `agent-${index}`);
    for (const member of members) cadre.known.add(member);
    const began = cadre.now + Math.floor(cadre.random.between(0, ROUND));
    for (const member of members) {
      cadre.at(began + Math.floor(cadre.random.between(0, 100)), () => {
        const operations = [{ type: 'gSet', name: 'found', add: member }] as const;
        cadre.remember(member, {
          version: MESSAGE_VERSION,
          id: member,
          task: 'task',
          decisions: [],
          operations,
        });
      });
    }
    const agree = (): boolean =>
      cadre.running.size === size &&
      [...cadre.running.values()].every(
        ({ state }) => (state.replica.value('gSet', 'found') as unknown[]).length === size,
      );
    while (!agree()) cadre.runUntil(Math.max(cadre.now, began) + 10);
    return cadre.now - began;
  });

  test('agree in the rounds it takes, as a rule, and always in three more', () => {
    const sorted = times.sort((a, b) => a - b);
    expect(sorted[RUNS / 2]).toBeLessThanOrEqual(roundsToAll(size) * ROUND);
    expect(sorted.at(-1)).toBeLessThanOrEqual((roundsToAll(size) + 3) * ROUND);
  });
});
