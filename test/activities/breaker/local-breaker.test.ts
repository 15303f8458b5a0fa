// Pure: what one worker's view of a breaker tells calls and the fleet. Clock, chance, timers and answers are the test's.
import { type Admission, LocalBreaker } from '../../../src/activities/breaker/local-breaker';
import type { BreakerView } from '../../../src/core/breaker/breaker';
import type { BreakerReply, BreakerReport } from '../../../src/core/breaker/report';
import type { BreakerSettings } from '../../../src/core/breaker/settings';

const SETTINGS: BreakerSettings = {
  failureRate: 0.5,
  slowCallRate: 1,
  slowCallDuration: 1000,
  window: { seconds: 100 },
  minimumCalls: 4,
  cooldown: 10_000,
  cooldownMax: 40_000,
  probes: 1,
  maxProbeTime: 60_000,
};
const BEGIN = 5000;

interface Told {
  readonly report: BreakerReport;
  answer(view: BreakerView, permits?: readonly string[]): Promise<void>;
  /** The fleet's breaker does not answer. */
  fail(): Promise<void>;
}

class Stage {
  at = BEGIN;
  random = 0;
  readonly told: Told[] = [];
  readonly breaker: LocalBreaker;
  private timers: { readonly at: number; readonly work: () => void }[] = [];

  constructor(settings: Partial<BreakerSettings> = {}) {
    this.breaker = new LocalBreaker({ ...SETTINGS, ...settings }, (report) => this.tell(report), {
      id: 'w',
      now: () => this.at,
      random: () => this.random,
      later: (work, wait) => void this.timers.push({ at: this.at + wait, work }),
    });
  }

  get last(): Told {
    return found(this.told.at(-1));
  }

  /** When the timers that are set are due, from now. */
  get due(): number[] {
    return this.timers.map(({ at }) => at - this.at).sort((a, b) => a - b);
  }

  /** Time passes, up to and with what is due then. */
  pass(time: number): void {
    this.at += time;
    const due = this.timers.filter(({ at }) => at <= this.at);
    this.timers = this.timers.filter(({ at }) => at > this.at);
    for (const { work } of due) work();
  }

  /** A call that may go at once. */
  begin(): Admission & { kind: 'admitted' } {
    const admission = this.breaker.admit(false);
    if (admission instanceof Promise || admission.kind === 'refused') throw new TypeError('It may not go');
    return admission;
  }

  call(outcome: 'success' | 'failure', time = 10): void {
    const admission = this.begin();
    this.at += time;
    this.breaker.record(admission, outcome, outcome === 'failure' ? 'HTTP 500' : undefined);
  }

  /** A call that the breaker decides upon without asking. */
  decided(): Admission {
    const admission = this.breaker.admit(false);
    if (admission instanceof Promise) throw new TypeError('It asks');
    return admission;
  }

  ask(waited = true): Promise<Admission> {
    const admission = this.breaker.admit(waited);
    if (!(admission instanceof Promise)) throw new TypeError('It does not ask');
    return admission;
  }

  /** Its own calls open it, and the fleet's breaker does not answer. */
  async openAlone(): Promise<void> {
    for (let index = 0; index < 4; index += 1) this.call('failure', 0);
    await this.last.fail();
  }

  private tell(report: BreakerReport): Promise<BreakerReply> {
    return new Promise((resolve, reject) => {
      this.told.push({
        report: structuredClone(report),
        answer: (view, permits = []) => {
          resolve({ view, permits });
          return settled();
        },
        fail: () => {
          reject(new Error('No answer'));
          return settled();
        },
      });
    });
  }
}

const CLOSED: BreakerView = { kind: 'closed', retryAfter: 0, pacedFor: 0 };
const FAILURES = { by: 'failures', calls: 4, failures: 4, slow: 0 } as const;
const openFor = (retryAfter: number): BreakerView => ({
  kind: 'open',
  retryAfter,
  pacedFor: 0,
  why: FAILURES,
});
const refused = (why: string, retryAfter: number): unknown =>
  expect.objectContaining({ kind: 'refused', why, retryAfter });

function found<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new RangeError('Expected a value');
  return value;
}

function admitted(admission: Admission): Admission & { kind: 'admitted' } {
  if (admission.kind === 'refused') throw new TypeError(`Refused: ${admission.why}`);
  return admission;
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Calls of a report: how many, of these failed and slow, and how long ago they began and ended. */
const callsOf = ({ calls }: BreakerReport): number[][] =>
  calls.map((one) => [one.calls, one.failures, one.slow, one.began, one.ended]);

describe('while calls go well', () => {
  test('it decides at once and tells nobody', () => {
    const stage = new Stage();
    for (let index = 0; index < 500; index += 1) stage.call('success');
    expect(stage.decided()).toEqual({ kind: 'admitted', beganAt: stage.at });
    expect(stage.told).toEqual([]);
    expect(stage.due).toEqual([]);
  });

  test.each(['ignored', 'final'] as const)('a call that is %s is not told of, and does not count', (end) => {
    const stage = new Stage({ minimumCalls: 1 });
    stage.breaker.record(stage.begin(), end, 'HTTP 400');
    expect(stage.told).toEqual([]);
    expect(stage.decided().kind).toBe('admitted');
  });
});

describe('a report', () => {
  test('goes at once with the first failure, and has the calls before it, by their ages', () => {
    const stage = new Stage();
    stage.call('success', 20);
    stage.pass(50_000);
    stage.call('failure', 30);
    expect(stage.told).toHaveLength(1);
    expect(stage.last.report).toEqual({
      settings: SETTINGS,
      calls: [
        { calls: 1, failures: 0, slow: 0, began: 50_050, ended: 50_030 },
        { calls: 1, failures: 1, slow: 0, began: 30, ended: 0 },
      ],
      error: 'HTTP 500',
      probes: [],
      holds: { worker: 'w', turn: 1, permits: [] },
      refused: 0,
      wanted: 0,
    });
  });

  test.each([
    [1000, 0],
    [1001, 1],
  ])('of a call that took %i ms comes %i times', (time, times) => {
    const stage = new Stage();
    stage.call('success', time);
    expect(stage.told.map(({ report }) => callsOf(report))).toEqual(
      times === 0 ? [] : [[[1, 0, 1, 1001, 0]]],
    );
  });

  test('is the only one under way; what comes meanwhile goes with the next', async () => {
    const stage = new Stage({ minimumCalls: 100 });
    stage.call('failure');
    stage.call('failure');
    stage.call('success');
    expect(stage.told).toHaveLength(1);
    await stage.last.answer(CLOSED);
    expect(stage.told).toHaveLength(2);
    expect(callsOf(stage.last.report)).toEqual([[2, 1, 0, 20, 0]]);
    await stage.last.answer(CLOSED);
    expect(stage.told).toHaveLength(2);
    expect(stage.due).toEqual([]);
  });

  test('has no more of what was answered, and waits for the next failure with what goes well', async () => {
    const stage = new Stage({ minimumCalls: 100 });
    stage.call('failure');
    await stage.last.answer(CLOSED);
    stage.call('success');
    expect(stage.told).toHaveLength(1);
    stage.call('failure');
    expect(callsOf(stage.last.report)).toEqual([[2, 1, 0, 20, 0]]);
  });

  test('that is not answered is sent again with all it had and what came meanwhile', async () => {
    const stage = new Stage({ minimumCalls: 100 });
    stage.call('failure', 0);
    await stage.last.fail();
    stage.call('success', 0);
    stage.call('failure', 0);
    expect(stage.told).toHaveLength(1);
    stage.pass(1000);
    expect(stage.told).toHaveLength(2);
    expect(callsOf(stage.last.report)).toEqual([[3, 2, 0, 1000, 1000]]);
  });

  test('is sent again after 1 s, then after twice as long each time, up to 30 s', async () => {
    const stage = new Stage({ minimumCalls: 100 });
    stage.call('failure', 0);
    for (const wait of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      await stage.last.fail();
      const { length } = stage.told;
      expect(stage.due).toEqual([wait]);
      stage.pass(wait - 1);
      expect(stage.told).toHaveLength(length);
      stage.pass(1);
      expect(stage.told).toHaveLength(length + 1);
    }
    await stage.last.answer(CLOSED);
    expect(stage.due).toEqual([]);
    stage.call('failure', 0);
    await stage.last.fail();
    expect(stage.due).toEqual([1000]);
  });

  test('goes earlier with a call that asks, and then not once more', async () => {
    const stage = new Stage({ minimumCalls: 100 });
    stage.call('failure', 0);
    await stage.last.fail();
    void stage.ask();
    expect(stage.last.report).toMatchObject({ calls: [{ failures: 1 }], wanted: 1 });
    await stage.last.answer(CLOSED);
    stage.pass(100_000);
    expect(stage.told).toHaveLength(2);
    stage.call('failure', 0);
    expect(stage.told).toHaveLength(3);
  });

  test('that was lost again and again is due once, however many calls asked', async () => {
    const stage = new Stage({ minimumCalls: 100 });
    stage.call('failure', 0);
    await stage.last.fail();
    for (let index = 0; index < 5; index += 1) {
      void stage.ask();
      await stage.last.fail();
    }
    const { length } = stage.told;
    stage.pass(31_000);
    expect(stage.told).toHaveLength(length + 1);
  });

  test('leaves out what has left the window meanwhile', async () => {
    const stage = new Stage({ minimumCalls: 100, window: { seconds: 1 } });
    stage.call('failure', 0);
    await stage.last.fail();
    stage.pass(1000);
    expect(stage.last.report.calls).toEqual([]);
  });

  test('has the probes and refusals of one that was not answered', async () => {
    const stage = new Stage();
    const asked = stage.ask();
    await stage.last.answer(openFor(0), ['7']);
    stage.breaker.record(admitted(await asked), 'success');
    await stage.last.fail();
    stage.pass(1000);
    expect(stage.last.report.probes).toEqual([{ permit: '7', end: { failed: false, slow: false } }]);
  });

  test('counts the calls that were refused, once they are told', async () => {
    const stage = new Stage();
    void stage.ask();
    await stage.last.answer(openFor(8000));
    stage.decided();
    stage.decided();
    void stage.ask();
    expect(stage.last.report.refused).toBe(3);
    await stage.last.fail();
    void stage.ask();
    // The call that asked last has become a probe.
    expect(stage.last.report.refused).toBe(3);
    await stage.last.answer(openFor(8000));
    void stage.ask();
    expect(stage.last.report.refused).toBe(1);
  });

  test('cuts a long error', () => {
    const stage = new Stage();
    stage.breaker.record(stage.begin(), 'failure', 'x'.repeat(5000));
    expect(stage.last.report.error).toHaveLength(300);
  });
});

describe('its own window', () => {
  test('opens it at minimumCalls, and until the fleet is heard it refuses for at most a second', () => {
    const stage = new Stage();
    for (let index = 0; index < 4; index += 1) stage.call('failure', 0);
    expect(stage.decided()).toEqual(refused('open', 1000));
    stage.random = 1;
    expect(stage.decided()).toEqual(refused('open', 1100));
  });

  test('lets no call begin while those under way may open it', () => {
    const stage = new Stage();
    stage.call('failure', 0);
    // With these two there are three of the four that it opens on.
    expect([stage.decided().kind, stage.decided().kind]).toEqual(['admitted', 'admitted']);
    expect(stage.decided().kind).toBe('admitted');
    expect(stage.decided()).toEqual(refused('failing', 1000));
  });

  test('lets calls begin beside those under way while most went well', () => {
    const stage = new Stage();
    for (let index = 0; index < 3; index += 1) stage.call('success', 0);
    stage.call('failure', 0);
    expect(Array.from({ length: 20 }, () => stage.decided().kind)).toEqual(
      Array.from({ length: 20 }, () => 'admitted'),
    );
  });

  test('does not take a failure that has left the window for one of now', () => {
    const stage = new Stage();
    stage.call('failure', 0);
    stage.pass(100_000);
    expect(Array.from({ length: 20 }, () => stage.decided().kind)).toEqual(
      Array.from({ length: 20 }, () => 'admitted'),
    );
  });

  test('that is open for long asks again, 5 s after it heard so, before it refuses a call', async () => {
    const stage = new Stage();
    stage.call('failure', 0);
    await stage.last.answer({ kind: 'open', retryAfter: 60_000, pacedFor: 0 });
    stage.pass(5000);
    expect(stage.decided()).toMatchObject({ kind: 'refused', retryAfter: 55_000 });
    const told = stage.told.length;
    stage.pass(1);
    const asked = stage.breaker.admit(false);
    expect(stage.told).toHaveLength(told + 1);
    await stage.last.answer(CLOSED);
    expect(await asked).toMatchObject({ kind: 'admitted' });
  });

  test('refuses for no longer than its cooldown', () => {
    const stage = new Stage({ cooldown: 200 });
    for (let index = 0; index < 4; index += 1) stage.call('failure', 0);
    expect(stage.decided()).toEqual(refused('open', 200));
  });

  test('tells at once where a call that went well opens it', async () => {
    const stage = new Stage();
    stage.call('failure', 0);
    stage.call('failure', 0);
    await stage.last.answer(CLOSED);
    await stage.last.answer(CLOSED);
    stage.call('success', 0);
    expect(stage.told).toHaveLength(2);
    stage.call('success', 0);
    expect(stage.decided().kind).toBe('refused');
    expect(stage.told).toHaveLength(3);
  });

  test('stays open where the answer knows nothing of the calls that opened it', async () => {
    const stage = new Stage();
    for (let index = 0; index < 4; index += 1) stage.call('failure', 0);
    await stage.last.answer(CLOSED);
    expect(stage.decided().kind).toBe('refused');
    expect(callsOf(stage.last.report)).toEqual([[3, 3, 0, 0, 0]]);
  });

  test('begins anew where the fleet has heard of all of it and is closed', async () => {
    const stage = new Stage();
    for (let index = 0; index < 4; index += 1) stage.call('failure', 0);
    await stage.last.answer(CLOSED);
    await stage.last.answer(CLOSED);
    for (let index = 0; index < 3; index += 1) stage.call('failure', 0);
    expect(stage.decided().kind).toBe('admitted');
  });

  test('is not changed by calls that began before it opened and end after', async () => {
    const stage = new Stage({ minimumCalls: 1 });
    const [slow, another] = [stage.begin(), stage.begin()];
    stage.call('failure', 0);
    await stage.last.answer(openFor(5000));
    stage.breaker.record(slow, 'failure');
    stage.pass(5000);
    void stage.ask();
    await stage.last.answer(CLOSED);
    stage.pass(1);
    stage.breaker.record(another, 'failure');
    expect(stage.decided().kind).toBe('admitted');
    expect(stage.told.map(({ report }) => callsOf(report))).toEqual([[[1, 1, 0, 0, 0]], []]);
  });
});

describe('what the fleet answers', () => {
  test.each<[string, BreakerView, unknown]>([
    ['closed', CLOSED, { kind: 'admitted', beganAt: BEGIN }],
    ['open', openFor(7000), refused('open', 7000)],
    ['half-open', { ...openFor(3000), kind: 'halfOpen' }, refused('open', 3000)],
    [
      'isolated',
      { kind: 'isolated', retryAfter: 10_000, pacedFor: 0, why: { by: 'hand', note: 'n' } },
      refused('isolated', 10_000),
    ],
    ['paced', { ...CLOSED, pacedFor: 2000 }, refused('paced', 2000)],
  ])('holds for the next call: %s', async (_name, view, expected) => {
    const stage = new Stage();
    void stage.ask();
    await stage.last.answer(view);
    expect(stage.decided()).toEqual(expected);
  });

  test.each<[string, BreakerView, unknown]>([
    ['closed', CLOSED, { kind: 'admitted', beganAt: BEGIN }],
    ['open', openFor(7000), refused('open', 7000)],
    ['open no longer', openFor(0), refused('open', 1000)],
    ['half-open', { ...openFor(3000), kind: 'halfOpen' }, refused('halfOpen', 3000)],
    ['paced', { ...CLOSED, pacedFor: 2000 }, refused('paced', 2000)],
    ['open and paced', { ...openFor(3000), pacedFor: 9000 }, refused('open', 9000)],
  ])('holds for the call that asked: %s', async (_name, view, expected) => {
    const stage = new Stage();
    const asked = stage.ask();
    await stage.last.answer(view);
    expect(await asked).toEqual(expected);
  });

  test('sends nobody away for less than a second, or the cooldown where that is shorter', async () => {
    const stage = new Stage({ cooldown: 200 });
    const asked = stage.ask();
    await stage.last.answer(openFor(0));
    expect(await asked).toEqual(refused('open', 200));
  });

  test('holds for as long as it says; then a call asks', async () => {
    const stage = new Stage();
    void stage.ask();
    await stage.last.answer(openFor(7000));
    stage.pass(6999);
    expect(stage.decided()).toEqual(refused('open', 1));
    stage.pass(1);
    const asked = stage.ask(false);
    await stage.last.answer(CLOSED);
    expect((await asked).kind).toBe('admitted');
  });

  test('counts for a call that has waited, though the worker takes it for closed or for open', async () => {
    const stage = new Stage();
    const first = stage.ask();
    await stage.last.answer(openFor(60_000));
    expect((await first).kind).toBe('refused');
    const second = stage.ask();
    await stage.last.answer(CLOSED);
    expect((await second).kind).toBe('admitted');
  });

  test('is asked for by all that came meanwhile at once', async () => {
    const stage = new Stage();
    const asked = [stage.ask(), stage.ask(), stage.ask()];
    expect(stage.told.map(({ report }) => report.wanted)).toEqual([1]);
    await stage.last.answer(openFor(1000));
    expect(stage.told.map(({ report }) => report.wanted)).toEqual([1, 2]);
    await stage.last.answer(openFor(2000));
    expect(await Promise.all(asked)).toEqual([1000, 2000, 2000].map((wait) => refused('open', wait)));
  });

  test.each([
    [300, 100],
    [3000, 300],
    [20_000, 2000],
    [100_000, 5000],
  ])('is a wait of %i ms and up to %i ms more', async (wait, jitter) => {
    const stage = new Stage();
    void stage.ask();
    await stage.last.answer(openFor(wait));
    expect(stage.decided()).toEqual(refused('open', wait));
    stage.random = 1;
    expect(stage.decided()).toEqual(refused('open', wait + jitter));
  });
});

describe('where somebody has heard that it is not closed', () => {
  test('the next call asks, and the answer holds', async () => {
    const stage = new Stage();
    stage.breaker.suspect();
    const asked = stage.ask(false);
    await stage.last.answer(CLOSED);
    expect((await asked).kind).toBe('admitted');
    expect(stage.decided().kind).toBe('admitted');
    expect(stage.told).toHaveLength(1);
  });

  test('nobody asks where it knows that already', async () => {
    const stage = new Stage();
    void stage.ask();
    await stage.last.answer(openFor(7000));
    stage.breaker.suspect();
    expect(stage.decided()).toEqual(refused('open', 7000));
  });

  test('a call goes where there is no answer', async () => {
    const stage = new Stage();
    stage.breaker.suspect();
    const asked = stage.ask(false);
    await stage.last.fail();
    expect((await asked).kind).toBe('admitted');
    expect(stage.decided().kind).toBe('admitted');
  });
});

describe('a pause that the provider asks for', () => {
  test('is told at once, and holds for the calls of this worker meanwhile', () => {
    const stage = new Stage();
    stage.breaker.record(stage.begin(), { paced: 3000 });
    expect(stage.last.report).toMatchObject({ pacedFor: 3000, calls: [] });
    stage.pass(1000);
    expect(stage.decided()).toEqual(refused('paced', 2000));
    stage.pass(2000);
    expect(stage.decided().kind).toBe('admitted');
  });

  test('that came while a report was under way outlives the answer, and is told next', async () => {
    const stage = new Stage();
    const another = stage.begin();
    stage.call('failure', 0);
    stage.breaker.record(another, { paced: 3000 });
    await stage.last.answer(CLOSED);
    expect(stage.decided()).toEqual(refused('paced', 3000));
    expect(stage.last.report.pacedFor).toBe(3000);
  });

  test('is told for as long as it still is where it was not answered', async () => {
    const stage = new Stage();
    stage.breaker.record(stage.begin(), { paced: 3000 });
    await stage.last.fail();
    stage.pass(1000);
    expect(stage.last.report.pacedFor).toBe(2000);
    await stage.last.fail();
    stage.pass(2000);
    expect(stage.last.report.pacedFor).toBe(0);
  });

  test('is over where the fleet says so', async () => {
    const stage = new Stage();
    stage.breaker.record(stage.begin(), { paced: 3000 });
    await stage.last.answer(CLOSED);
    expect(stage.decided().kind).toBe('admitted');
  });
});

describe('a probe of the fleet', () => {
  const granted = async (stage: Stage): Promise<Admission & { kind: 'admitted' }> => {
    const asked = stage.ask();
    await stage.last.answer({ ...openFor(4000), kind: 'halfOpen' }, ['3']);
    return admitted(await asked);
  };

  test('is told of as long as it is out', async () => {
    const stage = new Stage();
    const probe = await granted(stage);
    void stage.ask();
    expect(stage.last.report.holds).toEqual({ worker: 'w', turn: 2, permits: ['3'] });
    await stage.last.answer(openFor(4000));
    stage.breaker.record(probe, 'success');
    expect(stage.last.report).toMatchObject({ holds: { turn: 3, permits: [] }, probes: [{ permit: '3' }] });
  });

  test('goes to the calls that asked first; the others wait', async () => {
    const stage = new Stage();
    void stage.ask();
    const [first, second] = [stage.ask(), stage.ask()];
    await stage.last.answer(openFor(4000));
    await stage.last.answer({ ...openFor(4000), kind: 'halfOpen' }, ['3']);
    expect(await first).toEqual({ kind: 'admitted', beganAt: BEGIN, probe: { permit: '3', own: false } });
    expect(await second).toEqual(refused('halfOpen', 4000));
  });

  test.each([
    ['success', 10, { failed: false, slow: false }],
    ['success', 1001, { failed: false, slow: true }],
    ['failure', 10, { failed: true, slow: false }],
    ['ignored', 10, 'ignored'],
    ['final', 10, 'ignored'],
  ] as const)(
    'that ends as %s after %i ms is told at once, and counts for no window',
    async (end, time, told) => {
      const stage = new Stage();
      const probe = await granted(stage);
      stage.pass(time);
      stage.breaker.record(probe, end);
      expect(stage.last.report).toMatchObject({ calls: [], probes: [{ permit: '3', end: told }] });
    },
  );

  test('that is sent away by its provider is ignored, and the pause is told', async () => {
    const stage = new Stage();
    stage.breaker.record(await granted(stage), { paced: 2000 });
    expect(stage.last.report).toMatchObject({ pacedFor: 2000, probes: [{ permit: '3', end: 'ignored' }] });
  });

  test('that failed waits for what the fleet then says', async () => {
    const stage = new Stage();
    const probe = await granted(stage);
    stage.breaker.record(probe, 'failure');
    const after = stage.breaker.afterProbe();
    await stage.last.answer(openFor(20_000));
    expect(await after).toEqual(refused('open', 20_000));
  });

  test('that failed waits for its own report, where another was under way', async () => {
    const stage = new Stage();
    const probe = await granted(stage);
    void stage.ask();
    stage.breaker.record(probe, 'failure');
    const after = stage.breaker.afterProbe();
    await stage.last.answer({ ...openFor(4000), kind: 'halfOpen' });
    await stage.last.answer(openFor(20_000));
    expect(await after).toEqual(refused('open', 20_000));
  });

  test('that failed comes back soon where the fleet has closed, and spends no attempt either', async () => {
    const stage = new Stage();
    stage.breaker.record(await granted(stage), 'failure');
    const after = stage.breaker.afterProbe();
    await stage.last.answer(CLOSED);
    expect(await after).toEqual(refused('failing', 1000));
  });
});

describe('where the fleet does not answer', () => {
  test('calls go while its own window is closed', async () => {
    const stage = new Stage();
    const asked = stage.ask();
    await stage.last.fail();
    expect((await asked).kind).toBe('admitted');
  });

  test('its own breaker refuses for the cooldown', async () => {
    const stage = new Stage();
    await stage.openAlone();
    stage.pass(999);
    expect(stage.decided()).toEqual(refused('open', 9001));
  });

  test.each([1, 2])('calls that have waited become probes, at most %i at once', async (probes) => {
    const stage = new Stage({ probes });
    await stage.openAlone();
    void stage.ask();
    const asked = [stage.ask(), stage.ask(), stage.ask()];
    await stage.last.fail();
    await stage.last.fail();
    const out = (await Promise.all(asked)).filter(({ kind }) => kind === 'admitted');
    expect(out).toHaveLength(probes - 1);
  });

  test('a call that has not waited becomes a probe only after the cooldown', async () => {
    const stage = new Stage();
    await stage.openAlone();
    stage.pass(9999);
    await stage.last.fail();
    expect(stage.decided()).toEqual(refused('open', 1));
    stage.pass(1);
    const asked = stage.ask(false);
    await stage.last.fail();
    expect(await asked).toMatchObject({ kind: 'admitted', probe: { own: true } });
  });

  test.each([
    ['success', { kind: 'admitted' }],
    ['failure', refused('open', 20_000)],
  ] as const)('its probe that ends as %s decides', async (end, expected) => {
    const stage = new Stage();
    await stage.openAlone();
    const asked = stage.ask();
    await stage.last.fail();
    const { length } = stage.told;
    stage.breaker.record(admitted(await asked), end);
    expect(stage.decided()).toMatchObject(expected as object);
    expect(stage.told).toHaveLength(length);
  });

  test('its probe that says nothing gives the permit back', async () => {
    const stage = new Stage();
    await stage.openAlone();
    const first = stage.ask();
    await stage.last.fail();
    const second = stage.ask();
    await stage.last.fail();
    expect((await second).kind).toBe('refused');
    stage.breaker.record(admitted(await first), 'ignored');
    const third = stage.ask();
    await stage.last.fail();
    expect(await third).toMatchObject({ kind: 'admitted', probe: { own: true } });
  });

  test('its probe that ends after the fleet is heard again changes nothing', async () => {
    const stage = new Stage();
    await stage.openAlone();
    const asked = stage.ask();
    await stage.last.fail();
    void stage.ask();
    await stage.last.answer(openFor(5000));
    const { length } = stage.told;
    stage.breaker.record(admitted(await asked), 'success');
    expect(stage.decided()).toEqual(refused('open', 5000));
    expect(stage.told).toHaveLength(length);
  });

  test('nobody probes what a person has isolated', async () => {
    const stage = new Stage();
    void stage.ask();
    await stage.last.answer({ kind: 'isolated', retryAfter: 10_000, pacedFor: 0 });
    const asked = stage.ask();
    await stage.last.fail();
    expect(await asked).toMatchObject({ kind: 'refused', why: 'isolated' });
  });

  test('a call that has waited goes though the pause that it waited for is not over by this clock', async () => {
    const stage = new Stage();
    stage.breaker.record(stage.begin(), { paced: 3000 });
    await stage.last.fail();
    const asked = stage.ask();
    await stage.last.fail();
    expect((await asked).kind).toBe('admitted');
  });

  test('what the fleet says later holds', async () => {
    const stage = new Stage();
    await stage.openAlone();
    stage.pass(1000);
    await stage.last.answer(CLOSED);
    expect(stage.decided().kind).toBe('admitted');
  });
});
