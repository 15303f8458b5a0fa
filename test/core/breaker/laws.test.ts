// Pure: what holds of a circuit breaker whatever happens to it.
import fc from 'fast-check';
import {
  type BreakerEvent,
  type BreakerPhase,
  type BreakerReason,
  type BreakerState,
  evolveBreaker,
  newBreaker,
  restoreBreaker,
  viewOf,
} from '../../../src/core/breaker/breaker';
import type { BreakerSettings } from '../../../src/core/breaker/settings';
import { currentWindow } from '../../../src/core/breaker/window';

const T = 1_700_000_000_000;

interface Step {
  readonly at: number;
  readonly event: BreakerEvent;
  readonly before: BreakerState;
  readonly after: BreakerState;
}

const anySettings: fc.Arbitrary<BreakerSettings> = fc.record({
  failureRate: fc.constantFrom(0.1, 0.5, 1),
  slowCallRate: fc.constantFrom(0.3, 1),
  slowCallDuration: fc.constant(100),
  window: fc.constantFrom({ calls: 5 }, { calls: 12 }, { seconds: 2 }),
  minimumCalls: fc.integer({ min: 1, max: 5 }),
  cooldown: fc.constantFrom(100, 1000),
  cooldownMax: fc.constantFrom(1000, 1050, 5000),
  probes: fc.integer({ min: 1, max: 4 }),
  maxProbeTime: fc.constantFrom(50, 800),
});

/** What happens, but for the time and the names of permits, which come from the run. */
type Happening = (at: number, state: BreakerState) => BreakerEvent;

const anyRandom = fc.double({ min: 0, max: 1, noNaN: true });
const anyTally = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.nat(4), fc.nat(4))
  .map(([calls, failures, slow]) => ({
    calls,
    failures: Math.min(calls, failures),
    slow: Math.min(calls, slow),
  }));
const anyEnd = fc.oneof(
  { weight: 1, arbitrary: fc.constant('ignored' as const) },
  { weight: 4, arbitrary: fc.record({ failed: fc.boolean(), slow: fc.boolean() }) },
);

const callsEnded = fc
  .record({
    tally: anyTally,
    took: fc.nat(400),
    ago: fc.oneof(fc.constant(0), fc.nat(300)),
    random: anyRandom,
  })
  .map(
    ({ tally, took, ago, random }): Happening =>
      (at) => ({
        type: 'callsEnded',
        at,
        random,
        calls: { ...tally, beganAt: at - ago - took, endedAt: at - ago },
        error: `${tally.failures} failed`,
      }),
  );
const probesAsked = fc.nat(5).map(
  (wanted): Happening =>
    (at) => ({ type: 'probesAsked', at, wanted }),
);
/** Of a permit that is out, where there is one; else, and now and then, of one that was granted before. */
const probeEnded = fc
  .record({
    end: anyEnd,
    late: fc.constantFrom(false, false, false, true),
    back: fc.nat(4),
    random: anyRandom,
  })
  .map(
    ({ end, late, back, random }): Happening =>
      (at, { granted, phase }) => {
        const out = phase.kind === 'halfOpen' && !late ? phase.permits : [];
        const permit = out[back % out.length]?.id ?? String(granted - back);
        return { type: 'probeEnded', at, random, permit, end };
      },
  );
const byHand = fc.oneof(
  fc.record({ random: anyRandom }).map(
    ({ random }): Happening =>
      (at) => ({ type: 'tripped', at, random, note: 'x' }),
  ),
  fc.constant<Happening>((at) => ({ type: 'reset', at })),
  fc.constant<Happening>((at) => ({ type: 'isolated', at, note: 'x' })),
  fc.constant<Happening>((at) => ({ type: 'released', at })),
);
const configured = anySettings.map(
  (settings): Happening =>
    () => ({ type: 'configured', settings }),
);
const others = fc.oneof(
  fc.nat(3000).map(
    (wait): Happening =>
      (at) => ({ type: 'paced', at, until: at + wait }),
  ),
  fc.nat(9).map(
    (count): Happening =>
      () => ({ type: 'callsRefused', count }),
  ),
);
const anyHappening = fc.oneof(
  { weight: 10, arbitrary: callsEnded },
  { weight: 8, arbitrary: probesAsked },
  { weight: 8, arbitrary: probeEnded },
  { weight: 1, arbitrary: byHand },
  { weight: 1, arbitrary: configured },
  { weight: 1, arbitrary: others },
);
const anyLater = fc.oneof(
  { weight: 8, arbitrary: fc.nat(20) },
  { weight: 2, arbitrary: fc.nat(1200) },
  { weight: 1, arbitrary: fc.nat(6000) },
);

/** A run of a breaker, all of whose states and events are frozen. */
const anyRun: fc.Arbitrary<Step[]> = fc
  .tuple(anySettings, fc.array(fc.tuple(anyHappening, anyLater), { minLength: 30, maxLength: 60 }))
  .map(([settings, happenings]) => {
    const steps: Step[] = [];
    let at = T;
    let state = deepFreeze(newBreaker(settings));
    for (const [happening, later] of happenings) {
      at += later;
      const event = deepFreeze(happening(at, state));
      const after = deepFreeze(evolveBreaker(state, event));
      steps.push({ at, event, before: state, after });
      state = after;
    }
    return steps;
  });

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

function isKind<Kind extends BreakerPhase['kind']>(
  phase: BreakerPhase,
  kind: Kind,
): phase is BreakerPhase & { kind: Kind } {
  return phase.kind === kind;
}

/** Holds `law` of every step of every run, and that what it speaks of has come up. */
function holds(law: (step: Step, seen: () => void) => void): void {
  let times = 0;
  fc.assert(
    fc.property(anyRun, (run) => {
      for (const step of run) law(step, () => (times += 1));
    }),
    { numRuns: 200 },
  );
  expect(times).toBeGreaterThan(20);
}

test('it changes nothing of what it is given, and its state is JSON', () => {
  holds(({ after }, seen) => {
    seen();
    expect(JSON.parse(JSON.stringify(after))).toEqual(after);
  });
});

test('permits that are out and those that have reported are never more than `probes` in one half-open phase', () => {
  fc.assert(
    fc.property(anyRun, (run) => {
      let most = 0;
      for (const { before, after } of run) {
        const { probes } = after.settings;
        if (!isKind(after.phase, 'halfOpen')) continue;
        // Permits stay out where other settings ask for fewer.
        const begins = !isKind(before.phase, 'halfOpen') || before.phase.since !== after.phase.since;
        most = begins ? probes : Math.max(most, probes);
        expect(after.phase.permits.length + after.phase.reported.calls).toBeLessThanOrEqual(most);
        expect(after.phase.reported.calls).toBeLessThan(most);
      }
    }),
    { numRuns: 200 },
  );
});

test('permits are granted only while it is half-open, each with an id of its own, and `granted` never falls', () => {
  holds(({ at, before, after, event }, seen) => {
    expect(after.granted).toBeGreaterThanOrEqual(before.granted);
    if (after.granted === before.granted) return;
    seen();
    expect(event).toMatchObject({ type: 'probesAsked', at });
    expect(after.granted - before.granted).toBeLessThanOrEqual('wanted' in event ? event.wanted : 0);
    const permits = isKind(after.phase, 'halfOpen') ? after.phase.permits.map(({ id }) => Number(id)) : [];
    const fresh = Array.from(
      { length: after.granted - before.granted },
      (_, index) => before.granted + index + 1,
    );
    expect(permits.slice(-fresh.length)).toEqual(fresh);
    expect(new Set(permits).size).toBe(permits.length);
  });
});

test('it opens by itself with minimumCalls in its window, and at a threshold', () => {
  holds(({ before, after, event: { type } }, seen) => {
    if (!isKind(after.phase, 'open') || !isKind(before.phase, 'closed') || type === 'tripped') return;
    seen();
    expect(type).toBe('callsEnded');
    expect(after.opened).toBe(before.opened + 1);
    expect(isAtThreshold(after.phase.why, before.settings)).toBe(true);
    expect('calls' in after.phase.why && after.phase.why.calls).toBeGreaterThanOrEqual(
      before.settings.minimumCalls,
    );
  });
});

test('half-open is left by the last of `probes` reports, to open at a threshold and to closed below, or by hand', () => {
  holds(({ at, before, after, event }, seen) => {
    if (!isKind(before.phase, 'halfOpen') || after.phase.kind === 'halfOpen') return;
    if (event.type === 'tripped' || event.type === 'reset' || event.type === 'isolated') return;
    seen();
    if (event.type !== 'probeEnded' || event.end === 'ignored')
      throw new Error('Expected a report of a probe');
    const { reported, failedProbes, why } = before.phase;
    const calls = reported.calls + 1;
    const failures = reported.failures + Number(event.end.failed);
    const slow = reported.slow + Number(event.end.slow);
    expect(calls).toBeGreaterThanOrEqual(before.settings.probes);
    const by = failures / calls >= before.settings.failureRate ? 'failures' : 'slowCalls';
    expect(after.opened).toBe(before.opened);
    expect(after.phase).toMatchObject(
      isAtThreshold({ by, calls, failures, slow }, before.settings)
        ? { kind: 'open', since: at, failedProbes: failedProbes + 1, why }
        : { kind: 'closed', since: at, window: { calls: 0 } },
    );
  });
});

function isAtThreshold(why: BreakerReason, { failureRate, slowCallRate }: BreakerSettings): boolean {
  if (why.by === 'hand') return false;
  return why.by === 'failures'
    ? why.failures / why.calls >= failureRate
    : why.slow / why.calls >= slowCallRate;
}

test('after a call that counts it is closed only below both thresholds or minimumCalls', () => {
  holds(({ at, before, after, event }, seen) => {
    if (event.type !== 'callsEnded' || after === before || !isKind(after.phase, 'closed')) return;
    const { settings, phase } = after;
    const { calls, failures, slow } = currentWindow(phase.window, settings.window, at);
    expect(phase.window.calls).toBe(calls);
    if (calls < settings.minimumCalls) return;
    seen();
    expect(failures / calls).toBeLessThan(settings.failureRate);
    expect(slow / calls).toBeLessThan(settings.slowCallRate);
  });
});

test('a cooldown is the first one doubled with each probe that failed, longer by a tenth at most, and never over the cap', () => {
  holds(({ at, before, after, event: { type } }, seen) => {
    if (!isKind(after.phase, 'open') || after.phase === before.phase) return;
    seen();
    const { cooldown, cooldownMax } = after.settings;
    const { since, until, failedProbes } = after.phase;
    expect(since).toBe(at);
    const base = cooldown * 2 ** failedProbes;
    // Times of today have less than a thousandth of a millisecond left.
    expect(until - since).toBeGreaterThanOrEqual(Math.min(cooldownMax, base) - 0.001);
    expect(until - since).toBeLessThanOrEqual(Math.min(cooldownMax, base * 1.1) + 0.001);
    const failedBefore = isKind(before.phase, 'halfOpen') ? before.phase.failedProbes + 1 : 0;
    expect([0, failedBefore]).toContain(failedProbes);
    expect(failedProbes === 0).toBe(failedBefore === 0 || type === 'tripped');
  });
});

test('open is left only once its cooldown is over, or by hand', () => {
  holds(({ at, before, after, event: { type } }, seen) => {
    if (!isKind(before.phase, 'open') || after.phase === before.phase) return;
    seen();
    if (type === 'tripped' || type === 'reset' || type === 'isolated') return;
    expect(type).toBe('probesAsked');
    expect(at).toBeGreaterThanOrEqual(before.phase.until);
    expect(after.phase).toMatchObject({
      kind: 'halfOpen',
      since: at,
      failedProbes: before.phase.failedProbes,
    });
  });
});

test('isolated is left by `released` alone', () => {
  holds(({ before, after, event: { type } }, seen) => {
    if (!isKind(before.phase, 'isolated')) return;
    seen();
    if (type === 'released') expect(after.phase.kind).toBe('closed');
    else expect(after.phase).toBe(before.phase);
  });
});

test('calls that began before it closed last, or end while it is not closed, change nothing', () => {
  holds(({ before, after, event }, seen) => {
    if (event.type !== 'callsEnded') return;
    const { phase } = before;
    if (isKind(phase, 'closed') && event.calls.beganAt >= phase.since) return;
    seen();
    expect(after).toBe(before);
  });
});

test('a report of a permit that is not out, or whose time is over, decides nothing', () => {
  holds(({ at, before, after, event }, seen) => {
    if (event.type !== 'probeEnded') return;
    const { phase, settings } = before;
    const permits = isKind(phase, 'halfOpen') ? phase.permits : [];
    const permit = permits.find(({ id }) => id === event.permit);
    if (permit !== undefined && at - permit.grantedAt < settings.maxProbeTime) return;
    seen();
    expect(after.phase.kind).toBe(phase.kind);
    if (isKind(phase, 'halfOpen')) expect(after.phase).toMatchObject({ reported: phase.reported });
    else expect(after).toBe(before);
  });
});

test('whoever is refused is told a finite time, and a permit is given where there is none to wait', () => {
  holds(({ at, after }, seen) => {
    const { kind, retryAfter, pacedFor } = viewOf(after, at);
    const longest = Math.max(after.settings.cooldownMax, after.settings.maxProbeTime, 5000);
    const granted = evolveBreaker(after, { type: 'probesAsked', at, wanted: 1 }).granted > after.granted;
    const mayProbe = kind === 'open' || kind === 'halfOpen';
    if (mayProbe) seen();
    expect({
      kind,
      bounded: retryAfter >= 0 && retryAfter <= longest && pacedFor >= 0 && pacedFor <= 3000,
      waits: retryAfter > 0 && kind === 'closed',
      granted,
    }).toEqual({
      kind: after.phase.kind,
      bounded: true,
      waits: false,
      granted: mayProbe && retryAfter === 0 && pacedFor === 0,
    });
  });
});

test('restored from JSON, half-open is open and may be probed at once, and all else is as it was', () => {
  holds(({ at, after }, seen) => {
    const back = restoreBreaker(JSON.parse(JSON.stringify(after)));
    const { phase, ...rest } = after;
    if (!isKind(phase, 'halfOpen')) return expect(JSON.stringify(back)).toBe(JSON.stringify(after));
    seen();
    expect(back).toMatchObject(rest);
    const { failedProbes, why } = phase;
    expect(back?.phase).toMatchObject({ kind: 'open', failedProbes, why });
    if (back === undefined) throw new Error('Expected it to come back');
    expect(viewOf(back, at).retryAfter).toBe(0);
    const { pacedUntil = at } = back;
    const probed = evolveBreaker(back, { type: 'probesAsked', at: Math.max(at, pacedUntil), wanted: 100 });
    expect(probed.granted - after.granted).toBe(after.settings.probes);
  });
});

/** Waits as long as it is told, asks for as many permits as there are, and reports that all went well. */
function probe(state: BreakerState, at: number): BreakerState {
  let next = evolveBreaker(state, { type: 'probesAsked', at, wanted: 100 });
  for (let id = state.granted + 1; id <= next.granted; id += 1) {
    const end = { failed: false, slow: false };
    next = evolveBreaker(next, { type: 'probeEnded', at, random: 1, permit: String(id), end });
  }
  return next;
}

test('an open breaker whose probes all go well once its cooldown is over is closed', () => {
  holds(({ after }, seen) => {
    if (!isKind(after.phase, 'open')) return;
    seen();
    const { pacedUntil = 0, phase } = after;
    const at = Math.max(phase.until, pacedUntil);
    expect(probe(after, at).phase).toMatchObject({ kind: 'closed', since: at });
  });
});

test('wherever it stands but isolated, once the agent is well it is closed after one more cooldown at most', () => {
  holds(({ at, after }, seen) => {
    if (isKind(after.phase, 'isolated')) return;
    seen();
    let state = after;
    let now = Math.max(at, after.pacedUntil ?? at) + after.settings.maxProbeTime;
    for (let round = 0; round < 2 && state.phase.kind !== 'closed'; round += 1) {
      now += Math.max(state.settings.cooldownMax, viewOf(state, now).retryAfter);
      state = probe(state, now);
    }
    expect(state.phase.kind).toBe('closed');
  });
});
