/**
 * Whom a replica tells what it has learnt, and when. Epidemic dissemination by rounds, after Demers and others: Epidemic
 * algorithms for replicated database maintenance (1987); the peers of a round are those of a dissemination barrier
 * (Hensgen, Finkel, Manber, 1988) of base `fanout + 1`: in round k the replica at place i of n tells those at
 * i + j · base^k, for j from 1 to `fanout`, as far as that is less than n. So all tell the same number, all are told by
 * the same number, and what is new is everywhere after {@link roundsToAll} rounds.
 *
 * What one replica has minted takes of these ways only those of a tree: the one at distance d from it is told by the way
 * that the digits of d say, base `fanout + 1`. So it reaches each of the others once, whatever round it begins in.
 */
import type { Member } from './members';

/** How many peers a replica tells in a round. */
export const FANOUT = 3;
/** Length of a round, in ms. A replica is told by at most {@link FANOUT} others in one. */
export const ROUND = 1000;

/** The round that `now` (ms since 1970) is in: the same for all replicas, as far as their clocks are. */
export function roundAt(now: number): number {
  return Math.floor(now / ROUND);
}

/** After how many rounds something new is everywhere, in a cadre of `size` replicas. */
export function roundsToAll(size: number): number {
  let rounds = 0;
  for (let reached = 1; reached < size; reached *= FANOUT + 1) rounds += 1;
  return rounds;
}

/**
 * Whom `self` tells in `round`; of what `origin` minted, where that is given and a member. `members` has all replicas,
 * sorted, `self` among them.
 */
export function peersIn(round: number, members: readonly Member[], self: Member, origin?: Member): Member[] {
  const size = members.length;
  const place = members.indexOf(self);
  if (size < 2 || place < 0) return [];
  const base = FANOUT + 1;
  const stride = base ** (round % roundsToAll(size));
  const root = origin === undefined ? -1 : members.indexOf(origin);
  const distance = root < 0 ? 0 : (place - root + size) % size;
  // It is told itself in such a round, so it tells in the others.
  if (Math.floor(distance / stride) % base !== 0) return [];
  const peers: Member[] = [];
  for (let step = 1; step <= FANOUT && distance + step * stride < size; step += 1) {
    peers.push(members[(place + step * stride) % size] as Member);
  }
  return peers;
}

/** The one that comes after `self`: where each is like the next, all are alike. */
export function successor(members: readonly Member[], self: Member): Member | undefined {
  const next = members[(members.indexOf(self) + 1) % members.length];
  return next === self ? undefined : next;
}
