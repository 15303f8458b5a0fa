// Pure: which accounts a worker asks in which order, and what it does where one does not answer.
import { Budgets } from '../../../src/activities/budget/budgets';
import {
  type AccountExchange,
  type AccountOperation,
  type AccountReply,
  type AccountState,
  exchange,
  newAccount,
} from '../../../src/core/budget/account';
import {
  CADRE_ACCOUNT,
  type DailyBudget,
  type Spending,
  taskAccount,
  taskBudget,
} from '../../../src/core/budget/budget';
import type { Envelope } from '../../../src/core/envelope';
import { readExchange } from '../../../src/core/budget/start';
import { CadreError } from '../../../src/core/failures';

const T = Date.UTC(2026, 0, 31, 12);
const ASKED = { tokens: 10, microUsd: 5, calls: 1 };

/** Accounts in memory, and what they were told, in order. */
class Accounts {
  readonly states = new Map<string, AccountState>();
  readonly told: { account: string; message: AccountExchange }[] = [];
  /** How often what is told is done, and not answered. */
  lost = 0;
  /** What an account waits for before it takes a message. */
  readonly held = new Map<string, Promise<void>>();

  readonly tell = async (account: string, message: AccountExchange): Promise<AccountReply> => {
    this.told.push({ account, message });
    await this.held.get(account);
    const read = readExchange(message);
    const [state, reply] = exchange(this.states.get(account) ?? newAccount(account), read, T);
    this.states.set(account, state);
    await Promise.resolve();
    if (this.lost > 0) {
      this.lost -= 1;
      throw new Error('no answer');
    }
    return reply;
  };

  get operations(): [string, AccountOperation['do']][] {
    return this.told.flatMap(({ account, message }) =>
      message.operations.map((one): [string, AccountOperation['do']] => [account, one.do]),
    );
  }
}

let accounts: Accounts;
beforeEach(() => (accounts = new Accounts()));

const { signal } = new AbortController();
function envelope(budget: Spending | undefined, kind: Envelope['kind'] = 'act'): Envelope {
  return {
    root: 'root',
    step: 'one',
    kind,
    term: 1,
    version: 1,
    ...(budget === undefined ? {} : { budget }),
  };
}
const TASK = taskAccount('root');
const PARENT = taskAccount('parent');
const inTask = taskBudget('root', T, {
  budget: { tokens: 100, steps: 1 },
  parent: { lines: [{ account: PARENT, limits: { tokens: 100 }, revision: 0 }] },
}) as Spending;

function budgetsOf(cadre?: DailyBudget, waits: number[] = []): Budgets {
  let turn = 0;
  return new Budgets(accounts.tell, cadre, {
    worker: 'worker',
    turn: () => (turn += 1),
    wait: (milliseconds) => {
      waits.push(milliseconds);
      return Promise.resolve();
    },
  });
}

test('where nothing is limited no account is asked', () => {
  expect(budgetsOf().chargeOf({ name: 'writer' }, envelope(undefined), signal)).toBeUndefined();
  expect(
    budgetsOf({}).chargeOf({ name: 'writer', budget: {} }, envelope({ lines: [] }), signal),
  ).toBeUndefined();
});

test('the task is asked first, then its parents, its agent and its cadre', async () => {
  const agent = { name: 'writer', budget: { calls: 5 } };
  const charge = budgetsOf({ money: 1 }).chargeOf(agent, envelope(inTask), signal);
  await charge?.reserve('0.1', ASKED);
  expect(accounts.operations).toEqual(
    [TASK, PARENT, 'agent.writer', 'cadre'].map((account) => [account, 'reserve']),
  );
  await charge?.settle('0.1', { ...ASKED, tokens: 4 });
  for (const account of [TASK, PARENT, 'agent.writer', 'cadre']) {
    expect(accounts.states.get(account)).toMatchObject({ used: { tokens: 4 }, reserved: { tokens: 0 } });
  }
});

test('what one refuses those before it get back, and those after it are not asked', async () => {
  const agent = { name: 'writer', budget: { calls: 0 } };
  const budgets = budgetsOf({ money: 1 });
  await expect(
    budgets.chargeOf(agent, envelope(inTask), signal)?.reserve('0.1', ASKED),
  ).rejects.toMatchObject({
    type: 'BudgetReached',
    details: { account: 'agent.writer', limit: 'calls', allowed: 0, used: 0, reserved: 0, asked: 1 },
  });
  await budgets.settled();
  for (const account of [TASK, PARENT]) {
    expect(accounts.states.get(account)).toMatchObject({ used: { tokens: 0 }, reserved: { tokens: 0 } });
  }
  expect(accounts.states.has('cadre')).toBe(false);
});

test('a step that a later account refuses stays counted: another attempt of it may have begun', async () => {
  const parent = { lines: [{ account: PARENT, limits: { steps: 0 }, revision: 0 }] };
  const both = taskBudget('root', T, { budget: { steps: 1 }, parent });
  const budgets = budgetsOf();
  const charge = budgets.chargeOf({ name: 'writer' }, envelope(both), signal);
  await expect(charge?.begin()).rejects.toMatchObject({ details: { account: PARENT, limit: 'steps' } });
  await budgets.settled();
  expect(accounts.states.get(TASK)?.reserved.steps).toBe(1);
});

test.each([
  ['not whole', { ...ASKED, tokens: 1.5 }],
  ['below 0', { ...ASKED, microUsd: -1 }],
])('what is %s fails the call of that agent alone', async (_what, amount) => {
  const budgets = budgetsOf({ tokens: 100 });
  const [bad, good] = ['bad', 'good'].map((name) => budgets.chargeOf({ name }, envelope(undefined), signal));
  const asked = bad?.reserve('0.1', amount);
  await Promise.all([
    expect(asked).rejects.toMatchObject({ type: 'InputInvalid' }),
    expect(good?.reserve('0.1', ASKED)).resolves.toBeUndefined(),
  ]);
  await Promise.all([bad?.settle('0.1', amount), good?.settle('0.1', ASKED)]);
  expect(accounts.states.get('cadre')).toMatchObject({ used: { tokens: 10 }, reserved: { tokens: 0 } });
});

test('what an account sets aside after the attempt has ended is given back, and what those before it did', async () => {
  const stop = new AbortController();
  let answer = (): void => undefined;
  accounts.held.set('cadre', new Promise((resolve) => (answer = resolve)));
  const budgets = budgetsOf({ tokens: 100 });
  const charge = budgets.chargeOf({ name: 'writer' }, envelope(inTask), stop.signal);
  const asked = charge?.reserve('0.1', ASKED).catch((error: unknown) => error);
  while (!accounts.told.some(({ account }) => account === 'cadre')) await Promise.resolve();
  stop.abort(new Error('cancelled'));
  expect(await asked).toMatchObject({ message: 'cancelled' });
  answer();
  await budgets.settled();
  for (const account of [TASK, PARENT, 'cadre']) {
    expect(accounts.states.get(account)).toMatchObject({ used: { tokens: 0 }, reserved: { tokens: 0 } });
  }
});

test('undoing is charged to the agent and the cadre alone', async () => {
  const agent = { name: 'writer', budget: { calls: 5 } };
  const charge = budgetsOf().chargeOf(agent, envelope(inTask, 'undo'), signal);
  await charge?.begin();
  await charge?.reserve('0.1', ASKED);
  expect(accounts.operations).toEqual([['agent.writer', 'reserve']]);
});

test('a step is counted once over all attempts, where steps are limited', async () => {
  const budgets = budgetsOf();
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await budgets.chargeOf({ name: 'writer' }, envelope(inTask), signal)?.begin();
  }
  expect(accounts.states.get(TASK)?.reserved.steps).toBe(1);
  expect(accounts.states.has(PARENT)).toBe(false);
  const other = budgets.chargeOf({ name: 'writer' }, { ...envelope(inTask), step: 'two' }, signal);
  await expect(other?.begin()).rejects.toMatchObject({ type: 'BudgetReached', details: { limit: 'steps' } });
});

test('a model without a price is not called where money is limited', async () => {
  const unpriced = { ...ASKED, unpriced: true } as const;
  const limited = budgetsOf({ money: 1 }).chargeOf({ name: 'writer' }, envelope(undefined), signal);
  await expect(limited?.reserve('0.1', unpriced, 'own/model')).rejects.toMatchObject({
    type: 'PriceUnknown',
    message: `The budget ${CADRE_ACCOUNT} limits money, and the price of own/model, which the agent "writer" asks, is not known`,
  });
  expect(accounts.told).toEqual([]);
  const free = budgetsOf({ calls: 1 }).chargeOf({ name: 'writer' }, envelope(undefined), signal);
  await expect(free?.reserve('0.1', unpriced)).resolves.toBeUndefined();
});

test('what is not answered is sent again as it was, with a longer wait each time, and counts once', async () => {
  const waits: number[] = [];
  accounts.lost = 3;
  const charge = budgetsOf({ tokens: 15 }, waits).chargeOf({ name: 'writer' }, envelope(undefined), signal);
  await charge?.reserve('0.1', ASKED);
  expect(waits).toEqual([50, 100, 200]);
  const [first, ...others] = accounts.told;
  expect(others).toEqual([first, first, first]);
  expect(accounts.states.get('cadre')?.reserved.tokens).toBe(10);
});

test('what is asked at once goes in one message, and what is asked meanwhile in the next', async () => {
  const charge = budgetsOf({ tokens: 1000 }).chargeOf({ name: 'writer' }, envelope(undefined), signal);
  const many = Array.from({ length: 50 }, (_, index) => charge?.reserve(`0.${index}`, ASKED));
  await Promise.resolve();
  await Promise.resolve();
  const later = charge?.reserve('1.1', ASKED);
  await Promise.all([...many, later]);
  expect(accounts.told.map(({ message }) => message.operations.length)).toEqual([50, 1]);
  expect(accounts.told.map(({ message }) => message.turn)).toEqual([1, 2]);
});

test('an account that takes no such message fails the call', async () => {
  const refuse = (): Promise<AccountReply> => Promise.reject(new CadreError('InputInvalid', 'no message'));
  const charge = new Budgets(refuse, { calls: 1 }).chargeOf({ name: 'writer' }, envelope(undefined), signal);
  await expect(charge?.reserve('0.1', ASKED)).rejects.toMatchObject({ type: 'InputInvalid' });
});

describe('where an account does not answer', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());
  const silent = (): Promise<AccountReply> => new Promise(() => undefined);

  test('the attempt fails after 30 s as one that may be tried again', async () => {
    const charge = new Budgets(silent, { calls: 1 }).chargeOf(
      { name: 'writer' },
      envelope(undefined),
      signal,
    );
    const failure = charge?.reserve('0.1', ASKED).catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(30_000);
    expect(await failure).toMatchObject({ type: 'NoWorker', retryable: true });
  });

  test('a call that was cancelled waits no longer', async () => {
    const stop = new AbortController();
    const charge = new Budgets(silent, { calls: 1 }).chargeOf(
      { name: 'writer' },
      envelope(undefined),
      stop.signal,
    );
    const failure = charge?.reserve('0.1', ASKED).catch((error: unknown) => error);
    stop.abort(new Error('cancelled'));
    expect(await failure).toMatchObject({ message: 'cancelled' });
  });

  test('what was used is told on, and nobody waits for it longer than 2 s', async () => {
    const budgets = new Budgets(silent, { calls: 1 });
    const settled = budgets.chargeOf({ name: 'writer' }, envelope(undefined), signal)?.settle('0.1', ASKED);
    await jest.advanceTimersByTimeAsync(2000);
    await expect(settled).resolves.toBeUndefined();
  });
});
