// Pure but for the timer: the clock is the test's.
import { Lease, type Renewal } from '../../../src/workers/leadership/lease';

const DURATION = 1500;

/** A lease whose renewals wait until the test answers them. */
class Bench {
  now = 0;
  readonly timeouts: number[] = [];
  private readonly waiting: { resolve: (renewal: Renewal) => void; reject: (error: Error) => void }[] = [];
  readonly lease = new Lease({
    renew: (timeout) => {
      this.timeouts.push(timeout);
      return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
    },
    duration: DURATION,
    interval: 1,
    now: () => this.now,
  });

  /** Resolves with the next renewal that was sent. */
  async sent() {
    for (;;) {
      const next = this.waiting.shift();
      if (next !== undefined) return next;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

let bench: Bench;

beforeEach(async () => {
  bench = new Bench();
  const begun = bench.lease.begin();
  (await bench.sent()).resolve('held');
  await begun;
  bench.timeouts.splice(0);
});

afterEach(() => bench.lease.release());

test.each([
  ['handOver', 'handOver'],
  ['gone', 'lost'],
] as const)('a lease of which the server says %s at first is never held', async (renewal, end) => {
  const { lease, sent } = fresh();
  expect(lease.held()).toBe(false);
  const begun = lease.begin();
  (await sent()).resolve(renewal);
  await begun;
  expect(lease.held()).toBe(false);
  await expect(lease.ended).resolves.toBe(end);
});

test('a lease whose first renewal fails is not held', async () => {
  const { lease, sent } = fresh();
  const begun = lease.begin();
  (await sent()).reject(new Error('unavailable'));
  await begun;
  expect(lease.held()).toBe(false);
  lease.release();
});

function fresh() {
  const another = new Bench();
  return { lease: another.lease, sent: () => another.sent() };
}

test('a renewal lasts from when it was sent, not from when it was answered', async () => {
  bench.now = 300;
  const renewal = await bench.sent();
  bench.now = 1400;
  renewal.resolve('held');
  await bench.sent();
  bench.now = 300 + DURATION - 1;
  expect(bench.lease.held()).toBe(true);
  bench.now = 300 + DURATION;
  expect(bench.lease.held()).toBe(false);
});

test('a renewal may take no longer than the lease lasts', async () => {
  bench.now = 600;
  await bench.sent();
  expect(bench.timeouts).toEqual([DURATION - 600]);
});

test('a process that was paused past its lease does not hold it any more, before anyone told it', async () => {
  const renewal = await bench.sent();
  bench.now = DURATION;
  expect(bench.lease.held()).toBe(false);
  await expect(bench.lease.ended).resolves.toBe('lost');
  renewal.resolve('held');
  await Promise.resolve();
  expect(bench.lease.held()).toBe(false);
});

test('renewals that fail are sent again, until the lease is over', async () => {
  (await bench.sent()).reject(new Error('unavailable'));
  (await bench.sent()).reject(new Error('unavailable'));
  const third = await bench.sent();
  bench.now = 1000;
  third.resolve('held');
  await bench.sent();
  expect(bench.lease.held()).toBe(true);
  bench.now = DURATION;
  await expect(bench.lease.ended).resolves.toBe('lost');
});

test.each([
  ['handOver', 'handOver'],
  ['gone', 'lost'],
] as const)('a renewal answered %s ends the lease: %s', async (renewal, end) => {
  (await bench.sent()).resolve(renewal);
  await expect(bench.lease.ended).resolves.toBe(end);
  expect(bench.lease.held()).toBe(false);
});

test('one renewal is under way at a time', async () => {
  await bench.sent();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(bench.timeouts).toHaveLength(1);
});

test('a released lease is not held, and renews no more', async () => {
  (await bench.sent()).resolve('held');
  bench.lease.release();
  expect(bench.lease.held()).toBe(false);
  const { length } = bench.timeouts;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(bench.timeouts).toHaveLength(length);
});
