// Pure: what is told to a breaker, and what it answers.
import fc from 'fast-check';
import { type BreakerState, newBreaker } from '../../../src/core/breaker/breaker';
import {
  BREAKER_COMMANDS,
  type BreakerReport,
  commandEvents,
  foldBreaker,
  readCommand,
  readReport,
  replyTo,
  reportEvents,
  reportedError,
} from '../../../src/core/breaker/report';
import { BREAKER_DEFAULTS, type BreakerSettings } from '../../../src/core/breaker/settings';

const T = 1_700_000_000_000;
const settings: BreakerSettings = {
  ...BREAKER_DEFAULTS,
  window: { calls: 10 },
  minimumCalls: 2,
  cooldown: 1000,
  probes: 3,
};
const nothing: BreakerReport = { settings, calls: [], probes: [], refused: 0, wanted: 0 };
const fresh = newBreaker(settings);
const failed = { calls: 2, failures: 2, slow: 0, began: 300, ended: 100 };
const open = foldBreaker(fresh, reportEvents({ ...nothing, calls: [failed] }, fresh, T, 0));
const isolated = foldBreaker(fresh, [{ type: 'isolated', at: T, note: '' }]);

function tell(state: BreakerState, report: Partial<BreakerReport>, at: number) {
  const after = foldBreaker(state, reportEvents({ ...nothing, ...report }, state, at, 0));
  return { after, reply: replyTo(state, after, at) };
}

describe('a report', () => {
  const full: BreakerReport = {
    settings,
    calls: [failed, { calls: 1, failures: 0, slow: 1, began: 90.5, ended: 0 }],
    error: '503',
    probes: [
      { permit: '1', end: 'ignored' },
      { permit: '2', end: { failed: true, slow: false } },
    ],
    pacedFor: 1500,
    refused: 3,
    wanted: 2,
  };

  test('is read back as it is, without what is not part of it', () => {
    expect(readReport({ ...full, more: 1 })).toEqual(full);
    expect(readReport(JSON.parse(JSON.stringify(full)))).toEqual(full);
    expect(readReport(nothing)).toEqual(nothing);
  });

  test('carries the first 300 characters of an error', () => {
    expect(readReport({ ...nothing, error: 'x'.repeat(900) }).error).toBe(`${'x'.repeat(299)}…`);
    expect(reportedError('x'.repeat(300))).toBe('x'.repeat(300));
  });

  test.each<[string, object]>([
    ['settings', { settings: undefined }],
    ['settings', { settings: [] }],
    ['settings.probes', { settings: { ...settings, probes: 0 } }],
    ['settings.failureRate', { settings: { ...settings, failureRate: undefined } }],
    ['settings.window.calls', { settings: { ...settings, window: { calls: 0 } } }],
    ['settings.window', { settings: { ...settings, window: undefined } }],
    ['calls', { calls: undefined }],
    ['calls', { calls: {} }],
    ['calls', { calls: [null] }],
    ['calls', { calls: [{ ...failed, calls: 1 }] }],
    ['calls', { calls: [{ ...failed, slow: 3 }] }],
    ['calls', { calls: [{ ...failed, calls: 2.5 }] }],
    ['calls', { calls: [{ ...failed, failures: -1 }] }],
    ['calls', { calls: [{ ...failed, began: -1 }] }],
    ['calls', { calls: [{ ...failed, ended: Number.NaN }] }],
    ['calls', { calls: [{ ...failed, ended: Number.POSITIVE_INFINITY }] }],
    ['calls', { calls: [{ ...failed, ended: '1' }] }],
    ['calls', { calls: Array.from({ length: 1001 }, () => failed) }],
    ['probes', { probes: undefined }],
    ['probes', { probes: [{ permit: 1, end: 'ignored' }] }],
    ['probes', { probes: [{ permit: '1', end: 'failed' }] }],
    ['probes', { probes: [{ permit: '1', end: { failed: true } }] }],
    ['probes', { probes: [{ permit: '1', end: { slow: true } }] }],
    ['probes', { probes: ['1'] }],
    ['probes', { probes: Array.from({ length: 1001 }, () => ({ permit: '1', end: 'ignored' })) }],
    ['error', { error: 503 }],
    ['pacedFor', { pacedFor: -1 }],
    ['pacedFor', { pacedFor: Number.POSITIVE_INFINITY }],
    ['pacedFor', { pacedFor: '5' }],
    ['refused', { refused: undefined }],
    ['refused', { refused: -1 }],
    ['wanted', { wanted: 0.5 }],
    ['wanted', { wanted: '1' }],
  ])('is refused where its `%s` is wrong: %j', (field, wrong) => {
    expect(() => readReport({ ...full, ...wrong })).toThrow(
      expect.objectContaining({ type: 'InputInvalid', message: expect.stringContaining(`\`${field}\``) }),
    );
  });

  test.each([undefined, null, 'closed', 7, [nothing]])('%j is none', (value) => {
    expect(() => readReport(value)).toThrow(
      expect.objectContaining({ type: 'InputInvalid', message: expect.stringContaining('a report') }),
    );
  });

  test('whatever is read survives JSON and can be folded', () => {
    const amount = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true });
    const anyCalls = fc
      .tuple(fc.nat(20), fc.nat(20), fc.nat(20), amount, amount)
      .map(([ok, failures, slow, began, ended]) => ({
        calls: ok + Math.max(failures, slow),
        failures,
        slow,
        began,
        ended,
      }));
    fc.assert(
      fc.property(fc.array(anyCalls, { maxLength: 9 }), amount, fc.nat(9), (calls, pacedFor, wanted) => {
        const report = readReport({ ...nothing, calls, pacedFor, wanted });
        const { after, reply } = tell(fresh, report, T);
        expect(JSON.parse(JSON.stringify({ after, reply }))).toEqual({ after, reply });
      }),
    );
  });
});

describe('what a report changes', () => {
  test('comes in order: settings that changed, probes, calls, pacing, refusals, and then who asks', () => {
    const changed = { ...settings, probes: 2 };
    const events = reportEvents(
      {
        settings: changed,
        calls: [failed, { calls: 1, failures: 0, slow: 0, began: 50, ended: 20 }],
        error: '503',
        probes: [
          { permit: '4', end: { failed: true, slow: false } },
          { permit: '5', end: { failed: false, slow: true } },
          { permit: '6', end: 'ignored' },
        ],
        pacedFor: 700,
        refused: 3,
        wanted: 2,
      },
      fresh,
      T,
      0.25,
    );
    const at = { at: T, random: 0.25 };
    expect(events).toEqual([
      { type: 'configured', settings: changed },
      { type: 'probeEnded', ...at, permit: '4', end: { failed: true, slow: false }, error: '503' },
      { type: 'probeEnded', ...at, permit: '5', end: { failed: false, slow: true } },
      { type: 'probeEnded', ...at, permit: '6', end: 'ignored' },
      {
        type: 'callsEnded',
        ...at,
        calls: { calls: 2, failures: 2, slow: 0, beganAt: T - 300, endedAt: T - 100 },
        error: '503',
      },
      {
        type: 'callsEnded',
        ...at,
        calls: { calls: 1, failures: 0, slow: 0, beganAt: T - 50, endedAt: T - 20 },
      },
      { type: 'paced', at: T, until: T + 700 },
      { type: 'callsRefused', count: 3 },
      { type: 'probesAsked', at: T, wanted: 2 },
    ]);
  });

  test('is nothing where it says nothing new', () => {
    expect(reportEvents(nothing, fresh, T, 0)).toEqual([]);
  });

  test('counts a call by when it began: one that is older than the close does not', () => {
    const closed = foldBreaker(open, [{ type: 'reset', at: T + 500 }]);
    const calls = [{ ...failed, began: 100, ended: 0 }];
    expect(tell(closed, { calls }, T + 599).after).toBe(closed);
    expect(tell(closed, { calls }, T + 600).after.phase.kind).toBe('open');
  });

  test('is judged by the settings that it brings', () => {
    const once = { calls: 1, failures: 1, slow: 0, began: 9, ended: 0 };
    expect(tell(fresh, { calls: [once] }, T).after.phase.kind).toBe('closed');
    const strict = { ...settings, minimumCalls: 1 };
    expect(tell(fresh, { calls: [once], settings: strict }, T).after.phase.kind).toBe('open');
  });
});

describe('an answer', () => {
  test('has the permits that this report was granted, and no others', () => {
    const first = tell(open, { wanted: 2 }, T + 1000);
    expect(first.reply.permits).toEqual(['1', '2']);
    const second = tell(first.after, { wanted: 2 }, T + 1001);
    expect(second.reply.permits).toEqual(['3']);
    const third = tell(second.after, { wanted: 2 }, T + 1002);
    expect(third.reply).toMatchObject({ permits: [], view: { kind: 'halfOpen', retryAfter: 1000 } });
  });

  test('has a permit that the same report gave back, under another id', () => {
    const { after } = tell(open, { wanted: 3 }, T + 1000);
    const again = tell(after, { probes: [{ permit: '2', end: 'ignored' }], wanted: 9 }, T + 1001);
    expect(again.reply.permits).toEqual(['4']);
  });

  test('has none for those that ask with the report that closes it, who may go', () => {
    const { after } = tell(open, { wanted: 3 }, T + 1000);
    const end = { failed: false, slow: false };
    const probes = ['1', '2', '3'].map((permit) => ({ permit, end }));
    expect(tell(after, { probes, wanted: 5 }, T + 1001).reply).toEqual({
      view: { kind: 'closed', retryAfter: 0, pacedFor: 0 },
      permits: [],
    });
  });

  test('tells the time that is left as a duration', () => {
    expect(tell(open, { wanted: 1 }, T + 400).reply).toMatchObject({
      permits: [],
      view: { kind: 'open', retryAfter: 600, why: { by: 'failures', calls: 2, failures: 2 } },
    });
    expect(tell(fresh, { pacedFor: 2500 }, T).reply.view).toEqual({
      kind: 'closed',
      retryAfter: 0,
      pacedFor: 2500,
    });
  });
});

describe('a command', () => {
  test.each([
    ['trip', fresh, 'open'],
    ['trip', open, 'open'],
    ['reset', open, 'closed'],
    ['isolate', open, 'isolated'],
    ['release', isolated, 'closed'],
  ] as const)('%s is taken, and leaves it %#', (how, state, kind) => {
    const command = readCommand({ how, note: 'n' }, state);
    expect(command).toEqual({ how, note: 'n' });
    const after = foldBreaker(state, commandEvents(command, T + 5, 0));
    expect(after.phase).toMatchObject({ kind, since: T + 5 });
  });

  test.each([
    ['trip', { why: { by: 'hand', note: 'the bill' } }],
    ['isolate', { note: 'the bill' }],
  ] as const)('%s keeps its note', (how, kept) => {
    const events = commandEvents(readCommand({ how, note: 'the bill' }, fresh), T, 0);
    expect(foldBreaker(fresh, events).phase).toMatchObject(kept);
  });

  test('needs no note, and may bring settings, which come first', () => {
    const command = readCommand({ how: 'trip', settings: { ...settings, cooldown: 5000 } }, fresh);
    expect(command.note).toBe('');
    const after = foldBreaker(newBreaker(), commandEvents(command, T, 0));
    expect(after.phase).toMatchObject({ kind: 'open', until: T + 5000 });
  });

  test.each<[string, unknown, BreakerState, string]>([
    ['nothing', undefined, fresh, 'a command'],
    ['a text', 'trip', fresh, 'a command'],
    ['an unknown one', { how: 'open' }, fresh, '`how`'],
    ['none', {}, fresh, '`how`'],
    ['a note that is no text', { how: 'trip', note: 7 }, fresh, '`note`'],
    ['a long note', { how: 'trip', note: 'x'.repeat(501) }, fresh, '`note`'],
    [
      'settings out of range',
      { how: 'trip', settings: { ...settings, cooldown: 1 } },
      fresh,
      '`settings.cooldown`',
    ],
    ['settings that are none', { how: 'trip', settings: null }, fresh, '`settings`'],
    ['trip while isolated', { how: 'trip' }, isolated, 'to be release, since the breaker is isolated'],
    ['reset while isolated', { how: 'reset' }, isolated, 'to be release, since the breaker is isolated'],
    ['release while closed', { how: 'release' }, fresh, 'since the breaker is closed and not isolated'],
    ['release while open', { how: 'release' }, open, 'since the breaker is open and not isolated'],
  ])('is refused: %s', (_what, candidate, state, named) => {
    expect(() => readCommand(candidate, state)).toThrow(
      expect.objectContaining({ type: 'InputInvalid', message: expect.stringContaining(named) }),
    );
  });

  test('of 500 characters of note is taken', () => {
    expect(readCommand({ how: 'trip', note: 'x'.repeat(500) }, fresh).note).toHaveLength(500);
    expect(BREAKER_COMMANDS).toEqual(['trip', 'reset', 'isolate', 'release']);
  });
});
