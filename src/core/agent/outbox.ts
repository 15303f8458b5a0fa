/**
 * What a replica has to tell the others. Owns who is told what in which round, and how a message is answered.
 *
 * 1. What is new is told in {@link roundsToAll} rounds, then no more; a last round compares with the successor.
 * 2. Nobody is told what it is known to have seen: a cadre in which all have all is silent.
 * 3. Whom a message did not reach is asked, in the next round, what it lacks.
 */
import { type CausalContext, addAll, exceeds } from '../crdt/causal-context';
import { type Knowledge, join, noKnowledge } from '../crdt/knowledge';
import { type KnowledgeJson, decodeKnowledge, encodeContext, encodeKnowledge } from '../crdt/knowledge-json';
import { type Gossip, type Heard, MESSAGE_VERSION } from './agent-messages';
import { type AgentState, membersIn } from './agent-state';
import { ROUND, peersIn, roundAt, roundsToAll, successor } from './gossip';
import { type Member, readMember } from './members';

/** A message, and whom it is for. */
export interface Letter {
  readonly to: Member;
  readonly gossip: Gossip;
  /** What `to` has seen once it has it. */
  readonly tells?: CausalContext;
}

/** What a run hands to the next. */
export interface OutboxJson {
  readonly news?: KnowledgeJson;
  readonly compares: boolean;
  readonly owed: readonly Member[];
}

interface News {
  readonly delta: Knowledge;
  /** The last round in which it is told. */
  readonly until: number;
}

export class Outbox {
  private news: News[] = [];
  /** Whether the successor is to be compared with once nothing is new. */
  private compares = false;
  private readonly owed = new Set<Member>();
  /** What members are known to have seen. */
  private readonly seenBy = new Map<Member, CausalContext>();
  private lastRound = 0;

  /** One that an earlier run left. Throws InputInvalid. */
  static read(json: OutboxJson, now: number, size: number): Outbox {
    const outbox = new Outbox();
    if (json.news !== undefined) outbox.add(decodeKnowledge(json.news, '`news`'), now, size);
    outbox.compares = json.compares;
    for (const member of json.owed) outbox.owed.add(member);
    return outbox;
  }

  /** True while anybody is to be told anything in a round. */
  get isDirty(): boolean {
    return this.news.length > 0 || this.compares || this.owed.size > 0;
  }

  /** In how many ms the next round is: 0 in one in which nothing was sent yet. */
  dueIn(now: number): number {
    return roundAt(now) > this.lastRound ? 0 : (this.lastRound + 1) * ROUND - now;
  }

  /** Takes up what is new since `now`, in a cadre of `size` replicas. Who joins later asks for it. */
  add(delta: Knowledge, now: number, size: number): void {
    if (size < 2) return;
    const first = Math.max(roundAt(now), this.lastRound + 1);
    this.news.push({ delta, until: first + roundsToAll(size) - 1 });
  }

  /** What is to be sent in the round that `now` is in. */
  round(state: AgentState, now: number): Letter[] {
    const round = (this.lastRound = roundAt(now));
    // One that has left tells the others so.
    const members = [...new Set([...membersIn(state), state.member])].sort();
    const letters = new Map<Member, Letter>();
    for (const to of this.owed) letters.set(to, this.compare(state, to));
    this.owed.clear();
    if (this.news.length > 0) {
      for (const letter of this.tellNews(state, peersIn(round, members, state.member))) {
        letters.set(letter.to, letter);
      }
      this.news = this.news.filter(({ until }) => until > round);
      this.compares = true;
    } else if (this.compares) {
      this.compares = false;
      const next = successor(members, state.member);
      if (next !== undefined && this.mayLack(next, state.replica.context)) {
        letters.set(next, this.compare(state, next));
      }
    }
    return [...letters.values()];
  }

  /** A first message, by which a replica that begins finds the others. */
  compare(state: AgentState, to: Member): Letter {
    return { to, gossip: { ...this.envelope(state), asks: true } };
  }

  /** What to say at once to whom `heard` is from: what it lacks where it asks, and that something is lacking here. */
  answer(state: AgentState, { from, seen, asks }: Heard): Letter | undefined {
    if (readMember(from) === undefined || from === state.member) return undefined;
    this.hasSeen(from, seen);
    const { context } = state.replica;
    const lacksHere = exceeds(seen, context);
    const lacksThere = exceeds(context, seen);
    if (!lacksHere && !(lacksThere && asks)) return undefined;
    const delta = lacksThere ? { delta: encodeKnowledge(state.replica.since(seen)) } : {};
    return {
      to: from,
      gossip: { ...this.envelope(state), ...delta, asks: lacksHere },
      ...(lacksThere ? { tells: copyOf(context) } : {}),
    };
  }

  delivered({ to, tells }: Letter): void {
    if (tells !== undefined) this.hasSeen(to, tells);
  }

  /** It is told in the next round. */
  failed({ to }: Letter): void {
    this.owed.add(to);
  }

  gone(member: Member): void {
    this.owed.delete(member);
    this.seenBy.delete(member);
  }

  toJSON(): OutboxJson {
    const delta = this.joined();
    return {
      ...(delta === undefined ? {} : { news: encodeKnowledge(delta) }),
      compares: this.compares,
      owed: [...this.owed],
    };
  }

  private tellNews(state: AgentState, peers: readonly Member[]): Letter[] {
    const delta = this.joined();
    if (delta === undefined) return [];
    const to = peers.filter((peer) => this.mayLack(peer, delta.context));
    if (to.length === 0) return [];
    const gossip: Gossip = { ...this.envelope(state), delta: encodeKnowledge(delta), asks: false };
    return to.map((peer) => ({ to: peer, gossip, tells: delta.context }));
  }

  private joined(): Knowledge | undefined {
    const [first] = this.news;
    if (first === undefined) return undefined;
    if (this.news.length === 1) return first.delta;
    const all = noKnowledge('keys');
    for (const { delta } of this.news) join(all, delta);
    return all;
  }

  private mayLack(member: Member, context: CausalContext): boolean {
    return exceeds(context, this.seenBy.get(member) ?? NOTHING);
  }

  private hasSeen(member: Member, context: CausalContext): void {
    const seen = this.seenBy.get(member) ?? new Map<string, number[]>();
    addAll(seen, context);
    this.seenBy.set(member, seen);
  }

  private envelope({ cadre, member, replica }: AgentState): Omit<Gossip, 'asks'> {
    return { version: MESSAGE_VERSION, cadre, from: member, seen: encodeContext(replica.context) };
  }
}

const NOTHING: CausalContext = new Map();

function copyOf(context: CausalContext): CausalContext {
  const copy: CausalContext = new Map();
  addAll(copy, context);
  return copy;
}
