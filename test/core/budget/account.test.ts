// Pure: what an account answers, a row each.
import {
  type AccountOperation,
  type AccountState,
  type Limits,
  type Shortfall,
  type Spent,
  UNDER_WAY_MAXIMUM,
  current,
  exchange,
  newAccount,
  readShortfall,
  wouldFitAlone,
} from '../../../src/core/budget/account';
import { accountStart, readExchange } from '../../../src/core/budget/start';
import { accountDetails, accountRows, shortfallFix, shortfallMessage } from '../../../src/core/budget/words';

const T = Date.UTC(2026, 0, 31, 12);
const HOUR = 60 * 60 * 1000;
const TASK = 'task.0123456789abcdef';
const amount = (tokens: number, more: Partial<Spent> = {}): Spent => ({
  tokens,
  microUsd: 0,
  calls: 1,
  steps: 0,
  ...more,
});
const reserve = (id: string, of: Spent): AccountOperation => ({ do: 'reserve', id, amount: of });
const settle = (id: string, of: Spent): AccountOperation => ({ do: 'settle', id, amount: of });

let turn = 0;
/** The account after these operations, and what did not fit, by index. */
function asked(
  before: AccountState,
  operations: readonly AccountOperation[],
  { limits = {}, revision = 0, at = T }: { limits?: Limits; revision?: number; at?: number } = {},
): { state: AccountState; short: Readonly<Record<string, Shortfall>> } {
  turn += 1;
  const [state, { short }] = exchange(before, { worker: 'one', turn, limits, revision, operations }, at);
  return { state, short };
}
const fresh = newAccount(TASK);

test.each<[string, Limits, Spent, string | undefined]>([
  ['that has no limit of it', {}, amount(1e9), undefined],
  ['that has just room for it', { tokens: 100 }, amount(100), undefined],
  ['that lacks one token', { tokens: 99 }, amount(100), 'tokens'],
  ['that allows no tokens, where it needs none', { tokens: 0 }, amount(0), undefined],
  ['that allows no tokens', { tokens: 0 }, amount(1), 'tokens'],
  ['that allows no calls', { calls: 0 }, amount(1), 'calls'],
  ['that lacks a millionth of a dollar', { microUsd: 9 }, amount(1, { microUsd: 10 }), 'money'],
  [
    'whose tokens suffice and money does not',
    { tokens: 9, microUsd: 1 },
    amount(1, { microUsd: 2 }),
    'money',
  ],
])('a call at an account %s', (_what, limits, of, limit) => {
  const { short, state } = asked(fresh, [reserve('a', of)], { limits });
  expect(short['0']?.limit).toBe(limit);
  expect(Object.keys(state.reservations)).toEqual(limit === undefined ? ['a'] : []);
});

test('a refusal says what was allowed, used, set aside and asked for, money in dollars', () => {
  const limits = { microUsd: 1_000_000 };
  const money = (microUsd: number): Spent => amount(1, { microUsd });
  const first = asked(fresh, [reserve('a', money(300_000)), reserve('b', money(200_000))], { limits });
  const second = asked(first.state, [settle('a', money(250_000)), reserve('c', money(800_000))], { limits });
  expect(second.short).toEqual({
    '1': { account: TASK, limit: 'money', allowed: 1, used: 0.25, reserved: 0.2, asked: 0.8 },
  });
  expect(second.state.short).toEqual({ ...second.short['1'], at: T });
});

describe('what would fit if others gave back what is set aside for them', () => {
  const limits = { tokens: 100, calls: 9 };
  const held = (
    id: string,
    at = T,
    of = amount(60),
  ): { state: AccountState; short: Shortfall | undefined } => {
    const first = asked(fresh, [reserve('one/0', amount(60))], { limits });
    const { state, short } = asked(first.state, [reserve(id, of)], { limits, at });
    return { state, short: short['0'] };
  };

  test('is to be asked again later, and counts as no refusal', () => {
    const { state, short } = held('two/0');
    expect(short).toMatchObject({ limit: 'tokens', used: 0, reserved: 60, asked: 60, later: true });
    expect(state.refused).toBe(0);
    expect(state.short).toBeUndefined();
    expect(Object.keys(state.reservations)).toEqual(['one/0']);
    // Once it is settled for little enough, it fits.
    const settled = asked(state, [settle('one/0', amount(40)), reserve('two/0', amount(60))], { limits });
    expect(settled.short).toEqual({});
  });

  test.each<[string, ReturnType<typeof held>]>([
    ['where that is so old that nobody waits for it', held('two/0', T + UNDER_WAY_MAXIMUM)],
    ['where its own action has lost it', held('one/1')],
    ['where it asks for more than there is', held('two/0', T, amount(101))],
    ['where something else does not fit either, and never will', held('two/0', T, amount(60, { calls: 10 }))],
  ])('is refused %s', (_why, { state, short }) => {
    expect(short).toBeDefined();
    expect(short).not.toHaveProperty('later');
    expect(state.refused).toBe(1);
  });

  test('is not waited for where steps are counted: one that was begun is never given back', () => {
    const one: Spent = { tokens: 0, microUsd: 0, calls: 0, steps: 1 };
    const steps = { steps: 1 };
    const first = asked(fresh, [reserve('one/step', one)], { limits: steps });
    expect(asked(first.state, [reserve('two/step', one)], { limits: steps }).short['0']).not.toHaveProperty(
      'later',
    );
  });
});

test.each<[Partial<Shortfall>, boolean]>([
  [{ used: 40, reserved: 60, asked: 60 }, true],
  [{ used: 41, reserved: 60, asked: 60 }, false],
  [{ used: 40, reserved: 0, asked: 60 }, false],
  [{ limit: 'steps', used: 0, reserved: 100, asked: 1 }, false],
  [{ limit: 'money', allowed: 0.3, used: 0.1, reserved: 0.1, asked: 0.2 }, true],
])('whether %j would fit alone', (of, fits) => {
  const short = { account: TASK, limit: 'tokens', allowed: 100, used: 0, reserved: 0, asked: 0, ...of };
  expect(wouldFitAlone(short as Shortfall)).toBe(fits);
});

test('what is asked again while it is set aside counts once', () => {
  const { state, short } = asked(fresh, [reserve('a', amount(60)), reserve('a', amount(60))], {
    limits: { tokens: 100 },
  });
  expect(short).toEqual({});
  expect(state.reserved).toEqual(amount(60));
});

test('what is settled counts once, by what it came to', () => {
  const first = asked(fresh, [reserve('a', amount(60)), settle('a', amount(40))]);
  const { state } = asked(first.state, [settle('a', amount(40))]);
  expect(state.used).toEqual(amount(40));
  expect(state.reserved.tokens).toBe(0);
});

test('what came to more than was set aside counts in full', () => {
  const limits = { tokens: 100 };
  const first = asked(fresh, [reserve('a', amount(60)), settle('a', amount(120))], { limits });
  expect(first.state.used.tokens).toBe(120);
  expect(asked(first.state, [reserve('b', amount(1))], { limits }).short['0']).toMatchObject({ used: 120 });
});

test('what was never settled is not seen any more after a day, and stays counted', () => {
  const { state } = asked(fresh, [reserve('a', amount(60))]);
  const later = current(state, T + 24 * HOUR);
  expect(later.unseen).toEqual(amount(60));
  expect(later.reserved.tokens).toBe(0);
  expect(asked(later, [settle('a', amount(10))]).state.used.tokens).toBe(0);
});

test('a step counts once however long ago it was begun', () => {
  const step: Spent = { tokens: 0, microUsd: 0, calls: 0, steps: 1 };
  const limits = { steps: 1 };
  const { state } = asked(fresh, [reserve('one', step)], { limits });
  const later = asked(state, [reserve('one', step), reserve('two', step)], { limits, at: T + 48 * HOUR });
  expect(later.short).toEqual({ '1': expect.objectContaining({ limit: 'steps', allowed: 1 }) });
});

test('limits that were changed more often stand, and what was refused is forgotten with them', () => {
  const first = asked(fresh, [reserve('a', amount(60))], { limits: { tokens: 50 }, revision: 0 });
  const raised = asked(first.state, [reserve('a', amount(60))], { limits: { tokens: 60 }, revision: 1 });
  expect(raised.short).toEqual({});
  expect(raised.state.short).toBeUndefined();
  const old = asked(raised.state, [], { limits: { tokens: 50 }, revision: 0 });
  expect(old.state.limits).toEqual({ tokens: 60 });
});

test('limits that were changed as often follow the last worker, which may have a newer configuration', () => {
  const first = asked(newAccount('cadre'), [], { limits: { tokens: 50 } });
  expect(asked(first.state, [], { limits: { tokens: 40 } }).state.limits).toEqual({ tokens: 40 });
});

test("a task's limits that two have changed at the same time are what is more of each", () => {
  const first = asked(fresh, [], { limits: { tokens: 50, calls: 9 }, revision: 1 });
  const second = asked(first.state, [], { limits: { tokens: 40, calls: 10, steps: 3 }, revision: 1 });
  expect(second.state.limits).toEqual({ tokens: 50, calls: 10, steps: 3 });
});

test('the account of a day knows nothing of the day before', () => {
  const daily = newAccount('agent.writer');
  const first = asked(daily, [reserve('a', amount(60)), reserve('b', amount(30))]);
  const { state } = asked(first.state, [settle('a', amount(50))], { at: T + 12 * HOUR });
  expect(state).toMatchObject({ day: '2026-02-01', reservations: {} });
  expect(state.used.tokens + state.reserved.tokens + state.unseen.tokens).toBe(0);
});

test.each<[string, unknown]>([
  ['no worker', { turn: 1, limits: {}, revision: 0, operations: [] }],
  ['a turn that is no number', { worker: 'a', turn: 'x', limits: {}, revision: 0, operations: [] }],
  [
    'a limit of something unknown',
    { worker: 'a', turn: 1, limits: { cats: 1 }, revision: 0, operations: [] },
  ],
  ['a limit below 0', { worker: 'a', turn: 1, limits: { tokens: -1 }, revision: 0, operations: [] }],
  [
    'half a token',
    { worker: 'a', turn: 1, limits: {}, revision: 0, operations: [reserve('a', amount(0.5))] },
  ],
  ['an unknown operation', { worker: 'a', turn: 1, limits: {}, revision: 0, operations: [{ do: 'steal' }] }],
  [
    'too many operations',
    { worker: 'a', turn: 1, limits: {}, revision: 0, operations: Array(501).fill(reserve('a', amount(1))) },
  ],
])('a message with %s is refused', (_what, message) => {
  expect(() => readExchange(message)).toThrow(/Expected/);
});

test.each([[{}], [{ account: 'nobody' }], [{ snapshot: { account: TASK, version: 2 } }]])(
  'an account does not start from %j',
  (start) => {
    expect(() => accountStart(start)).toThrow(/Expected/);
  },
);

test('what did not fit is read back from what crossed', () => {
  const short: Shortfall = { account: TASK, limit: 'tokens', allowed: 1, used: 0, reserved: 0, asked: 2 };
  expect(readShortfall({ ...short, failed: {} })).toEqual(short);
  expect(readShortfall({ ...short, limit: 'cats' })).toBeUndefined();
  expect(readShortfall(undefined)).toBeUndefined();
});

test('it is shown by unit, with what did not fit last', () => {
  const { state } = asked(fresh, [reserve('a', amount(60, { microUsd: 5 })), reserve('b', amount(101))], {
    limits: { tokens: 100 },
  });
  expect(accountRows(state)).toEqual([
    { unit: 'tokens', allowed: 100, used: 0, reserved: 60, unseen: 0 },
    { unit: 'money', used: 0, reserved: 0.000005, unseen: 0 },
    { unit: 'calls', used: 0, reserved: 1, unseen: 0 },
  ]);
  expect(accountDetails(state)).toContain('asked for 101 tokens more');
});

test.each<[Shortfall, string]>([
  [
    { account: TASK, limit: 'tokens', allowed: 20_000, used: 19_500, reserved: 0, asked: 1200 },
    'The budget task.0123456789abcdef allows 20,000 tokens: used 19,500 tokens, set aside 0 tokens, asked for 1,200 tokens more',
  ],
  [
    { account: 'agent.writer', limit: 'money', allowed: 0.5, used: 0.25, reserved: 0.2, asked: 0.1 },
    'The budget of the agent "writer" for the day (UTC) allows $0.5: used $0.25, set aside $0.2, asked for $0.1 more',
  ],
  [
    { account: 'cadre', limit: 'calls', allowed: 3, used: 3, reserved: 0, asked: 1 },
    'The budget of the cadre for the day (UTC) allows 3 calls: used 3 calls, set aside 0 calls, asked for 1 call more',
  ],
  [
    { account: TASK, limit: 'wallTime', allowed: 1000, used: 1000, reserved: 0, asked: 0 },
    'The budget task.0123456789abcdef has no time left',
  ],
])('words for %j', (short, words) => {
  expect(shortfallMessage(short)).toBe(words);
});

const SHORT: Shortfall = {
  account: TASK,
  limit: 'tokens',
  allowed: 7000,
  used: 646,
  reserved: 0,
  asked: 6853,
};
test.each<[string, Partial<Shortfall>, RegExp]>([
  ['of a task says how much it takes', {}, /`cadre resume ID --budget tokens=7499`/],
  [
    'of money says it in dollars',
    { limit: 'money', allowed: 0.3, used: 0.1, reserved: 0.000001, asked: 0.2 },
    /--budget money=0\.300001`/,
  ],
  [
    'of an agent names its field and when the day ends',
    { account: 'agent.writer' },
    /the day ends, at 00:00 UTC, or raise tokens in the `budget` of the agent "writer".*`cadre resume ID` goes on/,
  ],
  [
    'of the cadre names where it is set',
    { account: 'cadre', limit: 'calls' },
    /raise calls in .*`defineConfig`/,
  ],
  ['of time gives it anew', { limit: 'wallTime', allowed: 600_000 }, /`cadre resume ID`.*wallTime=1200s/],
])('what to do about a budget %s', (_what, of, words) => {
  const fix = shortfallFix({ ...SHORT, ...of });
  expect(fix).toMatch(words);
  expect(/--budget (?!wallTime)/.test(fix)).toBe((of.account ?? TASK) === TASK && of.limit !== 'wallTime');
});
