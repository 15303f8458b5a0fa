import { AsyncResource } from 'node:async_hooks';
import { join } from 'node:path';
import type { Charge } from '../../../src/activities/calls/charge';
import { AttemptCalls, type Call, type CallScope } from '../../../src/activities/calls/recorded-calls';
import type { Asked } from '../../../src/core/budget/account';
import { CadreError } from '../../../src/core/failures';
import type { Amount, ModelUsage } from '../../../src/core/usage';
import { FileArtifactStore } from '../../../src/storage/artifact-store';
import { TemporaryFolder } from '../../support/temporary-folder';
import { ONE_CALL } from '../../support/usage';

const folder = TemporaryFolder.ofEachTest();
let warnings: string[];

beforeEach(() => {
  warnings = [];
});

/** One attempt's calls; all attempts of a test share a store. */
function attempt(overrides: Partial<CallScope> = {}): AttemptCalls {
  const ignore = (): void => undefined;
  const warn = (message: string): void => void warnings.push(message);
  return new AttemptCalls({
    artifacts: new FileArtifactStore(join(folder.path, 'artifacts')),
    action: 'task/run/step/act',
    agent: 'scout',
    signal: new AbortController().signal,
    log: { debug: ignore, info: ignore, warn, error: ignore },
    ...overrides,
  });
}

const paid = ONE_CALL;
const most: Asked = { tokens: 100, microUsd: 50, calls: 1 };

/** A model that counts how often it was paid. */
class Model {
  paid = 0;

  ask(prompt: string, changes: Partial<Call<string>> = {}): Call<string> {
    return {
      kind: 'model',
      name: 'p/m',
      request: { prompt },
      reserves: most,
      run: () => Promise.resolve(`${prompt}, answered ${++this.paid}`),
      usageOf: () => paid,
      ...changes,
    };
  }
}

/** A worker that dies in the middle of a call. */
const dies = (): Promise<never> => Promise.reject(new Error('killed'));
const neverPaid = { unpaid: (): boolean => false };

test('a call that an attempt has recorded is not made by the next one, and gives the same result', async () => {
  const model = new Model();
  const first = await attempt().run(model.ask('one'));
  expect(await attempt().run(model.ask('one'))).toBe(first);
  expect(model.paid).toBe(1);
});

test('a call is known by its place and by all that it asks, whatever the order of the fields', async () => {
  const model = new Model();
  const before = attempt();
  await before.run(model.ask('', { request: { a: 1, b: 2 } }));
  await before.run(model.ask('', { request: { a: 1, b: 2 } }));
  expect(model.paid).toBe(2);
  const after = attempt();
  await after.run(model.ask('', { request: { b: 2, a: 1 } }));
  expect(model.paid).toBe(2);
  await after.run(model.ask('', { request: { a: 1, b: 3 } }));
  expect(model.paid).toBe(3);
});

test.each([
  ['action', { action: 'other/run/step/act' }],
  ['agent', { agent: 'other' }],
] as const)('the calls of another %s are its own', async (_what, other) => {
  const model = new Model();
  await attempt().run(model.ask('one'));
  await attempt(other).run(model.ask('one'));
  expect(model.paid).toBe(2);
});

test('calls that are made at once keep the order in which they were asked for', async () => {
  const model = new Model();
  const prompts = Array.from({ length: 50 }, (_, index) => `call ${index}`);
  const before = attempt();
  const first = await Promise.all(prompts.map((prompt) => before.run(model.ask(prompt))));
  const after = attempt();
  expect(await Promise.all(prompts.map((prompt) => after.run(model.ask(prompt))))).toEqual(first);
  expect(model.paid).toBe(50);
  expect((await after.report(false)).usage).toEqual([
    { ...paid, tokens: 600, microUsd: 150, calls: 50, inputTokens: 500, outputTokens: 100 },
  ]);
});

test('what a call comes to is what JSON makes of it, in the first attempt too', async () => {
  const run = (): Promise<unknown> => Promise.resolve({ at: new Date(0), none: undefined });
  const call = { kind: 'tool' as const, name: 'clock', request: null, run };
  expect(await attempt().run(call)).toEqual({ at: '1970-01-01T00:00:00.000Z' });
  const none = { kind: 'tool' as const, name: 'none', request: null, run: () => Promise.resolve() };
  expect(await attempt({ agent: 'other' }).run(none)).toBeUndefined();
});

test('what is not JSON fails as the output of an agent, and says of which call and why', async () => {
  const call = new Model().ask('one', { run: () => Promise.resolve(1n as never), usageOf: () => paid });
  await expect(attempt().run(call)).rejects.toMatchObject({
    type: 'AgentOutputInvalid',
    message: expect.stringMatching(
      /^Expected what the model p\/m returns to be JSON, .*: .* BigInt$/,
    ) as string,
  });
  const ring: Record<string, unknown> = {};
  ring['itself'] = ring;
  const run = (): Promise<unknown> => Promise.resolve(ring);
  await expect(attempt().run({ kind: 'tool', name: 'order', request: null, run })).rejects.toMatchObject({
    type: 'AgentOutputInvalid',
    message: expect.stringMatching(
      /^Expected what the tool order returns .*what holds itself: .*circular/,
    ) as string,
  });
});

test('a call whose end nobody saw is made again, counted with what it reserved, and the log says so', async () => {
  const model = new Model();
  const before = attempt();
  await before.run(model.ask('one'));
  await expect(before.run(model.ask('two', { run: dies, ...neverPaid }))).rejects.toThrow('killed');

  const after = attempt();
  await after.run(model.ask('one'));
  await after.run(model.ask('two'));
  expect(model.paid).toBe(2);
  expect(await after.report(false)).toEqual({
    usage: [{ ...paid, tokens: 124, microUsd: 56, calls: 3, inputTokens: 20, outputTokens: 4, unseen: 1 }],
    decisions: [
      {
        type: 'callRepeated',
        rationale: expect.stringContaining('Call 2 (p/m)') as string,
        evidence: { call: 1, kind: 'model', name: 'p/m', tries: 2, unseen: 1 },
      },
    ],
  });
  expect(warnings).toHaveLength(1);
  // Whoever comes later says the same.
  expect(await attempt().report(true)).toEqual(await after.report(false));
});

test('a call that its provider refused was not paid: nothing of it counts, and the log is silent', async () => {
  const model = new Model();
  const run = (): Promise<never> =>
    Promise.reject(Object.assign(new Error('slow down'), { statusCode: 429 }));
  await expect(attempt().run(model.ask('one', { run }))).rejects.toThrow('slow down');
  const after = attempt();
  await after.run(model.ask('one'));
  expect(await after.report(false)).toEqual({ usage: [paid], decisions: [] });
  expect(warnings).toEqual([]);
});

test('a tool that throws has ended, and one that was cut short may have acted', async () => {
  const tool = (run: () => Promise<string>): Call<string> => ({
    kind: 'tool',
    name: 'file',
    request: 1,
    run,
  });
  await expect(attempt().run(tool(dies))).rejects.toThrow('killed');
  const cut = new AbortController();
  const cutShort = tool(() => {
    cut.abort(new Error('cut'));
    return dies();
  });
  await expect(attempt({ signal: cut.signal }).run(cutShort)).rejects.toThrow('killed');
  const last = attempt();
  await last.run(tool(() => Promise.resolve('done')));
  const { usage, decisions } = await last.report(false);
  expect(usage).toEqual([]);
  expect(decisions).toMatchObject([{ type: 'callRepeated', evidence: { tries: 3, unseen: 1 } }]);
});

test('what an attempt paid for a request that the next one does not make counts too', async () => {
  const model = new Model();
  await attempt().run(model.ask('one'));
  const after = attempt();
  await after.run(model.ask('another'));
  expect(await after.report(false)).toMatchObject({
    usage: [{ calls: 2, tokens: 24, unseen: 0 }],
    decisions: [{ type: 'callRepeated', evidence: { changed: 1, names: ['p/m'] } }],
  });
});

test('only what was asked again, and may have been paid before, is said to be repeated', async () => {
  const model = new Model();
  const before = attempt();
  const refused = (): Promise<never> => Promise.reject(Object.assign(new Error('no'), { statusCode: 400 }));
  await expect(before.run(model.ask('one', { run: refused }))).rejects.toThrow('no');
  await before.run(model.ask('two'));
  const after = attempt();
  await after.run(model.ask('another'));
  expect((await after.report(false)).decisions).toEqual([]);
  await after.run(model.ask('another'));
  expect((await after.report(false)).decisions).toMatchObject([{ evidence: { changed: 1 } }]);
});

test('a tool’s call is known by what it asks and how manieth it is, wherever it stands', async () => {
  let ran = 0;
  const tool = (request: unknown): Call<number> => ({
    kind: 'tool',
    name: 'count',
    request,
    run: () => Promise.resolve((ran += 1)),
  });
  const before = attempt();
  for (const request of ['a', 'a', 'b']) await before.run(tool(request));
  const after = attempt();
  const results: number[] = [];
  for (const request of ['b', 'c', 'a', 'a']) results.push(await after.run(tool(request)));
  expect(results).toEqual([3, 4, 1, 2]);
  // What a model is asked does not move with it.
  const model = new Model();
  await before.run(model.ask('one'));
  await after.run(model.ask('one'));
  expect(model.paid).toBe(1);
});

test('of two attempts at once each learns of what the other begins, and what stands is one result', async () => {
  const model = new Model();
  const [late, early] = [attempt(), attempt()];
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let begun = (): void => undefined;
  const running = new Promise<void>((resolve) => (begun = resolve));
  const slow = late.run(
    model.ask('one', {
      run: async () => {
        begun();
        await held;
        return 'slow';
      },
    }),
  );
  await running;
  const fast = await early.run(model.ask('one'));
  release();
  expect(await slow).toBe(fast);
  expect((await early.report(false)).usage).toMatchObject([{ calls: 2, unseen: 1 }]);
});

test('two attempts that begin the same calls at the same time write each entry once', async () => {
  const model = new Model();
  const prompts = Array.from({ length: 20 }, (_, index) => `call ${index}`);
  const both = [attempt(), attempt()];
  const results = await Promise.all(
    both.map((one) => Promise.all(prompts.map((prompt) => one.run(model.ask(prompt))))),
  );
  expect(results[0]).toEqual(results[1]);
  const { usage } = await attempt().report(true);
  expect(usage[0]?.calls).toBe(model.paid);
});

test('an attempt that makes no calls asks nothing of the store, unless one before it may have', async () => {
  const artifacts = new FileArtifactStore(join(folder.path, 'artifacts'));
  const asked = jest.spyOn(artifacts, 'recall');
  expect(await attempt({ artifacts }).report(false)).toEqual({ usage: [], decisions: [] });
  expect(asked).not.toHaveBeenCalled();
  expect(await attempt({ artifacts }).report(true)).toEqual({ usage: [], decisions: [] });
  expect(asked).toHaveBeenCalledTimes(1);
});

test('no call begins once the attempt is cut short', async () => {
  const model = new Model();
  const calls = attempt({ signal: AbortSignal.abort(new Error('cancelled')) });
  await expect(calls.run(model.ask('one'))).rejects.toThrow('cancelled');
  expect(model.paid).toBe(0);
});

test('each record is told of, with what all so far came to', async () => {
  const model = new Model();
  await attempt().run(model.ask('one'));
  const told: [string, readonly ModelUsage[]][] = [];
  const calls = attempt({ onRecord: (call, usage) => void told.push([call.slice(0, 6), usage]) });
  await calls.run(model.ask('one'));
  await calls.run(model.ask('two'));
  expect(told).toMatchObject([
    ['000000', [{ calls: 1 }]],
    ['000001', [{ calls: 2 }]],
  ]);
});

describe('charged', () => {
  /** Keeps what it was asked, in order. */
  class Accounts implements Charge {
    readonly log: [what: string, id: string, amount: Amount][] = [];
    readonly names: string[] = [];
    refuses = false;
    /** When it has heard what it was told. */
    hearing: Promise<void> = Promise.resolve();

    reserve(id: string, amount: Asked, name = ''): Promise<void> {
      this.names.push(name);
      this.log.push(['reserve', id, amount]);
      return this.refuses ? Promise.reject(new CadreError('BudgetReached', 'no more')) : Promise.resolve();
    }

    async settle(id: string, amount: Amount): Promise<void> {
      this.log.push(['settle', id, amount]);
      await this.hearing;
    }
  }

  const used = { tokens: 12, microUsd: 3, calls: 1 };
  const nothing = { tokens: 0, microUsd: 0, calls: 0 };
  /** Of an id the how manieth try it is. */
  const tryOf = (id: string): string => id.split('.')[1] ?? '';
  const what = (accounts: Accounts): string[] => accounts.log.map(([verb, id]) => `${verb} ${tryOf(id)}`);

  test('a call reserves before it is made and settles by what it used', async () => {
    const accounts = new Accounts();
    await attempt({ charge: accounts }).run(new Model().ask('one'));
    const id = expect.stringMatching(/^000000-[0-9a-f]{12}\.1\.[0-9a-f]{8}$/) as string;
    expect(accounts.log).toEqual([
      ['reserve', id, most],
      ['settle', id, used],
    ]);
    expect(accounts.log[0]?.[1]).toBe(accounts.log[1]?.[1]);
    expect(accounts.names).toEqual(['p/m']);
  });

  test('a refused call is not made and not begun, and the next attempt asks under an id of its own', async () => {
    const accounts = new Accounts();
    const model = new Model();
    accounts.refuses = true;
    await expect(attempt({ charge: accounts }).run(model.ask('one'))).rejects.toMatchObject({
      type: 'BudgetReached',
    });
    expect(model.paid).toBe(0);
    accounts.refuses = false;
    await attempt({ charge: accounts }).run(model.ask('one'));
    expect(what(accounts)).toEqual(['reserve 1', 'reserve 1', 'settle 1']);
    const [first, second, settled] = accounts.log.map(([, id]) => id);
    expect(second).not.toBe(first);
    expect(settled).toBe(second);
  });

  test('a call whose end nobody saw stays reserved, and the next try has an id of its own', async () => {
    const accounts = new Accounts();
    const model = new Model();
    await expect(
      attempt({ charge: accounts }).run(model.ask('one', { run: dies, ...neverPaid })),
    ).rejects.toThrow('killed');
    await attempt({ charge: accounts }).run(model.ask('one'));
    expect(what(accounts)).toEqual(['reserve 1', 'reserve 2', 'settle 2']);
  });

  test('a call that was not paid gives back all that it reserved', async () => {
    const accounts = new Accounts();
    const model = new Model();
    const run = (): Promise<never> => Promise.reject(Object.assign(new Error('no'), { status: 400 }));
    await expect(attempt({ charge: accounts }).run(model.ask('one', { run }))).rejects.toThrow('no');
    expect(accounts.log[1]).toEqual(['settle', expect.any(String) as string, nothing]);
  });

  test('a recorded call settles again, for the worker may have died before', async () => {
    const accounts = new Accounts();
    const model = new Model();
    const before = new Accounts();
    await attempt({ charge: before }).run(model.ask('one'));
    const id = before.log[0]?.[1];
    await attempt({ charge: accounts }).run(model.ask('one'));
    expect(accounts.log).toMatchObject([['settle', id, used]]);
  });

  test('an attempt does not end before its accounts have heard of its calls', async () => {
    const accounts = new Accounts();
    let heard = (): void => undefined;
    accounts.hearing = new Promise((resolve) => (heard = resolve));
    const calls = attempt({ charge: accounts });
    await calls.run(new Model().ask('one'));
    let ended = false;
    const report = calls.report(false).then(() => (ended = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(false);
    heard();
    await report;
  });

  test('a tool reserves nothing', async () => {
    const accounts = new Accounts();
    const run = (): Promise<number> => Promise.resolve(1);
    await attempt({ charge: accounts }).run({ kind: 'tool', name: 'add', request: 1, run });
    expect(accounts.log).toEqual([]);
  });

  test('a call that is cancelled before it begins gives back what it reserved', async () => {
    const accounts = new Accounts();
    const stop = new AbortController();
    accounts.refuses = false;
    jest.spyOn(accounts, 'reserve').mockImplementation((id, amount) => {
      accounts.log.push(['reserve', id, amount]);
      stop.abort(new Error('cancelled'));
      return Promise.resolve();
    });
    const calls = attempt({ charge: accounts, signal: stop.signal });
    await expect(calls.run(new Model().ask('one'))).rejects.toThrow('cancelled');
    const id = accounts.log[0]?.[1];
    expect(accounts.log).toEqual([
      ['reserve', id, most],
      ['settle', id, nothing],
    ]);
  });

  test('of two attempts that reserve for one call the one that does not make it gives back its own alone', async () => {
    const accounts = new Accounts();
    const model = new Model();
    const results = await Promise.all([1, 2].map(() => attempt({ charge: accounts }).run(model.ask('one'))));
    expect(new Set(results).size).toBe(1);
    const open = new Set<string>();
    for (const [verb, id] of accounts.log) {
      if (verb === 'reserve') expect(open.has(id)).toBe(false);
      if (verb === 'reserve') open.add(id);
      else open.delete(id);
    }
    expect(open.size).toBe(0);
    const paidFor = accounts.log.filter(([verb, , { tokens }]) => verb === 'settle' && tokens > 0);
    expect(new Set(paidFor.map(([, id]) => id)).size).toBe(model.paid);
  });

  /** Has room for so many calls at a time, with what others have set aside. */
  class Narrow extends Accounts {
    /** What others have set aside. */
    others = 0;
    private open = 0;

    constructor(private readonly room = 1) {
      super();
    }

    override async reserve(id: string, amount: Asked, name = ''): Promise<void> {
      const reserved = this.others + this.open * 100;
      const allowed = this.room * 100;
      if (reserved + 100 > allowed) {
        const later = this.others > 0 ? { later: true } : {};
        const account = 'task.0123456789abcdef';
        const details = { account, limit: 'tokens', allowed, used: 0, reserved, asked: 100, ...later };
        throw new CadreError('BudgetReached', 'no room', { details });
      }
      this.open += 1;
      // Another account is asked, too.
      await new Promise((resolve) => setImmediate(resolve));
      await super.reserve(id, amount, name);
    }

    override async settle(id: string, amount: Amount): Promise<void> {
      this.open -= 1;
      await super.settle(id, amount);
    }
  }

  test('calls at once that fit one after the other wait for each other', async () => {
    const accounts = new Narrow();
    const held = jest.fn();
    const calls = attempt({ charge: accounts, onHeld: held });
    const model = new Model();
    const answers = await Promise.all(['one', 'two', 'three'].map((prompt) => calls.run(model.ask(prompt))));
    expect(answers).toHaveLength(3);
    const each = ['reserve 1', 'settle 1'];
    expect(what(accounts)).toEqual([...each, ...each, ...each]);
    expect(held).not.toHaveBeenCalled();
  });

  test('what others have set aside ends the attempt, but not before its own calls are recorded', async () => {
    const accounts = new Narrow();
    const stop = new AbortController();
    const told: string[] = [];
    const onHeld = (reached: CadreError): undefined => {
      told.push('held');
      stop.abort(reached);
    };
    const onRecord = (): void => void told.push('recorded');
    const calls = attempt({ charge: accounts, signal: stop.signal, onHeld, onRecord });
    const model = new Model();
    const first = model.ask('one', {
      run: async () => {
        accounts.others = 100;
        await new Promise((resolve) => setImmediate(resolve));
        return `answered ${++model.paid}`;
      },
    });
    const [one, two] = await Promise.allSettled([calls.run(first), calls.run(model.ask('two'))]);
    expect(one.status).toBe('fulfilled');
    expect(two).toMatchObject({ status: 'rejected', reason: { type: 'BudgetReached' } });
    expect(told).toEqual(['recorded', 'held']);
    expect(model.paid).toBe(1);
  });

  test('a call asks again as often as it is told to, and is made once others have settled', async () => {
    const accounts = new Narrow();
    accounts.others = 100;
    const waits: number[] = [];
    const onHeld = (_reached: CadreError, waited: number): number => {
      waits.push(waited);
      if (waits.length === 3) accounts.others = 0;
      return waits.length;
    };
    const calls = attempt({ charge: accounts, onHeld });
    expect(await calls.run(new Model().ask('one'))).toBe('one, answered 1');
    expect(waits).toEqual([0, 1, 3]);
    expect(what(accounts)).toEqual(['reserve 1', 'settle 1']);
  });

  test('a call that waits ends with its attempt, and has set nothing aside', async () => {
    const accounts = new Narrow();
    accounts.others = 100;
    const stop = new AbortController();
    const onHeld = (): number => {
      setImmediate(() => stop.abort(new Error('cancelled')));
      return 60_000;
    };
    const calls = attempt({ charge: accounts, onHeld, signal: stop.signal });
    await expect(calls.run(new Model().ask('one'))).rejects.toThrow('cancelled');
    expect(accounts.log).toEqual([]);
  });

  test('a call within another does not wait for that one', async () => {
    const calls = attempt({ charge: new Narrow() });
    const model = new Model();
    const outer = model.ask('outer', { run: () => calls.run(model.ask('inner')) });
    await expect(calls.run(outer)).rejects.toMatchObject({ type: 'BudgetReached' });
  });

  test('calls within two calls at once do not wait for each other', async () => {
    const calls = attempt({ charge: new Narrow(2) });
    const model = new Model();
    const begun: string[] = [];
    const outer = (prompt: string): Call<string> =>
      model.ask(prompt, {
        run: async () => {
          begun.push(prompt);
          while (begun.length < 2) await new Promise((resolve) => setImmediate(resolve));
          return calls.run(model.ask(`in ${prompt}`));
        },
      });
    const ends = await Promise.allSettled([calls.run(outer('one')), calls.run(outer('two'))]);
    expect(ends.map(({ status }) => status)).toContain('rejected');
  });

  test('calls side by side within another wait for each other', async () => {
    const calls = attempt({ charge: new Narrow(2) });
    const model = new Model();
    const inner = () => Promise.all(['one', 'two', 'three'].map((prompt) => calls.run(model.ask(prompt))));
    const outer = model.ask('outer', { run: async () => (await inner()).join() });
    expect(await calls.run(outer)).toBe('one, answered 1,two, answered 2,three, answered 3');
  });

  test('what a call leaves behind is within it no more', async () => {
    const calls = attempt({ charge: new Narrow() });
    const model = new Model();
    let after = (): Promise<string[]> => Promise.resolve([]);
    const run = (): Promise<string> => {
      after = AsyncResource.bind(() => Promise.all(['two', 'three'].map((one) => calls.run(model.ask(one)))));
      return Promise.resolve('said');
    };
    await calls.run(model.ask('one', { run }));
    const other = calls.run(model.ask('beside'));
    expect(await after()).toHaveLength(2);
    await other;
  });

  test('a refusal that nobody can mend is told at once', async () => {
    const accounts = new Accounts();
    accounts.refuses = true;
    const onHeld = jest.fn();
    const failing = attempt({ charge: accounts, onHeld }).run(new Model().ask('one'));
    await expect(failing).rejects.toMatchObject({ type: 'BudgetReached' });
    expect(onHeld).not.toHaveBeenCalled();
  });

  test('a call that is cancelled as it begins is not sent, and was not paid', async () => {
    const accounts = new Accounts();
    const model = new Model();
    const stop = new AbortController();
    const artifacts = new FileArtifactStore(join(folder.path, 'artifacts'));
    const record = artifacts.record.bind(artifacts);
    jest.spyOn(artifacts, 'record').mockImplementation(async (name, content) => {
      stop.abort(new Error('cancelled'));
      return record(name, content);
    });
    const calls = attempt({ charge: accounts, artifacts, signal: stop.signal });
    await expect(calls.run(model.ask('one'))).rejects.toThrow('cancelled');
    expect(model.paid).toBe(0);
    expect(accounts.log.at(-1)).toEqual(['settle', expect.any(String) as string, nothing]);
    expect(await attempt().report(true)).toEqual({ usage: [], decisions: [] });
  });

  test('an agent that does the work in the place of another pays what it asks for', async () => {
    const [own, others] = [new Accounts(), new Accounts()];
    const model = new Model();
    const before = attempt({ charge: own });
    await before.run(model.ask('one'));
    await before.paidBy('other', others).run(model.ask('two'));
    expect(what(own)).toEqual(['reserve 1', 'settle 1']);
    expect(what(others)).toEqual(['reserve 1', 'settle 1']);
    expect((await before.report(false)).usage).toMatchObject([{ calls: 2 }]);
    // The worker may have died before they heard of it.
    const [again, othersAgain] = [new Accounts(), new Accounts()];
    const after = attempt({ charge: again });
    await after.run(model.ask('one'));
    await after.paidBy('other', othersAgain).run(model.ask('two'));
    expect(model.paid).toBe(2);
    expect(again.log).toEqual([own.log[1]]);
    expect(othersAgain.log).toEqual([others.log[1]]);
  });

  test('a call that reserves nothing is charged with what it came to', async () => {
    const accounts = new Accounts();
    const { reserves: _none, ...call } = new Model().ask('one');
    await attempt({ charge: accounts }).run(call);
    const id = accounts.log[0]?.[1];
    expect(accounts.log).toEqual([
      ['reserve', id, nothing],
      ['settle', id, used],
    ]);
  });

  test('what is not whole is rounded up, in what is reserved, charged and counted', async () => {
    const accounts = new Accounts();
    const calls = attempt({ charge: accounts });
    const reserves = { tokens: 99.1, microUsd: 49.5, calls: 1 };
    const usageOf = (): ModelUsage => ({ ...paid, tokens: 11.5, microUsd: 2.25, inputTokens: 9.5 });
    await calls.run(new Model().ask('one', { reserves, usageOf }));
    expect(accounts.log.map(([, , amount]) => amount)).toEqual([most, used]);
    expect((await calls.report(false)).usage).toEqual([paid]);
  });

  test.each([-1, Number.NaN, Infinity])('a call that reserves %p is not made', async (tokens) => {
    const accounts = new Accounts();
    const model = new Model();
    const call = model.ask('one', { reserves: { ...most, tokens } });
    await expect(attempt({ charge: accounts }).run(call)).rejects.toMatchObject({
      type: 'AgentOutputInvalid',
      message: expect.stringContaining('p/m') as string,
    });
    expect(model.paid).toBe(0);
    expect(accounts.log).toEqual([]);
  });

  test('a call whose usage is no number stays reserved', async () => {
    const accounts = new Accounts();
    const call = new Model().ask('one', { usageOf: () => ({ ...paid, microUsd: Number.NaN }) });
    await expect(attempt({ charge: accounts }).run(call)).rejects.toMatchObject({
      type: 'AgentOutputInvalid',
    });
    expect(what(accounts)).toEqual(['reserve 1']);
  });
});
