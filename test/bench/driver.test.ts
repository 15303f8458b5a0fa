// A driver as a process of its own, by the harness' own requests; its contender is in ./contender.
import { isRunning } from '../../bench/peers/accounting';
import { withDriver } from '../../bench/peers/contenders';

interface Answer {
  readonly versions: Record<string, string>;
  readonly works: readonly string[];
  readonly entities: readonly string[];
  readonly failover: boolean;
  readonly cannot: Record<string, string>;
  readonly pid: number;
  readonly times: readonly number[];
  readonly seconds: number;
  readonly usage: { readonly cpu: Record<string, number>; readonly memory: Record<string, number> };
  readonly milliseconds: number;
  readonly began: readonly number[];
}
type Ask = (op: string, fields?: object) => Promise<Answer>;

const FAKE = { folder: '../../test/bench/contender', variant: undefined, onDisk: true };

function withFake<Result>(work: (ask: Ask, about: Answer) => Promise<Result>): Promise<Result> {
  return withDriver(FAKE, { workers: 2 }, work) as Promise<Result>;
}

test('a driver says what its contender can do', async () => {
  await withFake((_ask, about) => {
    expect(about).toMatchObject({
      versions: { workers: '2' },
      works: ['W1', 'W2', 'W3'],
      entities: ['call'],
      failover: true,
      cannot: { failover: 'it is made up' },
    });
    return Promise.resolve();
  });
});

test('each run is timed, without the warmups', async () => {
  await withFake(async (ask) => {
    const { times } = await ask('serial', { work: 'W1', count: 4, warmups: 3 });
    expect(times).toHaveLength(4);
    const burst = await ask('burst', { work: 'W1', atOnce: 3, count: 10 });
    expect(burst.times).toHaveLength(10);
    expect(burst.seconds).toBeGreaterThan(0);
  });
});

test('CPU time is that of the role whose process spent it', async () => {
  await withFake(async (ask) => {
    const { usage } = await ask('serial', { work: 'W2', count: 1 });
    expect(usage.cpu['server']).toBeGreaterThanOrEqual(250);
    expect(usage.cpu['client']).toBeLessThan(200);
    expect(usage.cpu['worker']).toBe(0);
    expect(usage.memory['server']).toBeGreaterThan(10_000);
  });
});

test('a run that goes wrong is an error of the request, and the driver goes on', async () => {
  await withFake(async (ask) => {
    await expect(ask('serial', { work: 'W3', count: 1 })).rejects.toThrow('it was not undone');
    expect((await ask('serial', { work: 'W1', count: 1 })).times).toHaveLength(1);
  });
});

test('messages are counted over all requests, and settled', async () => {
  await withFake(async (ask) => {
    for (const count of [20, 30]) {
      const { times } = await ask('entity', { senders: 5, count });
      expect(times).toHaveLength(count);
    }
  });
});

test('a failover lasts from the kill until another process has begun the step', async () => {
  await withFake(async (ask) => {
    const { milliseconds, began } = await ask('failover');
    expect(milliseconds).toBeGreaterThan(0);
    expect(milliseconds).toBeLessThan(10_000);
    expect(began).toEqual([0, 2, 0]);
  });
});

test('nothing is left of a driver that was stopped, nor of what it started', async () => {
  const pids = await withFake((_ask, { pid, versions }) => Promise.resolve([pid, versions['spinner']]));
  expect(pids.map(Number).map(isRunning)).toEqual([false, false]);
});
