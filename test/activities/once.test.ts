// Pure of servers. Attempts die by never going on, and in one test by SIGKILL.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { AgentLog } from '../../src/activities/agent-context';
import { type Once, type OnceOptions, type OnceScope, makeOnce } from '../../src/activities/once';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import type { EffectLedger } from '../../src/storage/effect-ledger';
import { FileLedger } from '../../src/storage/file-ledger';
import { MemoryLedger } from '../../src/storage/memory-ledger';
import { CliProcess, ROOT } from '../support/cli';
import { TemporaryFolder } from '../support/temporary-folder';

const ACTION = 'task/run/pay/act';
const folder = new TemporaryFolder();
const artifacts = new FileArtifactStore(join(folder.path, 'artifacts'));
const warnings: Record<string, unknown>[] = [];
const ignore = (): void => undefined;
const log: AgentLog = {
  debug: ignore,
  info: ignore,
  warn: (_message, attributes = {}) => void warnings.push(attributes),
  error: ignore,
};

let ledger: EffectLedger;
let attempts: number;
/** What happened outside. */
let world: string[];

beforeEach(() => {
  ledger = new MemoryLedger();
  attempts = 0;
  world = [];
  warnings.length = 0;
});
afterAll(() => folder.remove());

/** The `once` of the next attempt of the same step. */
function attempt(more: Partial<OnceScope> = {}): Once {
  attempts += 1;
  const { signal } = new AbortController();
  return makeOnce({
    ledger,
    artifacts,
    action: ACTION,
    agent: 'payer',
    resolutions: 0,
    attemptAt: attempts,
    signal,
    log,
    ...more,
  });
}

const charge = (): string => {
  world.push('charged');
  return 'receipt';
};
const forever = (): Promise<never> => new Promise(ignore);

/** An attempt that dies in `run`, before the effect or after it. */
async function die(
  when: 'before' | 'after',
  more: Partial<OnceScope> = {},
  options: OnceOptions<string> = {},
): Promise<void> {
  await new Promise<void>((died) => {
    const run = (): Promise<never> => {
      if (when === 'after') charge();
      died();
      return forever();
    };
    void attempt(more)('charge', run, options);
  });
}

/** One that asks the world. */
const reconcile = async () =>
  world.includes('charged') ? { done: true as const, result: 'receipt' } : { done: false as const };

describe('an outcome', () => {
  test('is returned to every later attempt, and nothing runs again', async () => {
    expect(await attempt()('charge', charge)).toBe('receipt');
    expect(await attempt()('charge', charge)).toBe('receipt');
    expect(await attempt({ resolutions: 1 })('charge', charge)).toBe('receipt');
    expect(world).toEqual(['charged']);
  });

  test.each<[string, unknown, unknown]>([
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['nothing', undefined, undefined],
    ['null', null, null],
    ['a mebibyte', 'x'.repeat(1024 * 1024), 'x'.repeat(1024 * 1024)],
  ])(
    'that is %s is what JSON makes of it, for the attempt that had it too',
    async (_what, value, expected) => {
      for (const run of [() => value, charge]) expect(await attempt()('get', run)).toEqual(expected);
      expect(world).toEqual([]);
    },
  );

  test('that is not JSON fails, and the effect is known to have been begun', async () => {
    await expect(attempt()('get', () => 1n)).rejects.toMatchObject({ type: 'AgentOutputInvalid' });
    await expect(attempt()('get', charge)).rejects.toMatchObject({ type: 'OutcomeUnknown' });
  });

  test('of one name is not that of another, of another agent or of the undoing', async () => {
    await attempt()('charge', charge);
    await attempt()('mail', charge);
    await attempt({ agent: 'other' })('charge', charge);
    await attempt({ action: 'task/run/pay/undo' })('charge', charge);
    expect(world).toHaveLength(4);
  });
});

describe('an intent without outcome', () => {
  test('is never repeated blindly: the step waits for a person', async () => {
    await die('before', { attemptAt: Date.UTC(2026, 0, 2) });
    await expect(attempt({ attemptAt: Date.UTC(2026, 0, 3) })('charge', charge)).rejects.toMatchObject({
      type: 'OutcomeUnknown',
      retryable: false,
      message: expect.stringMatching(/"charge".*2026-01-02T00:00:00/) as string,
      fix: expect.stringContaining('cadre saga resolve ID STEP retry|skip') as string,
      details: { effect: 'charge' },
    });
    expect(world).toEqual([]);
  });

  test('is asked about: what happened is recorded, and runs no more', async () => {
    await die('after');
    expect(await attempt()('charge', charge, { reconcile })).toBe('receipt');
    expect(await attempt()('charge', charge)).toBe('receipt');
    expect(world).toEqual(['charged']);
  });

  test('is asked about: what did not happen runs', async () => {
    await die('before');
    expect(await attempt()('charge', charge, { reconcile })).toBe('receipt');
    expect(world).toEqual(['charged']);
  });

  test('stays where asking fails, and is asked about again', async () => {
    await die('after');
    const broken = (): Promise<never> => Promise.reject(new Error('the bank is closed'));
    await expect(attempt()('charge', charge, { reconcile: broken })).rejects.toThrow('the bank is closed');
    expect(await attempt()('charge', charge, { reconcile })).toBe('receipt');
    expect(world).toEqual(['charged']);
  });

  test('is left by an error of the effect, which goes on', async () => {
    const broken = (): never => {
      charge();
      throw new Error('connection lost');
    };
    await expect(attempt()('charge', broken)).rejects.toThrow('connection lost');
    await expect(attempt()('charge', charge)).rejects.toMatchObject({ type: 'OutcomeUnknown' });
    expect(world).toEqual(['charged']);
  });

  test('is withdrawn after an error by which the effect surely did not happen, which goes on', async () => {
    const refused = (error: unknown): boolean => (error as Error).message === 'refused';
    const fail = (message: string) => () => Promise.reject(new Error(message));
    await expect(attempt()('charge', fail('refused'), { notApplied: refused })).rejects.toThrow('refused');
    await expect(attempt()('charge', fail('lost'), { notApplied: refused })).rejects.toThrow('lost');
    await expect(attempt()('charge', charge)).rejects.toMatchObject({ type: 'OutcomeUnknown' });
  });

  test('may be withdrawn and begun again within one attempt', async () => {
    const once = attempt();
    const refuse = (): Promise<never> => Promise.reject(new Error('refused'));
    await expect(once('charge', refuse, { notApplied: () => true })).rejects.toThrow('refused');
    expect(await once('charge', charge)).toBe('receipt');
  });

  test('is void when a person said to try again, for that once', async () => {
    await die('after');
    expect(await attempt({ resolutions: 1 })('charge', charge)).toBe('receipt');
    expect(world).toEqual(['charged', 'charged']);
  });

  test('of the attempt that a person asked for is not void for its retries', async () => {
    await die('before');
    await die('after', { resolutions: 1 });
    await expect(attempt({ resolutions: 1 })('charge', charge)).rejects.toMatchObject({
      type: 'OutcomeUnknown',
    });
    expect(await attempt({ resolutions: 1 })('charge', charge, { reconcile })).toBe('receipt');
    expect(world).toEqual(['charged']);
  });

  test.each<[string, Partial<OnceScope>]>([
    ['older', { attemptAt: 4, resolutions: 1 }],
    ['of before a person said to try again', { attemptAt: 9 }],
  ])('is not touched by an attempt that is %s', async (_what, late) => {
    await die('before', { attemptAt: 5, resolutions: 1 });
    const asked = jest.fn(reconcile);
    await expect(attempt(late)('charge', charge, { reconcile: asked })).rejects.toMatchObject({
      type: 'OutcomeUnknown',
    });
    expect(asked).not.toHaveBeenCalled();
    expect(world).toEqual([]);
  });

  test('is not touched by an attempt that a newer one overtook while it asked', async () => {
    await die('before');
    const overtaken = async () => {
      await die('before', { attemptAt: 9 }, { reconcile });
      return { done: false as const };
    };
    await expect(attempt()('charge', charge, { reconcile: overtaken })).rejects.toMatchObject({
      type: 'OutcomeUnknown',
    });
    expect(world).toEqual([]);
  });
});

describe('a name', () => {
  test('runs once where two calls of one attempt have it: the second is refused', async () => {
    const once = attempt();
    const first = once('charge', charge);
    await expect(once('charge', charge)).rejects.toMatchObject({ type: 'EffectInvalid' });
    expect(await first).toBe('receipt');
    await expect(once('charge', charge)).rejects.toMatchObject({ type: 'EffectInvalid' });
    expect(world).toEqual(['charged']);
  });

  test.each<[string, unknown]>([
    ['empty', ''],
    ['of 101 characters', 'x'.repeat(101)],
    ['missing', undefined],
    ['a number', 7],
  ])('that is %s is refused before anything is recorded', async (_what, name) => {
    await expect(attempt()(name as string, charge)).rejects.toMatchObject({
      type: 'EffectInvalid',
      retryable: false,
      message: expect.stringContaining('1 to 100 characters') as string,
    });
    expect(world).toEqual([]);
  });

  test('of 100 characters will do', async () => {
    expect(await attempt()('x'.repeat(100), charge)).toBe('receipt');
  });

  test('without a function is refused', async () => {
    await expect(attempt()('charge', 'now' as unknown as () => string)).rejects.toMatchObject({
      type: 'EffectInvalid',
    });
    expect(await attempt()('charge', charge)).toBe('receipt');
  });
});

describe('an attempt', () => {
  test('that is aborted begins no effect', async () => {
    const reason = new Error('cancelled');
    await expect(attempt({ signal: AbortSignal.abort(reason) })('charge', charge)).rejects.toBe(reason);
    expect(await attempt()('charge', charge)).toBe('receipt');
    expect(world).toEqual(['charged']);
  });

  test('of an undone action begins no effect, and gets none', async () => {
    await attempt()('mail', charge);
    await ledger.tombstone(ACTION);
    for (const name of ['charge', 'mail']) {
      await expect(attempt()(name, charge)).rejects.toMatchObject({ type: 'ActionUndone', retryable: false });
    }
    expect(world).toEqual(['charged']);
    expect(warnings).toEqual([]);
  });

  test('whose action is undone while its effect runs fails, and warns of what is left', async () => {
    const late = attempt()('charge', async () => {
      await ledger.tombstone(ACTION);
      return charge();
    });
    await expect(late).rejects.toMatchObject({ type: 'ActionUndone' });
    expect(warnings).toEqual([{ action: ACTION, agent: 'payer', name: 'charge' }]);
  });
});

/** Stands still for ever at the `count`-th call of the ledger, before it or after it. */
function dying(of: EffectLedger, at: Omit<Death, 'refuses'>, died: () => void) {
  let calls = 0;
  const call =
    <Arguments extends unknown[], Result>(operation: (...given: Arguments) => Promise<Result>) =>
    async (...given: Arguments): Promise<Result> => {
      calls += 1;
      if (calls !== at.count) return operation.apply(of, given);
      if (at.when === 'after') await operation.apply(of, given);
      died();
      return forever();
    };
  return {
    begin: call(of.begin.bind(of)),
    settle: call(of.settle.bind(of)),
    withdraw: call(of.withdraw.bind(of)),
    tombstone: call(of.tombstone.bind(of)),
    isTombstoned: call(of.isTombstoned.bind(of)),
  } satisfies EffectLedger;
}

interface Death {
  readonly count: number;
  readonly when: 'before' | 'after';
  /** Whether the effect is refused, if it comes to that. */
  readonly refuses: boolean;
}

const anyDeath: fc.Arbitrary<Death> = fc.record({
  count: fc.integer({ min: 1, max: 3 }),
  when: fc.constantFrom('before' as const, 'after' as const),
  refuses: fc.boolean(),
});

describe.each<[string, () => EffectLedger]>([
  ['in memory', () => new MemoryLedger()],
  ['in a file', () => new FileLedger(join(folder.path, `${Math.random()}.db`))],
])('wherever attempts die, with a ledger %s,', (_where, newLedger) => {
  /** Attempts that die where they are told, and one that does not; what it ended with. */
  async function run(deaths: readonly Death[], asks: boolean) {
    ledger = newLedger();
    world = [];
    attempts = 0;
    const options = { notApplied: (error: unknown) => (error as Error).message === 'refused' };
    for (const { refuses, ...at } of deaths) {
      const act = (): string => {
        if (refuses) throw new Error('refused');
        return charge();
      };
      await new Promise<void>((over) => {
        const once = attempt({ ledger: dying(ledger, at, over) });
        void once('charge', act, asks ? { ...options, reconcile } : options).then(
          () => over(),
          () => over(),
        );
      });
    }
    const last = attempt()('charge', charge, asks ? { reconcile } : {});
    return last.catch((error: unknown) => (error as { type: string }).type);
  }

  test('an effect happens exactly once where it can be asked about', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyDeath, { maxLength: 5 }), async (deaths) => {
        expect(await run(deaths, true)).toBe('receipt');
        expect(world).toEqual(['charged']);
      }),
      { numRuns: 100 },
    );
  });

  test('and else at most once, and who has no outcome says so', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyDeath, { maxLength: 5 }), async (deaths) => {
        const end = await run(deaths, false);
        expect(world.length).toBeLessThanOrEqual(1);
        if (end === 'receipt') expect(world).toEqual(['charged']);
        else expect(end).toBe('OutcomeUnknown');
      }),
      { numRuns: 100 },
    );
  });
});

/** A process that has the effect, a file that is made, and then stands still with no outcome recorded. */
const effectProcess = (database: string, effect: string): string => `
const { writeFileSync } = require('node:fs');
const { makeOnce } = require(${JSON.stringify(join(ROOT, 'dist', 'activities', 'once.js'))});
const { FileLedger } = require(${JSON.stringify(join(ROOT, 'dist', 'storage', 'file-ledger.js'))});
const once = makeOnce({
  ledger: new FileLedger(${JSON.stringify(database)}),
  action: ${JSON.stringify(ACTION)}, agent: 'payer', resolutions: 0, attemptAt: 1,
  signal: new AbortController().signal, log: console,
});
void once('charge', () => {
  writeFileSync(${JSON.stringify(effect)}, 'charged', { flag: 'wx' });
  console.log('charged');
  setInterval(() => {}, 1000);
  return new Promise(() => {});
});
`;

test('a process killed between effect and outcome leaves what the next one needs to know', async () => {
  const [database, effect] = [join(folder.path, 'killed.db'), join(folder.path, 'effect')];
  const program = folder.write('effect.js', effectProcess(database, effect));
  const victim = new CliProcess(spawn(process.execPath, [program]));
  await victim.says(/charged/);
  victim.kill('SIGKILL');
  expect(await victim.ended).toMatchObject({ signal: 'SIGKILL' });
  const file = new FileLedger(database);
  await expect(attempt({ ledger: file, attemptAt: 2 })('charge', charge)).rejects.toMatchObject({
    type: 'OutcomeUnknown',
  });
  const look = async () =>
    existsSync(effect)
      ? { done: true as const, result: readFileSync(effect, 'utf8') }
      : { done: false as const };
  expect(await attempt({ ledger: file, attemptAt: 3 })('charge', charge, { reconcile: look })).toBe(
    'charged',
  );
  expect(await attempt({ ledger: file, attemptAt: 4 })('charge', charge)).toBe('charged');
  expect(world).toEqual([]);
  await file.close();
});
