import {
  type Claim,
  NOTHING_DROPPED,
  droppedWords,
  supportedOf,
  supports,
} from '../../../src/models/team/support';

const WAIT = 'Wait 30 seconds between the two probes before you fail over.';
const APPROVE = 'The incident commander approves the failover of the database.';
const sources = new Map([
  [1, { text: WAIT, file: 'failover.md', line: 3 }],
  [2, { text: APPROVE, file: 'on-call.md', line: 7 }],
]);

const check = (...claims: readonly Claim[]) => supportedOf(claims, sources);
const lines = ({ kept }: ReturnType<typeof check>): number[][] =>
  kept.map(({ by }) => by.quotes.map(({ line }) => line));

test('a sentence keeps the sources that hold three in ten of its terms, in its order', () => {
  const text = 'The incident commander approves the failover after two probes.';
  expect(lines(check({ text, ids: [2, 1] }))).toEqual([[7, 3]]);
});

test.each([
  ['an id that there is not', [1, 9], { unknown: 1, unsupported: 0, sentences: 0 }],
  ['an id whose sentence says something else', [1, 2], { unknown: 0, unsupported: 1, sentences: 0 }],
  ['an id that is said twice counts once', [1, 1], NOTHING_DROPPED],
])('%s is dropped', (_what, ids, dropped) => {
  const checked = check({ text: 'Wait 30 seconds between two probes.', ids });
  expect(lines(checked)).toEqual([[3]]);
  expect(checked.dropped).toEqual(dropped);
});

test('a sentence that is left with no source is dropped, and those beside it stay', () => {
  const checked = check(
    { text: 'Coffee is free on Fridays.', ids: [1, 2] },
    { text: 'Nobody was asked.', ids: [] },
    { text: 'The commander approves the failover.', ids: [2] },
  );
  expect(lines(checked)).toEqual([[7]]);
  expect(checked.dropped).toEqual({ unknown: 0, unsupported: 2, sentences: 2 });
});

test.each([
  // 3 of 10 terms, and 2 of 10.
  ['probes seconds wait alpha bravo charlie delta foxtrot golf hotel', true],
  ['probes seconds india alpha bravo charlie delta foxtrot golf hotel', false],
  ['the and of', false],
])('whether the source supports "%s" is %s', (text, expected) => {
  expect(supports(WAIT, text)).toBe(expected);
});

test('what was dropped is said in a sentence, and nothing where nothing was', () => {
  expect(droppedWords(NOTHING_DROPPED, 'openai/x')).toBeUndefined();
  expect(droppedWords({ unknown: 1, unsupported: 2, sentences: 1 }, 'openai/x')).toBe(
    'Of what openai/x wrote, left out: 1 citation of no source, 2 citations that did not support the sentence, 1 sentence without any other',
  );
});
