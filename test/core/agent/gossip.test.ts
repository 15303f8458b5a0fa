// Pure: whom replicas tell in which round, for all sizes of cadres up to 120.
import { FANOUT, ROUND, peersIn, roundAt, roundsToAll, successor } from '../../../src/core/agent/gossip';
import type { Member } from '../../../src/core/agent/members';

const SIZES = Array.from({ length: 120 }, (_none, index) => index + 1);

function membersOf(size: number): Member[] {
  return Array.from({ length: size }, (_none, index) => `agent-${String(index).padStart(3, '0')}`);
}

/** Of all members, whom each tells in `round`. */
function tellings(round: number, members: readonly Member[], origin?: Member): [Member, Member][] {
  return members.flatMap((self) =>
    peersIn(round, members, self, origin).map((peer): [Member, Member] => [self, peer]),
  );
}

/** Who knows, after all rounds from `first` on, what `origin` knew before; and how often somebody was told. */
function spread(
  first: number,
  members: readonly Member[],
  origin: Member,
  tree: boolean,
): { knowing: Set<Member>; messages: number } {
  let knowing = new Set([origin]);
  let messages = 0;
  for (let round = first; round < first + roundsToAll(members.length); round += 1) {
    const told = tellings(round, members, tree ? origin : undefined).filter(([from]) => knowing.has(from));
    messages += told.length;
    knowing = new Set([...knowing, ...told.map(([, to]) => to)]);
  }
  return { knowing, messages };
}

/** Those of `candidates` of which `isWrong`, in words. */
function wrongs<Candidate>(candidates: readonly Candidate[], isWrong: (one: Candidate) => boolean): string[] {
  return candidates.filter(isWrong).map((one) => JSON.stringify(one));
}

/** By size and round: all rounds of one period. */
const ROUNDS = SIZES.flatMap((size) =>
  Array.from({ length: Math.max(1, roundsToAll(size)) }, (_none, round) => ({ size, round })),
);

/** With the first, one in between and the last as who minted something. */
const ORIGINS = ROUNDS.flatMap(({ size, round }) =>
  [0, Math.floor(size / 3), size - 1].map((origin) => ({ size, round, origin })),
);

test('nobody tells itself, or anybody twice, or more than three', () => {
  const wrong = wrongs(ROUNDS, ({ size, round }) => {
    const members = membersOf(size);
    return members.some((self) => {
      const peers = peersIn(round, members, self);
      return peers.includes(self) || new Set(peers).size < peers.length || peers.length > FANOUT;
    });
  });
  expect(wrong).toEqual([]);
});

test('nobody is told by more than three in a round', () => {
  const wrong = wrongs(ROUNDS, ({ size, round }) => {
    const told = new Map<Member, number>();
    for (const [, to] of tellings(round, membersOf(size))) told.set(to, (told.get(to) ?? 0) + 1);
    return Math.max(0, ...told.values()) > FANOUT;
  });
  expect(wrong).toEqual([]);
});

test('what anybody knows is everywhere after the rounds it takes, whichever round is the first', () => {
  const wrong = wrongs(ORIGINS, ({ size, round, origin }) => {
    const members = membersOf(size);
    return spread(round, members, members[origin] as Member, false).knowing.size !== size;
  });
  expect(wrong).toEqual([]);
});

test('along the tree of whoever minted it, each is told once', () => {
  const wrong = wrongs(ORIGINS, ({ size, round, origin }) => {
    const members = membersOf(size);
    const { knowing, messages } = spread(round, members, members[origin] as Member, true);
    return knowing.size !== size || messages !== size - 1;
  });
  expect(wrong).toEqual([]);
});

test('along the tree each is told once, also where all pass on at once what they hear', () => {
  const wrong = wrongs(ORIGINS, ({ size, round: first, origin }) => {
    const members = membersOf(size);
    const knowing = new Set([members[origin] as Member]);
    let messages = 0;
    for (let round = first; round < first + roundsToAll(size); round += 1) {
      // Who is added is visited, too.
      for (const self of knowing) {
        const peers = peersIn(round, members, self, members[origin]);
        messages += peers.length;
        for (const peer of peers) knowing.add(peer);
      }
    }
    return knowing.size !== size || messages !== size - 1;
  });
  expect(wrong).toEqual([]);
});

test('ways of a tree are among the ways of a round', () => {
  const wrong = wrongs(ORIGINS, ({ size, round, origin }) => {
    const members = membersOf(size);
    return members.some((self) => {
      const peers = peersIn(round, members, self);
      return peersIn(round, members, self, members[origin]).some((peer) => !peers.includes(peer));
    });
  });
  expect(wrong).toEqual([]);
});

test('what one minted who is no member is told on all ways', () => {
  const members = membersOf(25);
  for (let round = 0; round < roundsToAll(25); round += 1) {
    for (const self of members) {
      expect(peersIn(round, members, self, 'laptop')).toEqual(peersIn(round, members, self));
    }
  }
});

test('one who is no member tells nobody', () => {
  expect(peersIn(0, membersOf(5), 'laptop')).toEqual([]);
  expect(peersIn(0, [], 'laptop')).toEqual([]);
});

test('the rounds it takes are the digits of the size, base 4', () => {
  expect([1, 2, 4, 5, 16, 17, 25, 64, 65, 100].map(roundsToAll)).toEqual([0, 1, 1, 2, 2, 3, 3, 3, 4, 4]);
});

test('a round lasts a second', () => {
  expect(roundAt(5 * ROUND - 1)).toBe(4);
  expect(roundAt(5 * ROUND)).toBe(5);
});

test('successors make one ring of all', () => {
  for (const size of SIZES.slice(1)) {
    const members = membersOf(size);
    const ring = [members[0] as Member];
    while (ring.length <= size) ring.push(successor(members, ring.at(-1) as Member) as Member);
    expect(ring.at(-1)).toBe(members[0]);
    expect(new Set(ring).size).toBe(size);
  }
});

test('who is alone has no successor', () => {
  expect(successor(['agent'], 'agent')).toBeUndefined();
});
