/** Replicas on a network that loses, doubles, delays and reorders what they send, and is cut in parts now and then. */
import type { CausalContext } from '../../../src/core/crdt/causal-context';
import { addAll, exceeds } from '../../../src/core/crdt/causal-context';
import { type Knowledge, join, noKnowledge } from '../../../src/core/crdt/knowledge';
import { decodeKnowledge, encodeKnowledge } from '../../../src/core/crdt/knowledge-json';
import { ReplicaState } from '../../../src/core/crdt/replica';
import { CRDT_NAMES, type CrdtName } from '../../../src/core/crdt/types';
import type { Random } from '../../support/random';
import { T } from './histories';
import { operationOf } from './operations';

const TERMS = [{ term: undefined }, { term: undefined }, { term: 1 }, { term: 2 }];
const KEYS = ['x', '__proto__', 'constructor'];
const VALUES = [1, 'yes', null, { b: 1, a: [] }, 'x'.repeat(70)];
/** Of messages that are under way at once; the oldest are lost beyond. */
const IN_FLIGHT = 40;

/** What a run is like. */
export interface NetworkPlan {
  readonly replicas: number;
  readonly turns: number;
  readonly loss: number;
  readonly doubling: number;
  readonly maxEntries: number;
  readonly types: readonly CrdtName[];
}

export function planNetwork(random: Random): NetworkPlan {
  return {
    replicas: 5,
    turns: 150,
    loss: random.oneOf([0, 0.1, 0.5]),
    doubling: random.oneOf([0, 0.2, 0.5]),
    maxEntries: random.oneOf([2, 3, 1000]),
    types: random.oneOf([CRDT_NAMES, [random.oneOf(CRDT_NAMES)]]),
  };
}

/** One that may lose its state, and comes back under another id. */
interface Member {
  state: ReplicaState;
  /** Joined deltas that it has not sent. */
  news: Knowledge;
  /** Its clock is wrong by so much, in ms. */
  readonly offset: number;
  part: number;
}

interface Message {
  readonly from: Member;
  readonly to: Member;
  readonly json: string;
}

export class SimulatedNetwork {
  /** Of all operations that did anything. */
  readonly deltas: Knowledge[] = [];
  /** Minted by members that lost their state later. */
  readonly mortal: CausalContext = new Map();
  sent = 0;
  lost = 0;
  rejoined = 0;
  private readonly members: Member[];
  private messages: Message[] = [];
  private now = T;
  private born = 0;

  constructor(
    private readonly plan: NetworkPlan,
    private readonly random: Random,
  ) {
    this.members = Array.from({ length: plan.replicas }, () => ({
      state: ReplicaState.create(this.newId()),
      news: noKnowledge('keys'),
      offset: random.oneOf([0, 0, 1000, 3_600_000, -3_600_000]),
      part: 0,
    }));
  }

  get states(): readonly ReplicaState[] {
    return this.members.map(({ state }) => state);
  }

  run(): void {
    for (let turn = 0; turn < this.plan.turns; turn += 1) this.turn();
  }

  /** All reach all, and tell each other what they lack until nobody lacks anything. Throws where that does not end. */
  heal(): void {
    this.messages = [];
    for (let round = 0; round < this.members.length; round += 1) {
      const [before, ...others] = this.states;
      const isEqual = (other: ReplicaState): boolean =>
        before !== undefined &&
        !exceeds(before.context, other.context) &&
        !exceeds(other.context, before.context);
      if (others.every(isEqual)) return;
      this.exchangeAll();
    }
    throw new Error(`They do not agree on what they have seen after ${this.members.length} rounds`);
  }

  private exchangeAll(): void {
    for (const to of this.members) {
      for (const from of this.members) {
        if (exceeds(from.state.context, to.state.context)) {
          this.merge(to, JSON.stringify(encodeKnowledge(from.state.since(to.state.context))));
        }
      }
    }
  }

  private turn(): void {
    const { random } = this;
    const member = random.oneOf(this.members);
    this.now += random.between(0, 2) < 1 ? 0 : Math.floor(random.between(0, 5000));
    const dice = random.between(0, 100);
    if (dice < 35) this.operate(member);
    else if (dice < 55) this.push(member);
    else if (dice < 65) this.answer(member);
    else if (dice < 92) this.deliver();
    else if (dice < 95) for (const one of this.members) one.part = Math.floor(random.between(0, 2));
    else if (dice < 97) for (const one of this.members) one.part = 0;
    else if (dice < 99) member.state = ReplicaState.read(JSON.parse(JSON.stringify(member.state)));
    else this.replace(member);
  }

  private operate({ state, news, offset }: Member): void {
    const { random } = this;
    const operation = operationOf(
      { type: random.oneOf(this.plan.types), name: random.oneOf(['facts', '__proto__']) },
      {
        key: random.oneOf(KEYS),
        value: random.oneOf(VALUES),
        amount: random.oneOf([1, 2, 3]),
        ...random.oneOf(TERMS),
        removes: random.oneOf([true, false, false]),
        read: random.oneOf([state, state, random.oneOf(this.states)]),
      },
    );
    const delta = state.apply(operation, this.now + offset, this.plan.maxEntries);
    if (delta === undefined) return;
    this.deltas.push(delta);
    join(news, delta);
  }

  /** Tells others of its news. */
  private push(member: Member): void {
    if (member.news.context.size === 0) return;
    const json = JSON.stringify(encodeKnowledge(member.news));
    member.news = noKnowledge('keys');
    for (const to of this.members)
      if (to !== member && this.random.between(0, 1) < 0.5) this.send({ from: member, to, json });
  }

  /** Tells another what it lacks, by what it has seen: which may be long ago when the answer comes. */
  private answer(from: Member): void {
    const to = this.random.oneOf(this.members);
    const { context } = to.state;
    this.send({ from, to, json: JSON.stringify(encodeKnowledge(from.state.since(context))) });
  }

  private send(message: Message): void {
    const { random, plan } = this;
    this.sent += 1;
    if (random.between(0, 1) < plan.loss) this.lost += 1;
    else this.messages.push(message);
    if (random.between(0, 1) < plan.doubling) this.messages.push(message);
    if (this.messages.length > IN_FLIGHT) this.messages.shift();
  }

  /** Any of those that are under way, whenever it was sent. */
  private deliver(): void {
    if (this.messages.length === 0) return;
    const message = this.random.oneOf(this.messages);
    this.messages.splice(this.messages.indexOf(message), 1);
    const { from, to, json } = message;
    if (from.part === to.part) this.merge(to, json);
    else this.lost += 1;
  }

  private merge(to: Member, json: string): void {
    to.state.merge(decodeKnowledge(JSON.parse(json), 'it'), this.now + to.offset);
  }

  /** It has lost its state, or found an old one of another's, and is somebody else from now on. */
  private replace(member: Member): void {
    const { random } = this;
    this.rejoined += 1;
    const { id, context } = member.state;
    addAll(this.mortal, new Map([[id, context.get(id) ?? []]]));
    const other = ReplicaState.read(JSON.parse(JSON.stringify(random.oneOf(this.states))));
    member.state = random.oneOf([ReplicaState.create(this.newId()), other.as(this.newId())]);
    member.news = noKnowledge('keys');
  }

  private newId(): string {
    this.born += 1;
    return this.random.oneOf([`r${this.born}`, `__proto__${this.born}`, `鍵${this.born}`]);
  }
}
