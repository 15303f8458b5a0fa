// Pure: what a circuit breaker does, a row each.
import {
  type BreakerEvent,
  type BreakerPhase,
  type BreakerState,
  type ProbeEnd,
  cooldownAfter,
  evolveBreaker,
  newBreaker,
  restoreBreaker,
  viewOf,
} from '../../../src/core/breaker/breaker';
import { foldBreaker } from '../../../src/core/breaker/report';
import {
  BREAKER_DEFAULTS,
  BREAKER_RANGES,
  type BreakerSettings,
  settingsProblems,
} from '../../../src/core/breaker/settings';
import { isKey } from '../../../src/core/key';

const settings: BreakerSettings = {
  failureRate: 0.5,
  slowCallRate: 0.75,
  slowCallDuration: 100,
  window: { calls: 8 },
  minimumCalls: 4,
  cooldown: 1000,
  cooldownMax: 6000,
  probes: 1,
  maxProbeTime: 5000,
};
const T = 1_700_000_000_000;
const fresh = newBreaker(settings);
const on = (state: BreakerState, ...events: BreakerEvent[]): BreakerState => foldBreaker(state, events);
const withSettings = (some: Partial<BreakerSettings>): BreakerState => newBreaker({ ...settings, ...some });

const GROUPS = {
  ok: { calls: 1, failures: 0, slow: 0 },
  failed: { calls: 1, failures: 1, slow: 0 },
  slow: { calls: 1, failures: 0, slow: 1 },
} as const;

/** A call that ended at `at`. */
function call(how: keyof typeof GROUPS, at = T, beganAt = at, random = 0): BreakerEvent {
  return { type: 'callsEnded', at, random, calls: { ...GROUPS[how], beganAt, endedAt: at } };
}
const calls = (text: string, at = T): BreakerEvent[] =>
  text.split('').map((letter) => call(letter === 'F' ? 'failed' : letter === 'S' ? 'slow' : 'ok', at));
const ask = (at: number, wanted = 1): BreakerEvent => ({ type: 'probesAsked', at, wanted });
const ended = (at: number, permit: string, end: ProbeEnd, random = 0): BreakerEvent => ({
  type: 'probeEnded',
  at,
  random,
  permit,
  end,
});
const OK = { failed: false, slow: false };
const FAILED = { failed: true, slow: false };
const tripped: BreakerEvent = { type: 'tripped', at: T, random: 0, note: 'maintenance' };

function phaseOf<Kind extends BreakerPhase['kind']>(
  { phase }: BreakerState,
  kind: Kind,
): BreakerPhase & { kind: Kind } {
  if (phase.kind !== kind) throw new Error(`Expected it to be ${kind}, got ${JSON.stringify(phase)}`);
  return phase as BreakerPhase & { kind: Kind };
}

describe('closed', () => {
  // F failed, S slow, o well.
  test.each<[string, string, string]>([
    ['FFF', 'closed', 'three failures are fewer than minimumCalls'],
    ['ooFF', 'open', 'two of four are at the threshold'],
    ['oooF', 'closed', 'one of four is below it'],
    ['FFoo', 'open', 'a call that went well completes minimumCalls, and the rate is at the threshold'],
    ['oFFF', 'open', 'three of four are above it'],
    ['oooFSSS', 'closed', 'slow calls are not failures, and three of seven are below their rate'],
    ['oSSS', 'open', 'three of four slow ones are at the rate of slow calls'],
    ['ooSS', 'closed', 'two of four slow ones are below it, though at the rate of failures'],
    ['SSSo', 'open', 'a fast call completes minimumCalls, and the slow ones are at their rate'],
    ['oooooooooFFF', 'closed', 'three of the last eight are below it'],
    ['oooooooooFFFF', 'open', 'four of the last eight are at it'],
  ])('after %s it is %s: %s', (text, kind) => {
    expect(on(fresh, ...calls(text)).phase.kind).toBe(kind);
    expect(on(fresh, ...calls(text.slice(0, -1))).phase.kind).toBe('closed');
  });

  test('3 of 30 is at a threshold of a tenth', () => {
    const state = withSettings({ failureRate: 0.1, window: { calls: 30 }, minimumCalls: 30 });
    expect(on(state, ...calls(`${'o'.repeat(27)}FFF`)).phase.kind).toBe('open');
  });

  test('what failed beside being slow opens it for the failures', () => {
    const both: BreakerEvent = {
      type: 'callsEnded',
      at: T,
      random: 0,
      calls: { calls: 4, failures: 4, slow: 4, beganAt: T - 9, endedAt: T },
    };
    expect(phaseOf(on(fresh, both), 'open').why).toEqual({ by: 'failures', calls: 4, failures: 4, slow: 4 });
  });

  test('it says why it opened, when, until when, and counts that', () => {
    const { phase, opened } = on(fresh, ...calls('oSSS'));
    expect(phase).toEqual({
      kind: 'open',
      since: T,
      until: T + 1000,
      failedProbes: 0,
      why: { by: 'slowCalls', calls: 4, failures: 0, slow: 3 },
    });
    expect(opened).toBe(1);
  });

  test('failures that are further apart than a window of seconds do not open it', () => {
    const timed = withSettings({ window: { seconds: 10 } });
    const apart = [0, 4000, 8000, 12_000, 16_000, 20_000].map((later) => call('failed', T + later));
    expect(on(timed, ...apart).phase.kind).toBe('closed');
    const together = [0, 2000, 4000, 6000].map((later) => call('failed', T + later));
    expect(on(timed, ...together).phase.kind).toBe('open');
  });

  test('it keeps what the last call that failed failed with', () => {
    const failed = (error: string) => ({ ...call('failed'), error }) as BreakerEvent;
    expect(on(fresh, failed('500'), failed('502'), call('ok')).lastError).toBe('502');
    expect(on(fresh, call('ok'))).not.toHaveProperty('lastError');
  });

  test('whoever asks for a permit gets none, and goes', () => {
    expect(on(fresh, ask(T))).toBe(fresh);
    expect(viewOf(fresh, T)).toEqual({ kind: 'closed', retryAfter: 0, pacedFor: 0 });
  });
});

describe('open', () => {
  const open = on(fresh, ...calls('FFFF'));

  test('it gives no permit before the cooldown is over, and says how long that is', () => {
    expect(on(open, ask(T + 999))).toBe(open);
    expect(viewOf(open, T)).toMatchObject({ kind: 'open', retryAfter: 1000, why: { by: 'failures' } });
    expect(viewOf(open, T + 400).retryAfter).toBe(600);
    expect(viewOf(open, T + 1000).retryAfter).toBe(0);
    expect(viewOf(open, T + 9000).retryAfter).toBe(0);
  });

  test('once the cooldown is over whoever asks gets a permit', () => {
    const { phase, granted } = on(open, ask(T + 1000));
    expect(phase).toMatchObject({
      kind: 'halfOpen',
      since: T + 1000,
      permits: [{ id: '1', grantedAt: T + 1000 }],
      reported: { calls: 0 },
    });
    expect(granted).toBe(1);
  });

  test.each([
    ['well', 'ok'],
    ['badly', 'failed'],
  ] as const)(
    'a call that began before it opened and ends %s while it is open changes nothing',
    (_how, how) => {
      expect(on(open, call(how, T + 500, T - 100))).toBe(open);
      expect(on(open, call(how, T + 5000, T - 100))).toBe(open);
    },
  );

  test('the cooldown doubles with each probe that fails, up to the cap, and starts anew after a close', () => {
    let state = open;
    const waits: number[] = [];
    for (let count = 1; count <= 5; count += 1) {
      const { since, until } = phaseOf(state, 'open');
      waits.push(until - since);
      state = on(state, ask(until), ended(until + 10, String(count), FAILED));
    }
    expect(waits).toEqual([1000, 2000, 4000, 6000, 6000]);
    const { until, failedProbes } = phaseOf(state, 'open');
    expect(failedProbes).toBe(5);
    const closed = on(state, ask(until), ended(until + 10, '6', OK));
    const again = phaseOf(on(closed, ...calls('FFFF', until + 20)), 'open');
    expect(again).toMatchObject({ failedProbes: 0, until: until + 1020 });
    expect(on(closed, ...calls('FFFF', until + 20)).opened).toBe(2);
  });

  test.each([
    [0, 0, 1000],
    [0, 1, 1100],
    [0, 0.5, 1050],
    [1, 1, 2200],
    [2, 1, 4400],
    [3, 0, 6000],
    [3, 1, 6000],
    [5000, 1, 6000],
  ])('after %d failed probes, with %d of the jitter, the cooldown is %d ms', (probes, random, wait) => {
    expect(cooldownAfter(settings, probes, random)).toBeCloseTo(wait, 6);
  });

  test('it takes the jitter of its cooldown from the event that opens it', () => {
    const jittered = on(fresh, ...calls('FFF'), call('failed', T, T, 0.5));
    expect(phaseOf(jittered, 'open').until).toBeCloseTo(T + 1050, 3);
    const failed = on(open, ask(T + 1000), ended(T + 1000, '1', FAILED, 1));
    expect(phaseOf(failed, 'open').until).toBeCloseTo(T + 1000 + 2200, 3);
  });
});

describe('half-open', () => {
  const AT = T + 1000;
  const three = on(withSettings({ probes: 3 }), ...calls('FFFF'), ask(AT, 2));

  test('it admits at most `probes` calls, however many ask', () => {
    expect(phaseOf(three, 'halfOpen').permits.map(({ id }) => id)).toEqual(['1', '2']);
    const all = on(three, ask(AT, 200), ask(AT + 1, 200));
    expect(phaseOf(all, 'halfOpen').permits.map(({ id }) => id)).toEqual(['1', '2', '3']);
    expect(all.granted).toBe(3);
  });

  test('a probe that has reported is not followed by another', () => {
    const reported = on(three, ask(AT), ended(AT + 5, '1', OK), ask(AT + 6, 9));
    expect(reported.granted).toBe(3);
    expect(phaseOf(reported, 'halfOpen').reported).toEqual({ calls: 1, failures: 0, slow: 0 });
  });

  test.each([
    ['no probe failed', [OK, OK, OK], 'closed'],
    ['one of three failed', [FAILED, OK, OK], 'closed'],
    ['two of three failed', [OK, FAILED, FAILED], 'open'],
    ['two of three failed first', [FAILED, FAILED, OK], 'open'],
    ['all were slow', [0, 1, 2].map(() => ({ failed: false, slow: true })), 'open'],
    ['two of three were slow', [{ failed: false, slow: true }, { failed: false, slow: true }, OK], 'closed'],
  ] as const)('where %s the last report decides', (_what, ends, kind) => {
    let state = on(three, ask(AT));
    for (const [index, end] of ends.entries()) {
      expect(state.phase.kind).toBe('halfOpen');
      state = on(state, ended(AT + 5, String(index + 1), end));
    }
    expect(state.phase.kind).toBe(kind);
    expect(state.phase.since).toBe(AT + 5);
  });

  test('reopened, it says why it opened first, and what the probe failed with', () => {
    const one = on(fresh, ...calls('FFFF'), ask(AT));
    const reopened = on(one, { ...ended(AT + 5, '1', FAILED), error: '503' } as BreakerEvent);
    expect(phaseOf(reopened, 'open')).toMatchObject({
      failedProbes: 1,
      why: { by: 'failures', calls: 4, failures: 4 },
    });
    expect(reopened).toMatchObject({ lastError: '503', opened: 1 });
  });

  test('closed again, it has an empty window', () => {
    const closed = on(fresh, ...calls('FFFF'), ask(AT), ended(AT + 5, '1', OK));
    expect(phaseOf(closed, 'closed').window.calls).toBe(0);
    expect(on(closed, ...calls('FFF', AT + 6)).phase.kind).toBe('closed');
  });

  test('a permit that did not report in maxProbeTime is given to another call, and its late report is ignored', () => {
    const all = on(three, ask(AT + 2000));
    expect(on(all, ask(AT + 4999)).granted).toBe(3);
    const taken = on(all, ask(AT + 5000));
    expect(phaseOf(taken, 'halfOpen').permits.map(({ id }) => id)).toEqual(['3', '4']);
    expect(on(taken, ended(AT + 5001, '1', FAILED))).toEqual(taken);
    expect(phaseOf(on(taken, ended(AT + 5001, '4', OK)), 'halfOpen').reported.calls).toBe(1);
  });

  test('a report that comes when the time is over is ignored, though nobody took the permit', () => {
    const one = on(fresh, ...calls('FFFF'), ask(AT));
    expect(on(one, ended(AT + 4999, '1', OK)).phase.kind).toBe('closed');
    const late = on(one, ended(AT + 5000, '1', OK));
    expect(late.phase.kind).toBe('halfOpen');
    expect(on(late, ask(AT + 5000)).granted).toBe(2);
  });

  test('an end that does not count gives the permit back', () => {
    const one = on(fresh, ...calls('FFFF'), ask(AT));
    const back = on(one, ended(AT + 5, '1', 'ignored'));
    expect(back.phase).toMatchObject({ kind: 'halfOpen', permits: [], reported: { calls: 0 } });
    expect(viewOf(back, AT + 5).retryAfter).toBe(0);
    const next = on(back, ask(AT + 6));
    expect(phaseOf(next, 'halfOpen').permits).toEqual([{ id: '2', grantedAt: AT + 6 }]);
    expect(on(next, ended(AT + 7, '1', OK))).toBe(next);
    expect(on(next, ended(AT + 7, '2', OK)).phase.kind).toBe('closed');
  });

  test('a permit reports once, and only one that was granted does', () => {
    const reported = on(three, ended(AT + 5, '1', FAILED));
    expect(on(reported, ended(AT + 6, '1', FAILED))).toBe(reported);
    expect(on(reported, ended(AT + 6, '77', FAILED))).toBe(reported);
  });

  test('a permit of an earlier half-open phase does not report to a later one', () => {
    const two = on(withSettings({ probes: 1 }), ...calls('FFFF'), ask(AT), tripped, ask(AT));
    expect(phaseOf(two, 'halfOpen').permits).toEqual([{ id: '2', grantedAt: AT }]);
    expect(on(two, ended(AT, '1', OK))).toBe(two);
  });

  test('a call without a permit that ends changes nothing, whenever it began', () => {
    expect(on(three, call('failed', AT + 5, T - 100), call('ok', AT + 5, AT + 1))).toBe(three);
  });

  test.each([
    [0, 1000, 'a second at least'],
    [300, 1000, 'a second at least'],
    [2000, 2000, 'as long as the probe takes already'],
    [4000, 1000, 'what is left of maxProbeTime'],
    [4900, 100, 'what is left of maxProbeTime'],
    [5000, 0, 'the permit is free'],
    [9000, 0, 'the permit is free'],
  ])('%d ms into a probe the others are told to ask again in %d ms: %s', (later, wait) => {
    const one = on(fresh, ...calls('FFFF'), ask(AT));
    expect(viewOf(one, AT + later)).toMatchObject({ kind: 'halfOpen', retryAfter: wait });
  });

  test('where the cooldown is shorter than a second the others are told to ask again after it', () => {
    const short = on(withSettings({ cooldown: 200 }), ...calls('FFFF'), ask(AT));
    expect(viewOf(short, AT).retryAfter).toBe(200);
    expect(viewOf(short, AT + 300).retryAfter).toBe(300);
  });

  test('while a permit is free whoever asks is told to ask at once', () => {
    expect(viewOf(three, AT).retryAfter).toBe(0);
    expect(viewOf(on(three, ask(AT)), AT).retryAfter).toBe(1000);
  });
});

describe('closed again', () => {
  const closed = on(fresh, ...calls('FFFF'), ask(T + 1000), ended(T + 1200, '1', OK));

  test('a call that began before it closed and ends after changes nothing', () => {
    for (const beganAt of [T - 100, T + 500, T + 1100, T + 1199]) {
      expect(on(closed, call('failed', T + 1300, beganAt))).toBe(closed);
    }
    expect(on(closed, ...[1, 2, 3, 4].map(() => call('failed', T + 1300, T - 50))).phase.kind).toBe('closed');
  });

  test('a call that began since counts', () => {
    expect(phaseOf(on(closed, call('failed', T + 1300, T + 1200)), 'closed').window.failures).toBe(1);
  });
});

describe('by hand', () => {
  const isolated = on(fresh, { type: 'isolated', at: T, note: 'the bill' });

  test('isolated is left by release alone', () => {
    const others: BreakerEvent[] = [
      ...calls('FFFFoooo'),
      ask(T + 1e9),
      ended(T, '1', OK),
      tripped,
      { type: 'reset', at: T + 1 },
      { type: 'isolated', at: T + 1, note: 'the bill' },
    ];
    expect(on(isolated, ...others)).toBe(isolated);
    expect(on(isolated, { type: 'isolated', at: T + 1, note: 'still' }).phase).toMatchObject({
      since: phaseOf(isolated, 'isolated').since,
      note: 'still',
    });
    expect(on(isolated, { type: 'released', at: T + 7 }).phase).toMatchObject({
      kind: 'closed',
      since: T + 7,
    });
  });

  test.each([
    ['closed', fresh],
    ['open', on(fresh, ...calls('FFFF'))],
    ['half-open', on(fresh, ...calls('FFFF'), ask(T + 1000))],
  ])('it is isolated while %s', (_kind, state) => {
    expect(on(state, { type: 'isolated', at: T + 5, note: 'x' }).phase).toEqual({
      kind: 'isolated',
      since: T + 5,
      note: 'x',
    });
  });

  test.each([
    [0, 1000],
    [999, 1000],
    [3000, 3000],
    [1e9, 6000],
  ])('%d ms after it was isolated, callers are told to ask again in %d ms', (later, wait) => {
    expect(viewOf(isolated, T + later)).toEqual({
      kind: 'isolated',
      retryAfter: wait,
      pacedFor: 0,
      why: { by: 'hand', note: 'the bill' },
    });
  });

  test('tripped, it opens for a cooldown, and does not count that as opening by itself', () => {
    const state = on(fresh, tripped);
    expect(state.phase).toEqual({
      kind: 'open',
      since: T,
      until: T + 1000,
      failedProbes: 0,
      why: { by: 'hand', note: 'maintenance' },
    });
    expect(state.opened).toBe(0);
    expect(on(state, ask(T + 1000), ended(T + 1001, '1', OK)).phase.kind).toBe('closed');
  });

  test.each([
    ['open', on(fresh, ...calls('FFFF'))],
    ['half-open', on(fresh, ...calls('FFFF'), ask(T + 1000))],
    ['closed', on(fresh, ...calls('FFF'))],
  ])('reset while %s, it is closed with an empty window and no pacing', (_kind, state) => {
    const paced = on(state, { type: 'paced', at: T, until: T + 9000 });
    const reset = on(paced, { type: 'reset', at: T + 2000 });
    expect(phaseOf(reset, 'closed')).toMatchObject({ since: T + 2000, window: { calls: 0 } });
    expect(viewOf(reset, T + 2000).pacedFor).toBe(0);
  });

  test.each([
    ['trip', 'closed', fresh],
    ['release', 'open', on(fresh, ...calls('FFFF'))],
  ])('release changes nothing where it is %s', (_what, _kind, state) => {
    expect(on(state, { type: 'released', at: T + 9 })).toBe(state);
  });
});

describe('pacing and counting', () => {
  test('a pause that the provider asks for is told, and a shorter one does not end it sooner', () => {
    const paced = on(
      fresh,
      { type: 'paced', at: T, until: T + 5000 },
      { type: 'paced', at: T + 1, until: T + 1000 },
    );
    expect(paced.phase.kind).toBe('closed');
    expect(viewOf(paced, T + 1).pacedFor).toBe(4999);
    expect(viewOf(paced, T + 6000).pacedFor).toBe(0);
    expect(viewOf(on(paced, { type: 'paced', at: T + 6000, until: T + 7000 }), T + 6000).pacedFor).toBe(1000);
  });

  test('no probe is granted while the provider asks for a pause', () => {
    const paced = on(fresh, ...calls('FFFF'), { type: 'paced', at: T, until: T + 5000 });
    const asked = on(paced, ask(T + 1000), ask(T + 4999));
    expect(asked.granted).toBe(0);
    expect(viewOf(asked, T + 4999).pacedFor).toBe(1);
    expect(on(asked, ask(T + 5000)).granted).toBe(1);
  });

  test('refusals are counted', () => {
    expect(on(fresh, { type: 'callsRefused', count: 3 }, { type: 'callsRefused', count: 4 }).refused).toBe(7);
  });
});

describe('settings', () => {
  const configured = (some: Partial<BreakerSettings>): BreakerEvent => ({
    type: 'configured',
    settings: { ...settings, ...some },
  });

  test('a window of another size keeps the calls that fit it, other settings leave it as it is', () => {
    const state = on(fresh, ...calls('FFF'));
    expect(phaseOf(on(state, configured({ window: { calls: 9 } })), 'closed').window.calls).toBe(3);
    expect(phaseOf(on(state, configured({ window: { calls: 2 } })), 'closed').window.calls).toBe(2);
    expect(phaseOf(on(state, configured({ window: { seconds: 60 } })), 'closed').window.calls).toBe(3);
    const other = on(state, configured({ minimumCalls: 5 }));
    expect(phaseOf(other, 'closed').window.calls).toBe(3);
    expect(on(other, call('failed')).phase.kind).toBe('closed');
    expect(on(other, call('failed'), call('failed')).phase.kind).toBe('open');
  });

  test.each([
    ['open', on(fresh, ...calls('FFFF'))],
    ['half-open', on(fresh, ...calls('FFFF'), ask(T + 1000))],
    ['isolated', on(fresh, { type: 'isolated', at: T, note: '' })],
  ])('they do not change that it is %s', (_kind, state) => {
    expect(on(state, configured({ window: { calls: 9 }, probes: 2 })).phase).toBe(state.phase);
  });

  test('where settings ask for fewer probes than have reported already, probing begins anew', () => {
    const two = on(withSettings({ probes: 3 }), ...calls('FFFF'), ask(T + 1000, 3));
    const reported = on(
      two,
      ended(T + 1001, '1', FAILED),
      ended(T + 1001, '2', OK),
      ended(T + 1001, '3', 'ignored'),
    );
    const fewer = on(reported, configured({ probes: 2 }));
    expect(viewOf(fewer, T + 1002).retryAfter).toBe(0);
    const anew = on(fewer, ask(T + 1002));
    expect(phaseOf(anew, 'halfOpen')).toMatchObject({ reported: { calls: 0 }, permits: [{ id: '4' }] });
  });

  test('a permit that is late is not waited for, though settings ask for fewer probes than are out', () => {
    const two = on(withSettings({ probes: 2 }), ...calls('FFFF'), ask(T + 1000), ask(T + 3000));
    const fewer = on(two, configured({ probes: 1 }));
    expect(viewOf(fewer, T + 6500).retryAfter).toBe(1500);
    expect(on(fewer, ask(T + 6500)).granted).toBe(2);
    expect(on(fewer, ask(T + 8000)).granted).toBe(3);
  });

  test('where settings ask for fewer probes than are out, the next report decides', () => {
    const two = on(withSettings({ probes: 2 }), ...calls('FFFF'), ask(T + 1000, 2));
    expect(on(two, configured({ probes: 1 }), ask(T + 1001)).granted).toBe(2);
    expect(on(two, configured({ probes: 1 }), ended(T + 1001, '2', OK)).phase.kind).toBe('closed');
  });

  test('the defaults are in range, and each bound is', () => {
    expect(settingsProblems(BREAKER_DEFAULTS)).toEqual([]);
    for (const [field, bounds] of Object.entries(BREAKER_RANGES)) {
      for (const bound of bounds) {
        const [, size] = field.split('.');
        const given = {
          ...settings,
          window: { seconds: 9 },
          minimumCalls: 1,
          cooldown: 10,
          cooldownMax: 6e8,
        };
        const changed: object = size === undefined ? { [field]: bound } : { window: { [size]: bound } };
        const same =
          field === 'cooldownMax' || field === 'cooldown' ? { cooldown: bound, cooldownMax: bound } : {};
        expect([field, settingsProblems({ ...given, ...changed, ...same })]).toEqual([field, []]);
      }
    }
  });

  test.each<[unknown, string, RegExp]>([
    [{ failureRate: 0 }, 'failureRate', /from 0.001 to 1/],
    [{ failureRate: 50 }, 'failureRate', /from 0.001 to 1/],
    [{ failureRate: undefined }, 'failureRate', /number/],
    [{ slowCallRate: Number.NaN }, 'slowCallRate', /number/],
    [{ slowCallDuration: 0 }, 'slowCallDuration', /number/],
    [{ slowCallDuration: '1 s' }, 'slowCallDuration', /number/],
    [{ minimumCalls: 2.5 }, 'minimumCalls', /whole/],
    [{ minimumCalls: 9 }, 'minimumCalls', /at most .* 8/],
    [{ cooldown: Number.POSITIVE_INFINITY }, 'cooldown', /number/],
    [{ cooldownMax: 999 }, 'cooldownMax', /at least the cooldown, 1000/],
    [{ probes: 0 }, 'probes', /whole/],
    [{ probes: 1.5 }, 'probes', /whole/],
    [{ maxProbeTime: 9 }, 'maxProbeTime', /number/],
    [{ window: { calls: 0 } }, 'window.calls', /whole/],
    [{ window: { seconds: 0.5 } }, 'window.seconds', /number/],
    [{ window: { calls: 5, seconds: 5 } }, 'window', /either/],
    [{ window: {} }, 'window', /either/],
    [{ window: 60 }, 'window', /either/],
    [{ window: null }, 'window', /either/],
    [{ cooldwon: 1000 }, 'cooldwon', /left out.*cooldown/],
  ])('%j is refused at `%s`', (some, field, expected) => {
    const wrong = { ...settings, ...(some as Partial<BreakerSettings>) };
    expect(settingsProblems(wrong).map(([path, what]) => [path.join('.'), what])).toEqual([
      [field, expect.stringMatching(expected)],
    ]);
  });

  test.each(Object.keys(BREAKER_DEFAULTS))('settings without %s are refused there', (field) => {
    const { [field]: _left, ...rest } = { ...BREAKER_DEFAULTS } as Record<string, unknown>;
    const problems = settingsProblems(rest as unknown as BreakerSettings);
    expect(problems.map(([path]) => path)).toEqual([[field]]);
  });

  test.each<[unknown, boolean]>([
    ['openai/main/gpt', true],
    ['ключ 🔑', true],
    ['🔑'.repeat(200), true],
    ['x'.repeat(201), false],
    ['', false],
    ['a\nb', false],
    ['\ud800', false],
    [7, false],
    [undefined, false],
  ])('%j as a key: %j', (key, is) => {
    expect(isKey(key)).toBe(is);
  });
});

describe('restored', () => {
  const half = on(
    withSettings({ probes: 2 }),
    ...calls('FFFF'),
    ask(T + 1000, 2),
    ended(T + 1001, '1', FAILED),
    ended(T + 1001, '2', FAILED),
    ask(T + 4000, 2),
  );
  const kept = (state: BreakerState): unknown => JSON.parse(JSON.stringify(state));

  test('half-open comes back as open that may be probed at once, with its attempts kept', () => {
    const back = restoreBreaker(kept(half));
    expect(back?.phase).toMatchObject({ kind: 'open', until: T + 4000, failedProbes: 1 });
    const again = on(back ?? fresh, ask(T + 4000, 2));
    expect(phaseOf(again, 'halfOpen').permits.map(({ id }) => id)).toEqual(['5', '6']);
    expect(on(again, ended(T + 4001, '3', OK))).toBe(again);
  });

  test.each([
    ['closed', on(fresh, ...calls('FoS'))],
    ['open', on(fresh, ...calls('FFFF'))],
    ['isolated', on(fresh, { type: 'isolated', at: T, note: 'x' })],
  ])('%s comes back as it was', (_kind, state) => {
    expect(restoreBreaker(kept(state))).toEqual(state);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'closed'],
    ['a list', []],
    ['another version', { ...fresh, version: 2 }],
    ['no phase', { ...fresh, phase: undefined }],
    ['an unknown phase', { ...fresh, phase: { kind: 'ajar', since: 0 } }],
    ['no settings', { ...fresh, settings: undefined }],
    ['settings out of range', { ...fresh, settings: { ...settings, probes: 0 } }],
    ['settings that lack one', { ...fresh, settings: { ...settings, failureRate: undefined } }],
    ['no count of permits', { ...fresh, granted: undefined }],
  ])('%s is no breaker', (_what, value) => {
    expect(restoreBreaker(value)).toBeUndefined();
  });
});

test('an event that is none of ours throws', () => {
  expect(() => evolveBreaker(fresh, { type: 'opened' } as unknown as BreakerEvent)).toThrow(TypeError);
});
