// Pure: cockatiel and opossum beside ours, driven with the same calls, where their semantics agree with ours.
import { EventEmitter } from 'node:events';
import {
  BrokenCircuitError,
  CircuitState,
  CountBreaker,
  type IBreaker,
  IterableBackoff,
  SamplingBreaker,
  circuitBreaker,
  handleAll,
} from 'cockatiel';
import fc from 'fast-check';
import Opossum from 'opossum';
import {
  type BreakerEvent,
  type BreakerState,
  evolveBreaker,
  newBreaker,
  viewOf,
} from '../../../src/core/breaker/breaker';
import type { BreakerSettings } from '../../../src/core/breaker/settings';

const T = 1_700_000_000_000;
const COOLDOWNS = [1000, 2000, 4000, 5000];
const base: BreakerSettings = {
  failureRate: 0.5,
  slowCallRate: 1,
  slowCallDuration: 1e6,
  window: { calls: 10 },
  minimumCalls: 4,
  cooldown: 1000,
  cooldownMax: 5000,
  probes: 1,
  maxProbeTime: 1e6,
};
/** They open above a threshold, ours opens at it: so little less makes the two the same for windows like these. */
const AT = 1e-7;

/** Ours, fed one call at a time, without jitter. */
class Ours {
  state: BreakerState;

  constructor(settings: BreakerSettings) {
    this.state = newBreaker(settings);
  }

  get kind(): BreakerState['phase']['kind'] {
    return this.state.phase.kind;
  }

  mayCall(at: number): boolean {
    return this.kind === 'closed' || (viewOf(this.state, at).retryAfter === 0 && this.kind === 'open');
  }

  begin(at: number): void {
    this.apply({ type: 'probesAsked', at, wanted: 1 });
  }

  end(at: number, failed: boolean): void {
    const permit = String(this.state.granted);
    if (this.kind === 'halfOpen') {
      this.apply({ type: 'probeEnded', at, random: 0, permit, end: { failed, slow: false } });
    } else this.apply(ended(at, failed));
  }

  /** Ours looks at the rates after a call that went well too; the others look after failures alone. */
  wouldOpenOnSuccess(at: number): boolean {
    return this.kind === 'closed' && evolveBreaker(this.state, ended(at, false)).phase.kind === 'open';
  }

  private apply(event: BreakerEvent): void {
    this.state = evolveBreaker(this.state, event);
  }
}

function ended(at: number, failed: boolean): BreakerEvent {
  const calls = { calls: 1, failures: failed ? 1 : 0, slow: 0, beganAt: at, endedAt: at };
  return { type: 'callsEnded', at, random: 0, calls };
}

const anyRate = fc.constantFrom(0.2, 0.25, 0.4, 0.5, 0.7);
const anyCalls = (later: fc.Arbitrary<number>): fc.Arbitrary<{ later: number; failed: boolean }[]> =>
  fc.array(fc.record({ later, failed: fc.boolean() }), { minLength: 20, maxLength: 80 });

let clock = T;
let opened = 0;
let closed = 0;

beforeEach(() => {
  clock = T;
  opened = 0;
  closed = 0;
  jest.spyOn(Date, 'now').mockImplementation(() => clock);
});

afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

function note(before: BreakerState['phase']['kind'], after: BreakerState['phase']['kind']): void {
  if (before === 'closed' && after === 'open') opened += 1;
  if (before === 'halfOpen' && after === 'closed') closed += 1;
}

const COCKATIEL: Record<CircuitState, BreakerState['phase']['kind']> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'halfOpen',
  [CircuitState.Isolated]: 'isolated',
};

/** Drives cockatiel's breaker and ours through the same calls, one at a time, and compares them around each. */
async function withCockatiel(
  breaker: IBreaker,
  ours: Ours,
  calls: readonly { later: number; failed: boolean }[],
): Promise<void> {
  const theirs = circuitBreaker(handleAll, { breaker, halfOpenAfter: new IterableBackoff(COOLDOWNS) });
  for (const { later, failed: wanted } of calls) {
    clock += later;
    const failed = wanted || ours.wouldOpenOnSuccess(clock);
    const may = ours.mayCall(clock);
    const before = ours.kind;
    let during = before;
    let duringTheirs = before;
    const thrown: unknown = await theirs
      .execute(async () => {
        // It is half-open once the call has begun.
        await Promise.resolve();
        duringTheirs = COCKATIEL[theirs.state];
        ours.begin(clock);
        during = ours.kind;
        ours.end(clock, failed);
        if (failed) throw new Error('no');
      })
      .catch((error: unknown) => error);
    expect(thrown instanceof BrokenCircuitError).toBe(!may);
    expect(duringTheirs).toBe(during);
    // Theirs counts the probe in the new window, ours does not.
    if (during === 'halfOpen' && ours.kind === 'closed') ours.end(clock, false);
    expect(COCKATIEL[theirs.state]).toBe(ours.kind);
    note(during, ours.kind);
  }
}

// Agrees: the last n calls, the minimum of calls, refusals, the growing cooldown. Differs, and is left out: it opens above
// the threshold and on failures alone, has one probe, queues calls beside it, and counts that probe in the new window.
test("cockatiel's CountBreaker stands as ours after each call", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyRate,
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 12 }),
      anyCalls(fc.oneof(fc.constantFrom(0, 1000, 2000), fc.nat(3000))),
      async (failureRate, size, least, calls) => {
        const minimumCalls = Math.min(size, least);
        const ours = new Ours({ ...base, failureRate, minimumCalls, window: { calls: size } });
        const count = new CountBreaker({
          threshold: failureRate - AT,
          size,
          minimumNumberOfCalls: minimumCalls,
        });
        await withCockatiel(count, ours, calls);
      },
    ),
    { numRuns: 200 },
  );
  expect(Math.min(opened, closed)).toBeGreaterThan(100);
});

// Agrees: ten slices of a second while each second has a call, and what the other one does. Differs, and is left out: its
// slices begin with a call, and idle time drops one slice only, so that calls come 0 or 1 s after each other while closed.
test("cockatiel's SamplingBreaker stands as ours after each call", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyRate,
      anyCalls(fc.constantFrom(0, 0, 0, 1000)),
      fc.integer({ min: 1, max: 8 }),
      async (failureRate, calls, minimumCalls) => {
        const ours = new Ours({ ...base, failureRate, minimumCalls, window: { seconds: 10 } });
        const sampling = new SamplingBreaker({
          threshold: failureRate - AT,
          duration: 10_000,
          // Half a call less: what it computes with it is no whole number.
          minimumRps: (minimumCalls - 0.5) / 10,
        });
        await withCockatiel(sampling, ours, calls);
      },
    ),
    { numRuns: 200 },
  );
  expect(Math.min(opened, closed)).toBeGreaterThan(100);
});

// Agrees: ten slices of a second, the minimum of calls, one probe with the others refused beside it. Differs, and is left
// out: it opens above the threshold and on failures alone, its cooldown does not grow, its window outlives the close (here
// the cooldown is as long as the window), has the probe in it, and counts refused calls as calls that went well.
test('opossum stands as ours after each call', async () => {
  jest.restoreAllMocks();
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'], now: T });
  await fc.assert(
    fc.asyncProperty(
      anyRate,
      anyCalls(fc.constantFrom(0, 0, 0, 1, 3, 10)),
      fc.integer({ min: 1, max: 8 }),
      async (failureRate, calls, minimumCalls) => {
        const slices = new EventEmitter();
        let release: (failed: boolean) => void = () => undefined;
        const theirs = new Opossum(
          () =>
            new Promise<void>((resolve, reject) => {
              release = (failed) => (failed ? reject(new Error('no')) : resolve());
            }),
          {
            timeout: false,
            resetTimeout: 10_000,
            rollingCountTimeout: 10_000,
            rollingCountBuckets: 10,
            rotateBucketController: slices,
            enableSnapshots: false,
            rollingPercentilesEnabled: false,
            errorThresholdPercentage: (failureRate - AT) * 100,
            volumeThreshold: minimumCalls,
          },
        );
        const ours = new Ours({
          ...base,
          failureRate,
          minimumCalls,
          window: { seconds: 10 },
          cooldown: 10_000,
          cooldownMax: 10_000,
        });
        const kindOfTheirs = (): string => (theirs.closed ? 'closed' : theirs.halfOpen ? 'halfOpen' : 'open');
        /** Theirs is half-open by a timer, ours once somebody asks. */
        const kindOfOurs = (): string =>
          ours.kind === 'open' && ours.mayCall(Date.now()) ? 'halfOpen' : ours.kind;
        for (const { later, failed: wanted } of calls) {
          for (let second = 0; second < later; second += 1) {
            slices.emit('rotate');
            jest.advanceTimersByTime(1000);
          }
          const now = Date.now();
          expect(kindOfTheirs()).toBe(kindOfOurs());
          if (!ours.mayCall(now)) continue;
          const failed = wanted || ours.wouldOpenOnSuccess(now);
          ours.begin(now);
          const call = theirs.fire().catch(() => undefined);
          const probed = ours.kind === 'halfOpen';
          if (probed) {
            expect(ours.mayCall(now)).toBe(false);
            await expect(theirs.fire()).rejects.toMatchObject({ code: 'EOPENBREAKER' });
          }
          const during = ours.kind;
          ours.end(now, failed);
          release(failed);
          await call;
          if (probed && !failed) {
            ours.end(now, false);
            ours.end(now, false);
          }
          note(during, ours.kind);
          expect(kindOfTheirs()).toBe(kindOfOurs());
        }
        theirs.shutdown();
      },
    ),
    { numRuns: 200 },
  );
  expect(Math.min(opened, closed)).toBeGreaterThan(100);
});
