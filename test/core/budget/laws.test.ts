// Pure: what holds of an account whatever it is asked.
import fc from 'fast-check';
import {
  type AccountExchange,
  type AccountOperation,
  type AccountReply,
  type AccountState,
  NOTHING_SPENT,
  type Reservation,
  type Spent,
  exchange,
  newAccount,
  taken,
  wouldFitAlone,
} from '../../../src/core/budget/account';
import { accountStart, readExchange } from '../../../src/core/budget/start';

const T = Date.UTC(2026, 0, 31, 12);
const HOUR = 60 * 60 * 1000;
const UNITS = ['tokens', 'microUsd', 'calls', 'steps'] as const;
const LIMITS = { tokens: 100, microUsd: 50, calls: 6 };

const anySpent: fc.Arbitrary<Spent> = fc.record({
  tokens: fc.nat(60),
  microUsd: fc.nat(30),
  calls: fc.nat(2),
  steps: fc.constant(0),
});
const anyReserve: fc.Arbitrary<AccountOperation & { do: 'reserve' }> = fc.record({
  do: fc.constant('reserve' as const),
  id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  amount: anySpent,
});
/** What is settled: a share of what was set aside, in tenths. */
const anySettle = fc.record({
  do: fc.constant('settleShare' as const),
  id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  tenths: fc.nat(10),
});
const anyTurn = fc.record({
  worker: fc.constantFrom('one', 'two'),
  later: fc.oneof({ weight: 9, arbitrary: fc.nat(1000) }, { weight: 1, arbitrary: fc.nat(30 * HOUR) }),
  // A worker settles what it has heard that it has.
  operations: fc.uniqueArray(fc.oneof(anyReserve, anySettle), { maxLength: 5, selector: ({ id }) => id }),
  sentAgain: fc.nat(2),
});

type Turn = typeof anyTurn extends fc.Arbitrary<infer Value> ? Value : never;

interface Step {
  readonly before: AccountState;
  readonly message: AccountExchange;
  readonly reply: AccountReply;
  readonly after: AccountState;
  readonly now: number;
}

/** All that happens to an account in a run; each message may come more than once, and once more at the end of its day. */
function run(turns: readonly Turn[], account = 'task.0123456789abcdef'): Step[] {
  let state = newAccount(account);
  let now = T;
  const steps: Step[] = [];
  const sent: { readonly message: AccountExchange; readonly at: number }[] = [];
  const tell = (message: AccountExchange): void => {
    const before = state;
    const [after, reply] = exchange(before, message, now);
    // It stands in history and in the next run.
    state = JSON.parse(JSON.stringify(after)) as AccountState;
    steps.push({ before, message, reply, after: state, now });
  };
  for (const [index, { worker, later, operations, sentAgain }] of turns.entries()) {
    now += later;
    const all = operations.map((one): AccountOperation => {
      if (one.do === 'reserve') return one;
      return { do: 'settle', id: one.id, amount: shareOf(state.reservations[one.id], one.tenths) };
    });
    const message = readExchange({ worker, turn: index + 1, limits: LIMITS, revision: 0, operations: all });
    sent.push({ message, at: now });
    for (let time = 0; time <= sentAgain; time += 1) tell(message);
  }
  for (const { message, at } of sent) if (at > now - 24 * HOUR) tell(message);
  return steps;
}

function shareOf(reservation: Reservation | undefined, tenths: number): Spent {
  if (reservation === undefined) return NOTHING_SPENT;
  const share = (amount: number): number => Math.floor((amount * tenths) / 10);
  const { tokens, microUsd, calls, steps } = reservation;
  return { tokens: share(tokens), microUsd: share(microUsd), calls: share(calls), steps: share(steps) };
}

const always = (holds: (steps: Step[]) => void, account?: string): void =>
  fc.assert(
    fc.property(fc.array(anyTurn, { minLength: 1, maxLength: 20 }), (turns) => holds(run(turns, account))),
    { numRuns: 100 },
  );

test('what is used, set aside and never seen is at most the limit, in each unit', () => {
  always((steps) => {
    for (const { after } of steps) {
      for (const unit of ['tokens', 'microUsd', 'calls'] as const) {
        expect(taken(after, unit)).toBeLessThanOrEqual(LIMITS[unit]);
      }
    }
  });
});

test('what is set aside is the sum of the reservations', () => {
  always((steps) => {
    for (const { after } of steps) {
      const all = Object.values(after.reservations);
      for (const unit of UNITS)
        expect(after.reserved[unit]).toBe(all.reduce((sum, one) => sum + one[unit], 0));
    }
  });
});

test('a message that comes again changes nothing, and gets the same answer', () => {
  always((steps) => {
    for (const { after, message, reply, now } of steps) {
      if (after.workers[message.worker]?.turn !== message.turn) continue;
      expect(exchange(after, message, now)).toEqual([after, reply]);
    }
  });
});

test('a message that comes after a later one of the same worker changes nothing', () => {
  always((steps) => {
    const last = steps.at(-1);
    const late = steps.find(({ message }) => {
      const known = last?.after.workers[message.worker];
      return known !== undefined && message.turn < known.turn;
    });
    if (last === undefined || late === undefined) return;
    const [after, reply] = exchange(last.after, late.message, last.now);
    expect(after).toEqual(last.after);
    expect(reply).toEqual({ short: {} });
  });
});

test('what is refused leaves nothing set aside, and says what there was', () => {
  always((steps) => {
    for (const { message, reply, after, before } of steps) {
      const isNew = before.workers[message.worker]?.turn !== message.turn;
      for (const [index, short] of isNew ? Object.entries(reply.short) : []) {
        const operation = message.operations[Number(index)];
        expect(operation?.do).toBe('reserve');
        expect(short.used + short.reserved + short.asked).toBeGreaterThan(short.allowed);
        if (!short.later) expect(after.refused).toBeGreaterThan(before.refused);
      }
    }
  });
});

test('what is to be asked again later fits once all that is set aside is given back', () => {
  always((steps) => {
    for (const { message, reply, after, before, now } of steps) {
      const isNew = before.workers[message.worker]?.turn !== message.turn;
      for (const [index, short] of isNew ? Object.entries(reply.short) : []) {
        const operation = message.operations[Number(index)];
        if (!short.later || operation === undefined) continue;
        expect(wouldFitAlone(short)).toBe(true);
        const giveBack = Object.keys(after.reservations).map(
          (id): AccountOperation => ({ do: 'settle', id, amount: NOTHING_SPENT }),
        );
        // What later operations of the message settled is used by now.
        if (message.operations.slice(Number(index)).some((one) => one.do === 'settle')) continue;
        const { limits, revision } = message;
        const again = { worker: 'three', turn: 1, limits, revision, operations: [...giveBack, operation] };
        expect(exchange(after, again, now)[1]).toEqual({ short: {} });
      }
    }
  });
});

test('what counts never shrinks by itself: only what is settled for less gives back', () => {
  always((steps) => {
    for (const { before, after, message } of steps) {
      if (message.operations.some((one) => one.do === 'settle')) continue;
      for (const unit of UNITS) expect(taken(after, unit)).toBeGreaterThanOrEqual(taken(before, unit));
    }
  });
});

test('the account of a day begins each day with nothing used, and never goes over its limit', () => {
  always((steps) => {
    for (const { before, after, now } of steps) {
      expect(after.day).toBe(new Date(now).toISOString().slice(0, 10));
      for (const unit of ['tokens', 'microUsd', 'calls'] as const) {
        expect(taken(after, unit)).toBeLessThanOrEqual(LIMITS[unit]);
      }
      if (before.day === after.day) continue;
      const [fresh] = exchange(before, { ...idle(after), operations: [] }, now);
      for (const unit of UNITS) expect(taken(fresh, unit)).toBe(0);
    }
  }, 'agent.writer');
});

function idle({ limits, revision }: AccountState): Omit<AccountExchange, 'operations'> {
  return { worker: 'three', turn: 1, limits, revision };
}

test('a state goes on in a new run as it is', () => {
  always((steps) => {
    for (const { after } of steps) {
      expect(accountStart({ snapshot: after, origin: {}, overrides: {} })).toEqual(after);
    }
  });
});
