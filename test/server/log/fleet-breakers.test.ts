// A breaker's state is the fold of its history: by what it answers to each update, to its query, and by what each run begins with.
import { TemporalBreakers } from '../../../src/client/breakers';
import { readFacts } from '../../../src/client/history-reader';
import { restoreBreaker, viewOf } from '../../../src/core/breaker/breaker';
import { BreakerProjection } from '../../../src/core/breaker/breaker-projection';
import type { BreakerCommandKind, BreakerReport } from '../../../src/core/breaker/report';
import { BREAKER_DEFAULTS, type BreakerSettings } from '../../../src/core/breaker/settings';
import type { KeyedBreaker } from '../../../src/core/breaker/start';
import type { HistoryFact } from '../../../src/core/history-facts';
import { isRecord } from '../../../src/core/json';
import { OPERATE_UPDATE, REPORT_UPDATE, breakerId } from '../../../src/core/names';
import { breakerQuery } from '../../../src/workflows/messages';
import { agent } from '../../support/agents';
import { Random } from '../../support/random';
import { type ServerCadre, startServerCadre } from '../../support/server-cadre';

const KEY = 'model';
const ROUNDS = 260;
const SETTINGS: readonly BreakerSettings[] = [
  {
    ...BREAKER_DEFAULTS,
    window: { calls: 8 },
    minimumCalls: 3,
    cooldown: 15,
    cooldownMax: 200,
    probes: 2,
    maxProbeTime: 40,
  },
  { ...BREAKER_DEFAULTS, window: { seconds: 5 }, minimumCalls: 2, cooldown: 25, cooldownMax: 25 },
];

let cadre: ServerCadre;
let breakers: TemporalBreakers;
const seed = Date.now() % 100_000;
const random = new Random(seed);
const permits: string[] = [];
/** What it was when it was asked, by the length of the history. */
const asked: KeyedBreaker[] = [];
let facts: HistoryFact[];

beforeAll(async () => {
  cadre = await startServerCadre([agent('caller', () => null, { policy: { breaker: { key: KEY } } })]);
  breakers = new TemporalBreakers(cadre.client.temporal, 'cadre');
  for (let round = 0; round < ROUNDS; round += 1) {
    // Some come together, to be taken in one workflow task.
    await Promise.all(Array.from({ length: random.oneOf([1, 1, 1, 3]) }, tell));
    if (round % 5 === 0) asked.push(await ask());
  }
  facts = [];
  for await (const fact of readFacts(cadre.client.temporal, breakerId('cadre', KEY))) facts.push(fact);
}, 120_000);

afterAll(() => cadre.close());

async function tell(): Promise<void> {
  // A command that does not apply is refused, and leaves no trace; so is a report that comes too late an answer.
  if (random.between(0, 10) < 2) await breakers.command(KEY, command()).catch(() => undefined);
  else permits.push(...(await breakers.report(KEY, report()).catch(() => ({ permits: [] }))).permits);
}

function command(): { how: BreakerCommandKind; note: string } {
  return { how: random.oneOf(['trip', 'reset', 'isolate', 'release', 'release']), note: 'a note' };
}

function report(): BreakerReport {
  const failures = random.oneOf([0, 1, 2]);
  const probed = permits.splice(0, random.oneOf([0, 1, 2]));
  return {
    settings: random.oneOf([SETTINGS[0], SETTINGS[0], SETTINGS[0], SETTINGS[1]] as BreakerSettings[]),
    calls: [{ calls: 2, failures, slow: 0, began: 20, ended: 0 }],
    ...(failures > 0 ? { error: '529 overloaded' } : {}),
    probes: probed.map((permit) => ({
      permit,
      end: random.oneOf(['ignored', { failed: true, slow: false }, { failed: false, slow: false }] as const),
    })),
    ...(random.between(0, 10) < 1 ? { pacedFor: 5 } : {}),
    refused: random.oneOf([0, 3]),
    wanted: random.oneOf([0, 1, 2]),
    holds: { worker: 'w', turn: asked.length, permits },
  };
}

function ask(): Promise<KeyedBreaker> {
  return cadre.client.temporal.workflow.getHandle(breakerId('cadre', KEY)).query(breakerQuery.name);
}

test('at each answer to an update the fold is what was answered', () => {
  const projection = new BreakerProjection();
  const kinds = new Map<string, number>();
  const names = new Map<number, string>();
  let began = 0;
  for (const fact of facts) {
    projection.next(fact);
    if (fact.kind === 'workflowTaskStarted') began = fact.time;
    if (fact.kind === 'updateAccepted') names.set(fact.eventId, fact.name);
    if (fact.kind !== 'updateCompleted' || !isRecord(fact.result)) continue;
    const state = projection.keyed?.state;
    if (state === undefined) throw new Error('Nothing was folded');
    const name = names.get(fact.acceptedEventId) ?? '';
    names.delete(fact.acceptedEventId);
    // Of those that were taken in one workflow task the last answer is the state that the fold has.
    if (names.size > 0) continue;
    if (name === OPERATE_UPDATE) expect([seed, state]).toEqual([seed, fact.result]);
    if (name === REPORT_UPDATE) expect([seed, viewOf(state, began)]).toEqual([seed, fact.result['view']]);
    kinds.set(`${name} ${state.phase.kind}`, (kinds.get(`${name} ${state.phase.kind}`) ?? 0) + 1);
  }
  // All that a breaker can be was there, so that nothing is equal for want of it.
  expect([...kinds.keys()]).toEqual(
    expect.arrayContaining([
      'report closed',
      'report open',
      'report halfOpen',
      'report isolated',
      'operate open',
    ]),
  );
});

test('what each run began with is where the fold of the one before ended', () => {
  const projection = new BreakerProjection();
  let runs = 0;
  for (const fact of facts) {
    const before = projection.keyed;
    projection.next(fact);
    if (fact.kind !== 'workflowStarted' || before === undefined) continue;
    runs += 1;
    expect([seed, projection.keyed]).toEqual([
      seed,
      { key: KEY, state: restoreBreaker(JSON.parse(JSON.stringify(before.state))) },
    ]);
  }
  expect(runs).toBeGreaterThan(0);
});

test('what it says when it is asked is a state of the fold', () => {
  const projection = new BreakerProjection();
  const states = new Set<string>();
  for (const fact of facts) {
    projection.next(fact);
    states.add(JSON.stringify(projection.keyed));
  }
  const unknown = asked.filter((one) => !states.has(JSON.stringify(one)));
  expect([seed, unknown]).toEqual([seed, []]);
  expect(asked.length).toBeGreaterThan(40);
});

test('the fold from the last run on is that from the first', () => {
  const whole = new BreakerProjection();
  for (const fact of facts) whole.next(fact);
  const last = facts.findLastIndex(({ kind }) => kind === 'workflowStarted');
  const fromThere = new BreakerProjection();
  for (const fact of facts.slice(last)) fromThere.next(fact);
  expect(fromThere.keyed).toEqual(whole.keyed);
});
