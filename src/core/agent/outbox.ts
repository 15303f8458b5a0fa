/**
 * What a replica has to tell the others. Owns who is told what in which round, and how a message is answered.
 *
 * 1. What an operation changed is on its way to all for {@link roundsToAll} rounds, along the tree of `gossip.ts`.
 * 2. What was lacking here and was made up for is not passed on: for as many rounds the peers are compared with, and ask.
 * 3. A last round compares with the successor. So all are alike in the end, whatever went wrong on the way.
 * 4. Nobody is told what it is known to have seen: a cadre in which all have all is silent.
 * 5. Whom a message did not reach is asked, in the next round, what it lacks.
 */
import {
  type CausalContext,
  type ReplicaId,
  addAll,
  exceeds,
  unionOf,
  without,
} from '../crdt/causal-context';
import { type Knowledge, join, noKnowledge } from '../crdt/knowledge';
import { encodeContext, encodeKnowledge } from '../crdt/knowledge-json';
import { winner } from '../crdt/sibling';
import { jsonBytes } from '../json';
import { type Gossip, type Heard, MESSAGE_VERSION, type News, type NewsJson, newsOf } from './agent-messages';
import { type AgentState, type Evolved, cohortOf, membersIn } from './agent-state';
import { ROUND, peersIn, roundAt, roundsToAll, successor } from './gossip';
import { MEMBERS, type Member, readMember, writerOf } from './members';

/** A message, and whom it is for. */
export interface Letter {
  readonly to: Member;
  readonly gossip: Gossip;
  /** What the replica has seen once it has the message. */
  readonly tells?: { readonly replica: ReplicaId; readonly seen: CausalContext };
}

/** What a run hands to the next. */
export interface OutboxJson {
  readonly news: readonly NewsJson[];
  readonly comparisons: number;
  readonly compares: boolean;
  readonly owed: readonly Member[];
  readonly seeds: readonly Member[];
  readonly round: number;
}

/** What is on its way. */
interface OnItsWay {
  readonly since: number;
  /** The last round in which it is told. */
  readonly until: number;
  readonly delta: Knowledge;
  /** Along whose tree it is told; undefined where it is told on all ways. */
  readonly origin: Member | undefined;
  /** Once it is told, with its bytes. */
  encoded?: { readonly json: NewsJson; readonly bytes: number };
}

/** What is to be told as soon as somebody is known. */
interface Early {
  readonly delta: Knowledge;
  readonly since: number;
  readonly bytes: number;
}

/** Where what is on its way has more bytes of JSON, it does not travel: who lacks it asks. */
const NEWS_MAXIMUM_BYTES = 1024 * 1024;
/** Nor is more handed to the next run: with a full replica it must fit Temporal's 2 MB. */
const NEWS_HANDED_OVER_MAXIMUM_BYTES = 256 * 1024;
/** What is sent so long before the end of a round, in ms, may arrive after those it is for have told others. */
const TRAVEL = 100;
/** In so many rounds a replica that knows nobody asks again. */
const SEARCH_ROUNDS = 30;

export class Outbox {
  private news: OnItsWay[] = [];
  /** What has been among the news: it is told once, also where it comes again. */
  private readonly taken: CausalContext = new Map();
  /** What came with an answer, and is on its way yet; with the last round in which it may be. */
  private unsettled: { readonly context: CausalContext; readonly until: number }[] = [];
  /** What was minted while nobody else was known, since which round; undefined where that is over. */
  private early: Early | undefined = { delta: noKnowledge('keys'), since: Infinity, bytes: 0 };
  /** In how many rounds the peers are yet to be compared with. */
  private comparisons = 0;
  /** Whether the successor is to be compared with once nothing is new. */
  private compares = false;
  private readonly owed = new Set<Member>();
  /** Answers that have not arrived. */
  private readonly unsent = new Set<Letter>();
  /** Whom to ask, one a round, while nobody else is known. */
  private seeds: Member[] = [];
  private searched = 0;
  /** What replicas are known to have seen. A member that lost its state is another replica. */
  private readonly seenBy = new Map<ReplicaId, CausalContext>();
  /** In which something was sent last, and in which something came last. */
  private lastRound = 0;
  private currentRound = 0;

  /** One that an earlier run left. Throws InputInvalid. */
  static read(json: OutboxJson, now: number, size: number): Outbox {
    const outbox = new Outbox();
    const { news, comparisons, compares, owed, seeds, round } = json;
    outbox.lastRound = round;
    outbox.early = undefined;
    outbox.add(news.map(newsOf), outbox.nextRound(now), size);
    outbox.comparisons = comparisons;
    outbox.compares ||= compares;
    for (const member of owed) outbox.owed.add(member);
    outbox.seeds = [...seeds];
    return outbox;
  }

  /** True while anybody is to be told anything in a round. */
  get isDirty(): boolean {
    return (
      this.news.length > 0 ||
      this.comparisons > 0 ||
      this.compares ||
      this.owed.size > 0 ||
      this.seeds.length > 0
    );
  }

  /** In how many ms the next round is: 0 in one in which nothing was sent yet, but at its end. */
  dueIn(now: number): number {
    return Math.max(0, this.nextRound(now) * ROUND - now);
  }

  /** Takes up what came of an event at `now`. */
  take({ state, news = [], caughtUp }: Evolved, now: number): void {
    const { length: size } = cohortOf(state);
    const first = this.nextRound(now);
    this.currentRound = roundAt(now);
    this.unsettled = this.unsettled.filter(({ until }) => until >= this.currentRound);
    if (size < 2) {
      this.early = withNews(this.early, news, first);
      return;
    }
    const early = this.early;
    this.early = undefined;
    if (early !== undefined) this.add([{ delta: early.delta, widely: true }], first, size);
    this.add(news, first, size);
    // Somebody made up for what was lacking here, and they may lack it, too.
    if (caughtUp) this.comparisons = Math.max(this.comparisons, roundsToAll(size));
  }

  /** Asks `seeds`, one after the other, until another replica is known. One was asked in the round that `now` is in. */
  seek(seeds: readonly Member[], now: number): void {
    this.lastRound = Math.max(this.lastRound, roundAt(now));
    this.seeds.push(...seeds);
  }

  /** What is to be sent in the round that `now` is in. */
  round(state: AgentState, now: number): Letter[] {
    const round = (this.lastRound = roundAt(now));
    const members = cohortOf(state);
    this.keepSmall(NEWS_MAXIMUM_BYTES);
    const letters = new Map<Member, Letter>();
    for (const to of this.owed) letters.set(to, this.compare(state, to));
    for (const to of this.nextSeed(state, members)) letters.set(to, this.hello(state, to, now));
    this.owed.clear();
    if (this.news.length === 0 && this.comparisons === 0 && this.compares) {
      this.compares = false;
      const next = successor(members, state.member);
      if (next !== undefined && this.mayLack(state, next, state.replica.context)) {
        letters.set(next, this.compare(state, next));
      }
      return [...letters.values()];
    }
    for (const peer of peersIn(round, members, state.member)) {
      const letter = letters.has(peer) ? undefined : this.tell(state, peer, { round, members });
      if (letter !== undefined) letters.set(peer, letter);
    }
    this.compares ||= this.news.length > 0 || this.comparisons > 0;
    this.news = this.news.filter(({ until }) => until > round);
    this.comparisons = Math.max(0, this.comparisons - 1);
    return [...letters.values()];
  }

  /** A first message, to one that may be there. */
  hello(state: AgentState, to: Member, now: number): Letter {
    const { to: member, gossip } = this.compare(state, to);
    if (this.early === undefined || this.early.bytes === 0) return { to: member, gossip };
    const delta = encodeKnowledge(this.early.delta);
    const news: NewsJson[] = [{ since: this.nextRound(now), delta, widely: true }];
    return { to: member, gossip: { ...gossip, news } };
  }

  /** A message that tells nothing and asks for all that is lacking. One that has left tells all, and asks for nothing. */
  compare(state: AgentState, to: Member): Letter {
    const { knowledge, context } = state.replica;
    const envelope = this.envelope(state, NOTHING);
    if (!state.left) return { to, gossip: { ...envelope, asks: true } };
    const replica = replicaOf(state, to);
    return {
      to,
      gossip: { ...envelope, delta: encodeKnowledge(knowledge), asks: false },
      ...(replica === undefined ? {} : { tells: { replica, seen: unionOf(context) } }),
    };
  }

  /** True where somebody else has all that is known here, or nobody is there. Else the next round tells one. */
  mayLeave(state: AgentState): boolean {
    const others = membersIn(state).filter((member) => member !== state.member);
    const mayLeave =
      others.length === 0 || others.some((member) => !this.mayLack(state, member, state.replica.context));
    this.compares ||= !mayLeave;
    return mayLeave;
  }

  /** What to say at once to whom `heard` is from: what it lacks where it asks, and, if `asksBack`, that something is lacking here. */
  answer(state: AgentState, heard: Heard, asksBack = true): Letter | undefined {
    const { from, replica, seen, pending, asks } = heard;
    if (readMember(from) === undefined || from === state.member) return undefined;
    if (replica !== undefined) this.hasSeen(replica, seen);
    if (heard.delta !== undefined && pending !== undefined) {
      const until = this.currentRound + roundsToAll(cohortOf(state).length);
      this.unsettled.push({ context: pending, until });
    }
    const { context } = state.replica;
    const mayAsk = asksBack && !state.left;
    const lacksHere = mayAsk && exceeds(pending === undefined ? seen : without(seen, pending), context);
    // What is on its way reaches a member without its asking; but for one that does not know the others yet.
    const isOnTheWay =
      replica !== undefined && replicaOf(state, from) === replica && seen.has(state.replica.id);
    const lacksThere = exceeds(isOnTheWay ? this.settled(state) : context, seen);
    if (!lacksHere && !(lacksThere && asks)) return undefined;
    const delta = lacksThere ? { delta: encodeKnowledge(state.replica.since(seen)) } : {};
    const letter: Letter = {
      to: from,
      gossip: { ...this.envelope(state, this.onItsWay()), ...delta, asks: lacksHere },
      ...(lacksThere && replica !== undefined ? { tells: { replica, seen: unionOf(context) } } : {}),
    };
    this.unsent.add(letter);
    return letter;
  }

  delivered(letter: Letter): void {
    this.unsent.delete(letter);
    if (letter.tells !== undefined) this.hasSeen(letter.tells.replica, letter.tells.seen);
  }

  /** It is told in the next round. */
  failed(letter: Letter): void {
    this.unsent.delete(letter);
    this.owed.add(letter.to);
  }

  gone(member: Member): void {
    this.owed.delete(member);
    this.seeds = this.seeds.filter((seed) => seed !== member);
    for (const letter of this.unsent) if (letter.to === member) this.unsent.delete(letter);
    for (const replica of this.seenBy.keys()) if (writerOf(replica) === member) this.seenBy.delete(replica);
  }

  /** Who waits for an answer is asked anew by the next run. */
  toJSON(): OutboxJson {
    this.keepSmall(NEWS_HANDED_OVER_MAXIMUM_BYTES);
    return {
      news: this.news.map((one) => encoded(one).json),
      comparisons: this.comparisons,
      compares: this.compares,
      owed: [...new Set([...this.owed, ...[...this.unsent].map(({ to }) => to)])],
      seeds: this.seeds,
      round: this.lastRound,
    };
  }

  /** `first`: the next round, in a cadre of `size` replicas. */
  private add(news: readonly News[], first: number, size: number): void {
    for (const { delta, since = first, widely } of news) {
      const from = Math.min(since, first + 1);
      const until = from + roundsToAll(size) - 1;
      const last = this.news.at(-1);
      const origin = widely ? undefined : originOf(delta);
      const isTaken = !exceeds(delta.context, this.taken);
      addAll(this.taken, delta.context);
      if (isTaken) continue;
      // Of what comes late others have heard; the comparison tells who has not.
      if (until < first) this.compares = true;
      else if (last?.since === from && last.origin === origin && last.encoded === undefined) {
        join(last.delta, delta);
      } else {
        const own = noKnowledge('keys');
        join(own, delta);
        this.news.push({ since: from, until, delta: own, origin });
      }
    }
  }

  private nextRound(now: number): number {
    return Math.max(roundAt(now + TRAVEL), this.lastRound + 1);
  }

  private nextSeed({ left }: AgentState, members: readonly Member[]): Member[] {
    const [seed, ...others] = this.seeds;
    if (seed === undefined) return [];
    this.searched += 1;
    const isOver = members.length > 1 || this.searched > SEARCH_ROUNDS;
    this.seeds = isOver || left ? [] : [...others, seed];
    return isOver ? [] : [seed];
  }

  /** What `peer` is to be told in a round; undefined where that is nothing. */
  private tell(
    state: AgentState,
    peer: Member,
    { round, members }: { round: number; members: readonly Member[] },
  ): Letter | undefined {
    const due = this.news.filter(
      ({ delta, origin, since }) =>
        since <= round &&
        peersIn(round, members, state.member, origin).includes(peer) &&
        this.mayLack(state, peer, delta.context),
    );
    const asks = this.comparisons > 0 && this.mayLack(state, peer, this.settled(state));
    if (due.length === 0 && !asks) return undefined;
    const pending = without(this.onItsWay(), contextOf(due));
    const news = due.length === 0 ? {} : { news: due.map((one) => encoded(one).json) };
    const gossip = { ...this.envelope(state, pending), ...news, asks: asks && !state.left };
    const replica = replicaOf(state, peer);
    return {
      to: peer,
      gossip,
      ...(replica === undefined ? {} : { tells: { replica, seen: contextOf(due) } }),
    };
  }

  /** What is too much to travel is asked for. */
  private keepSmall(maximum: number): void {
    if (bytesOf(this.news) <= maximum) return;
    this.comparisons = Math.max(this.comparisons, ...this.news.map(rounds));
    this.news = [];
  }

  /** What has been seen here and is not on its way any more. */
  private settled({ replica }: AgentState): CausalContext {
    return without(replica.context, this.onItsWay());
  }

  private onItsWay(): CausalContext {
    const context = contextOf(this.news);
    // Who has no more to tell has told all, and is asked for what did not arrive.
    if (this.isDirty) for (const one of this.unsettled) addAll(context, one.context);
    return context;
  }

  private mayLack(state: AgentState, member: Member, context: CausalContext): boolean {
    const replica = replicaOf(state, member);
    return exceeds(context, (replica === undefined ? undefined : this.seenBy.get(replica)) ?? NOTHING);
  }

  private hasSeen(replica: ReplicaId, context: CausalContext): void {
    const seen = this.seenBy.get(replica) ?? new Map<string, number[]>();
    addAll(seen, context);
    this.seenBy.set(replica, seen);
  }

  /** `pending`: what comes to all by another way. */
  private envelope({ cadre, member, replica }: AgentState, pending: CausalContext): Omit<Gossip, 'asks'> {
    return {
      version: MESSAGE_VERSION,
      cadre,
      from: member,
      replica: replica.id,
      seen: encodeContext(replica.context),
      ...(pending.size === 0 ? {} : { pending: encodeContext(pending) }),
    };
  }
}

const NOTHING: CausalContext = new Map();

/** `early` with `news`; undefined where that is too much, or nobody was found for long. */
function withNews(early: Early | undefined, news: readonly News[], round: number): Early | undefined {
  if (early === undefined) return undefined;
  let { bytes } = early;
  for (const { delta } of news) {
    bytes += jsonBytes(encodeKnowledge(delta));
    join(early.delta, delta);
  }
  const since = Math.min(early.since, round);
  const isOver = bytes > NEWS_HANDED_OVER_MAXIMUM_BYTES || round > since + SEARCH_ROUNDS;
  return isOver ? undefined : { ...early, since, bytes };
}

/** The one replica that wrote all of `delta`, as a member. */
function originOf({ context }: Knowledge): Member | undefined {
  const [replica, ...others] = context.keys();
  return replica === undefined || others.length > 0 ? undefined : writerOf(replica);
}

/** Under what `member` writes, as far as is known here. */
function replicaOf({ replica }: AgentState, member: Member): ReplicaId | undefined {
  const siblings = replica.entries(MEMBERS).get(member);
  return siblings === undefined ? undefined : winner(siblings)[0];
}

function encoded(news: OnItsWay): NonNullable<OnItsWay['encoded']> {
  if (news.encoded === undefined) {
    const { since, delta, origin } = news;
    const widely = origin === undefined ? { widely: true as const } : {};
    const json: NewsJson = { since, delta: encodeKnowledge(delta), ...widely };
    news.encoded = { json, bytes: jsonBytes(json) };
  }
  return news.encoded;
}

function contextOf(news: readonly OnItsWay[]): CausalContext {
  const context: CausalContext = new Map();
  for (const { delta } of news) addAll(context, delta.context);
  return context;
}

/** In bytes of JSON. */
function bytesOf(news: readonly OnItsWay[]): number {
  return news.reduce((sum, one) => sum + encoded(one).bytes, 0);
}

/** In how many it is told. */
function rounds({ since, until }: OnItsWay): number {
  return until - since + 1;
}
