// Pure: the laws of votes.
import fc from 'fast-check';
import { canonicalJson } from '../../src/core/json';
import { planProblems } from '../../src/core/plan';
import {
  type CastBallot,
  QUORUMS,
  type Vote,
  ballotOf,
  ballotsNeeded,
  tallyOf,
  verdictOf,
} from '../../src/core/vote';

const quorum = fc.constantFrom(...QUORUMS);
/** What each of some voters does: gives one of three answers, or none that counts. */
const answers = fc.array(fc.constantFrom('a', 'b', 'c', undefined), { minLength: 2, maxLength: 25 });
const cast = (given: readonly (string | undefined)[]): CastBallot[] =>
  given.flatMap((choice, index) => (choice === undefined ? [] : [{ voter: index + 1, agent: 'x', choice }]));
const voteOf = (voters: number, more: Partial<Vote> = {}): Vote => ({
  agents: Array.from({ length: voters }, () => 'x'),
  ...more,
});

test.each([
  [2, 2, 2, 2],
  [3, 2, 2, 3],
  [4, 3, 3, 4],
  [5, 3, 4, 5],
  [6, 4, 4, 6],
  [7, 4, 5, 7],
  [25, 13, 17, 25],
])('of %i voters a majority is %i, two thirds are %i, all are %i', (voters, majority, twoThirds, all) => {
  expect(QUORUMS.map((kind) => ballotsNeeded(kind, voters))).toEqual([majority, twoThirds, all]);
});

test('two different answers never both have a quorum', () => {
  fc.assert(
    fc.property(quorum, fc.integer({ min: 2, max: 25 }), (kind, voters) => {
      expect(2 * ballotsNeeded(kind, voters)).toBeGreaterThan(voters);
    }),
  );
});

test('what decides has the ballots that are needed, in whatever order they come', () => {
  fc.assert(
    fc.property(quorum, answers, fc.infiniteStream(fc.nat()), (kind, given, order) => {
      const vote = voteOf(given.length, { quorum: kind });
      const ballots = cast(given);
      const spoiled = given.length - ballots.length;
      const verdict = verdictOf(vote, ballots, spoiled);
      const shuffled = ballots
        .map((ballot) => ({ ballot, at: order.next().value as number }))
        .sort((a, b) => a.at - b.at)
        .map(({ ballot }) => ballot);
      expect(verdictOf(vote, shuffled, spoiled)).toEqual(verdict);
      const counts = ['a', 'b', 'c'].map((choice) => given.filter((one) => one === choice).length);
      const enough = Math.max(...counts) >= ballotsNeeded(kind, given.length);
      expect(verdict.kind).toBe(enough ? 'decided' : 'undecided');
    }),
  );
});

test('a decision does not change with the ballots that come after it', () => {
  fc.assert(
    fc.property(quorum, answers, (kind, given) => {
      const vote = voteOf(given.length, { quorum: kind });
      const ballots = cast(given);
      const early = ballots.map((_, count) => verdictOf(vote, ballots.slice(0, count), 0));
      const first = early.find((verdict) => verdict.kind === 'decided');
      const last = verdictOf(vote, ballots, given.length - ballots.length);
      expect(first ?? last).toEqual(last);
    }),
  );
});

test.each([
  ['a tie', ['a', 'b'], 'tie'],
  ['no quorum', ['a', 'a', 'b', 'c', undefined], 'noQuorum'],
  ['no ballots', [undefined, undefined], 'noBallots'],
] as const)('%s is told from the others', (_what, given, why) => {
  const ballots = cast(given);
  expect(verdictOf(voteOf(given.length), ballots, given.length - ballots.length)).toEqual({
    kind: 'undecided',
    why,
  });
});

test('equal JSON is an equal answer; among equals the earliest voter comes first', () => {
  const tally = tallyOf([
    { voter: 3, agent: 'x', choice: { b: 2, a: 1 } },
    { voter: 2, agent: 'x', choice: 'other' },
    { voter: 4, agent: 'x', choice: 'other' },
    { voter: 1, agent: 'x', choice: { a: 1, b: 2 } },
  ]);
  expect(tally).toEqual([
    { choice: { a: 1, b: 2 }, ballots: 2 },
    { choice: 'other', ballots: 2 },
  ]);
});

test.each([
  ['yes', undefined, { choice: 'yes' }],
  [{ choice: 'yes', reason: 'so', more: 1 }, ['yes', 'no'], { choice: 'yes', reason: 'so' }],
  [{ answer: 'yes' }, undefined, { choice: { answer: 'yes' } }],
  [undefined, undefined, { choice: null }],
  [{ choice: 1, reason: 'r'.repeat(900) }, undefined, { choice: 1, reason: 'r'.repeat(500) }],
])('the output %j with choices %j is the ballot %j', (output, choices, ballot) => {
  expect(ballotOf(output, choices)).toEqual(ballot);
});

test.each([
  ['x'.repeat(1023), undefined, /choice of at most 1024 bytes, got 1025/],
  ['maybe', ['yes', 'no'], /Expected a choice of \["yes","no"\], got "maybe"/],
])('an answer that does not count says why', (output, choices, message) => {
  expect(() => ballotOf(output, choices)).toThrow(message);
});

test.each([
  [{ agents: ['echo'] }, /steps\[0\]\.vote\.agents to be a list of 2 to 25/],
  [{ agents: Array.from({ length: 26 }, () => 'echo') }, /vote\.agents/],
  [{ agents: ['echo', 7] }, /vote\.agents/],
  [{ agents: ['echo', 'echo'], quorum: 'most' }, /vote\.quorum to be one of majority, twoThirds, unanimous/],
  [{ agents: ['echo', 'echo'], choices: ['one'] }, /vote\.choices/],
  [{ agents: ['echo', 'echo'], timeLimit: 0 }, /vote\.timeLimit to be milliseconds/],
  [{ agents: ['echo', 'echo'], timeLimits: 1 }, /vote\.timeLimits to be left out/],
  [{ agents: ['echo', 'nobody'] }, /names the agent "nobody", which is not in the roster/],
  ['all', /steps\[0\]\.vote to be an object/],
])('a plan with the vote %j is refused', (vote, message) => {
  const problems = planProblems({ steps: [{ id: 'a', instruction: 'vote', vote }] }, new Set(['echo']));
  expect(problems.map((problem) => problem.message).join('; ')).toMatch(message);
});

test('a step has an agent or a vote', () => {
  const vote = { agents: ['echo', 'echo'] };
  const steps = [{ id: 'a', instruction: 'both', agent: 'echo', vote }];
  expect(planProblems({ steps }, undefined)).toMatchObject([{ code: 'StepInvalid', step: 'a' }]);
  expect(planProblems({ steps: [{ id: 'a', instruction: 'none' }] }, undefined)[0]?.message).toMatch(
    /or give `vote`/,
  );
});

test('what voters are sent is bounded', () => {
  const agents = Array.from({ length: 25 }, () => 'echo');
  const step = { id: 'a', instruction: 'vote', vote: { agents }, input: 'x'.repeat(50_000) };
  expect(planProblems({ steps: [step] }, undefined)).toMatchObject([{ code: 'TooLarge' }]);
});

/** The same value, the fields of its objects in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, item]) => [key, reversed(item)]),
  );
}

test('the order of fields makes no other answer, and nothing else is left out of sight', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (value, other) => {
      expect(canonicalJson(reversed(value))).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      const alike = canonicalJson(value) === canonicalJson(other);
      const [first] = tallyOf([
        { voter: 1, agent: 'x', choice: value },
        { voter: 2, agent: 'x', choice: other },
        { voter: 3, agent: 'x', choice: reversed(value) },
      ]);
      expect(first?.ballots).toBe(alike ? 3 : 2);
    }),
  );
});

test('lists in another order are other answers', () => {
  expect(canonicalJson([1, 2])).not.toBe(canonicalJson([2, 1]));
});

test('the tally is the same in whatever order the ballots came', () => {
  fc.assert(
    fc.property(answers, fc.infiniteStream(fc.nat()), (given, order) => {
      const ballots = cast(given);
      const shuffled = ballots
        .map((ballot) => ({ ballot, at: order.next().value as number }))
        .sort((a, b) => a.at - b.at)
        .map(({ ballot }) => ballot);
      expect(tallyOf(shuffled)).toEqual(tallyOf(ballots));
    }),
  );
});
