// Pure: what cannot be seen on a real server, where all that is accepted is answered. There: test/server/log/fleet-breakers.test.ts.
import { BreakerProjection } from '../../../src/core/breaker/breaker-projection';
import { BREAKER_DEFAULTS } from '../../../src/core/breaker/settings';
import type { HistoryFact } from '../../../src/core/history-facts';

type Body = HistoryFact extends infer Fact
  ? Fact extends HistoryFact
    ? Omit<Fact, 'eventId' | 'time' | 'runId'>
    : never
  : never;

const { cooldown } = BREAKER_DEFAULTS;
const started: Body = {
  kind: 'workflowStarted',
  workflowId: 'cadre.breaker.model',
  firstRunId: 'run',
  input: { key: 'model' },
};
const tripped: Body = { kind: 'updateAccepted', name: 'operate', input: [{ how: 'trip', note: 'why' }] };
const taskStarted: Body = { kind: 'workflowTaskStarted' };
const answered = (acceptedEventId: number, until: number): Body => ({
  kind: 'updateCompleted',
  acceptedEventId,
  result: { phase: { kind: 'open', until } },
});

/** A projection of these facts, a millisecond apart, from event 1 at the time 1. */
function projected(...bodies: readonly Body[]): BreakerProjection {
  const projection = new BreakerProjection();
  for (const [index, body] of bodies.entries()) {
    projection.next({ ...body, eventId: index + 1, time: index + 1, runId: 'run' });
  }
  return projection;
}

test('before the first fact there is nothing', () => {
  expect(projected().keyed).toBeUndefined();
});

test('it is open until the time that the answer says', () => {
  const { keyed } = projected(started, taskStarted, tripped, answered(3, 2 + cooldown + 1234.5));
  expect(keyed?.state.phase).toMatchObject({ kind: 'open', since: 2, until: 2 + cooldown + 1234.5 });
});

test('what has no answer yet is in the state, with the least that is sure', () => {
  const { keyed } = projected(started, taskStarted, tripped);
  expect(keyed?.state.phase).toMatchObject({ kind: 'open', since: 2, until: 2 + cooldown });
});

test('what never gets an answer that can be read stays in the state', () => {
  const { keyed } = projected(started, taskStarted, tripped, taskStarted, {
    kind: 'updateCompleted',
    acceptedEventId: 3,
    result: undefined,
  });
  expect(keyed?.state.phase).toMatchObject({ kind: 'open', since: 2, until: 2 + cooldown });
});

test('where only the answer to a later one can be read, all that came before it is in the state', () => {
  const configured: Body = {
    kind: 'updateAccepted',
    name: 'operate',
    input: [{ how: 'reset', settings: { ...BREAKER_DEFAULTS, probes: 7 } }],
  };
  const { keyed } = projected(started, taskStarted, configured, tripped, answered(4, 9));
  expect(keyed?.state.settings.probes).toBe(7);
});

test.each<[string, readonly unknown[]]>([
  ['cannot be decoded', []],
  ['is no command', [{ how: 'forget' }]],
])('an update whose input %s changes nothing', (_what, input) => {
  const before = projected(started, taskStarted).keyed;
  const update: Body = { kind: 'updateAccepted', name: 'operate', input };
  expect(projected(started, taskStarted, update).keyed).toEqual(before);
});

test('it has ended once its workflow has, and not where it goes on in a new run', () => {
  expect(projected(started, { kind: 'workflowCompleted' }).hasEnded).toBe(true);
  expect(projected(started, { kind: 'continuedAsNew', newRunId: 'next' }).hasEnded).toBe(false);
});

test('a history that is no breaker has no state, and says so', () => {
  expect(() => projected({ ...started, input: { goal: 'a goal' } })).toThrow(/breaker/);
});
