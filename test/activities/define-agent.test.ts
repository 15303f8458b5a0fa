import { z } from 'zod';
import { type AgentDefinition, type AgentPolicy, defineAgent } from '../../src/activities/define-agent';
import { createActivities } from '../../src/activities/create-activities';
import { CadreError } from '../../src/core/failures';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { MemoryLedger } from '../../src/storage/memory-ledger';
import { RESERVED_ACTIVITIES } from '../../src/core/names';
import { agent } from '../support/agents';

const valid: AgentDefinition<unknown, unknown> = {
  name: 'weather',
  description: 'tells the weather',
  input: z.unknown(),
  output: z.unknown(),
  act: () => null,
};

function refusal(change: Record<string, unknown>): CadreError {
  try {
    defineAgent({ ...valid, ...change });
  } catch (error) {
    expect(error).toBeInstanceOf(CadreError);
    return error as CadreError;
  }
  throw new Error('It was not refused');
}

test('the defaults of a policy', () => {
  expect(defineAgent(valid).resolvedPolicy).toEqual({
    startToClose: 120_000,
    heartbeatTimeout: 5000,
    retry: { maximumAttempts: 3, initialInterval: 1000, backoffCoefficient: 2, maximumInterval: 30_000 },
    local: false,
  });
});

test('durations are milliseconds or texts, and Infinity attempts stand as 0', () => {
  const policy: AgentPolicy = {
    startToClose: '1 hour',
    heartbeatTimeout: 500,
    scheduleToClose: '2 days',
    retry: { maximumAttempts: Infinity, initialInterval: '1 minute', backoffCoefficient: 1.5 },
    local: true,
  };
  expect(defineAgent({ ...valid, policy, pool: 'gpu' }).resolvedPolicy).toEqual({
    startToClose: 3_600_000,
    heartbeatTimeout: 500,
    scheduleToClose: 172_800_000,
    retry: { maximumAttempts: 0, initialInterval: 60_000, backoffCoefficient: 1.5, maximumInterval: 60_000 },
    local: true,
    pool: 'gpu',
  });
});

const DAY = 86_400_000;
test.each<[string, number, number, number]>([
  ['startToClose', 1, 30 * DAY, 1],
  ['heartbeatTimeout', 500, 3_600_000, 1],
  ['scheduleToClose', 1, 3650 * DAY, 1],
  ['retry.maximumAttempts', 1, 1000, 1],
  ['retry.initialInterval', 1, DAY, 1],
  ['retry.backoffCoefficient', 1, 10, 0.1],
  ['retry.maximumInterval', 1000, 30 * DAY, 1],
])('policy.%s is from %d to %d', (field, minimum, maximum, unit) => {
  const policy = (value: unknown): AgentPolicy => {
    const [group, name] = field.split('.');
    return name === undefined ? { [field]: value } : { [group ?? '']: { [name]: value } };
  };
  for (const value of [minimum, maximum]) defineAgent({ ...valid, policy: policy(value) });
  const outside = [minimum - unit, maximum + unit, Number.NaN, -1];
  for (const value of outside) {
    const { type, message } = refusal({ policy: policy(value) });
    expect(type).toBe('PolicyInvalid');
    expect(message).toContain(`\`policy.${field}\` of agent "weather"`);
    expect(message).toContain(Number.isNaN(value) ? 'got' : `from ${minimum} to ${maximum}, got ${value}`);
  }
});

test.each(['startToClose', 'heartbeatTimeout', 'scheduleToClose'])(
  'policy.%s must be a duration',
  (field) => {
    for (const value of ['soon', '', '5 parsecs', null, {}, Infinity]) {
      const { type, message } = refusal({ policy: { [field]: value } });
      expect(type).toBe('PolicyInvalid');
      expect(message).toContain(`policy.${field}`);
    }
  },
);

test.each<[string, unknown]>([
  ['maximumAttempts', 2.5],
  ['maximumAttempts', '3'],
  ['maximumAttempts', 0],
  ['backoffCoefficient', '2'],
])('policy.retry.%s refuses %j', (field, value) => {
  expect(refusal({ policy: { retry: { [field]: value } } })).toMatchObject({ type: 'PolicyInvalid' });
});

test('a field of the policy that there is not is refused: a typing error would go unseen', () => {
  expect(refusal({ policy: { heartbeat: '5s' } })).toMatchObject({
    type: 'PolicyInvalid',
    message: expect.stringContaining('heartbeat') as string,
  });
  expect(refusal({ policy: { retry: { attempts: 5 } } })).toMatchObject({
    type: 'PolicyInvalid',
    message: expect.stringContaining('attempts') as string,
  });
});

test.each<[Record<string, unknown>, string, RegExp]>([
  [{ name: 'Weather' }, 'NameInvalid', /agent name .* got "Weather"/],
  [{ name: '' }, 'NameInvalid', /got ""/],
  [{ name: undefined }, 'NameInvalid', /agent name/],
  [{ name: 'a'.repeat(64) }, 'NameInvalid', /agent name/],
  [{ name: '__proto__' }, 'NameInvalid', /agent name/],
  ...RESERVED_ACTIVITIES.map((name): [Record<string, unknown>, string, RegExp] => [
    { name },
    'NameInvalid',
    new RegExp(`"${name}" names an activity of Cadre's own`),
  ]),
  [{ pool: 'a.b' }, 'NameInvalid', /pool name/],
  [{ pool: 'main' }, 'NameInvalid', /"main"/],
  [{ input: undefined }, 'ConfigInvalid', /`input` of agent "weather".*Standard Schema/],
  [{ output: { parse: () => null } }, 'ConfigInvalid', /`output` of agent "weather"/],
  [{ act: undefined }, 'ConfigInvalid', /`act` of agent "weather"/],
])('%j is refused', (change, type, message) => {
  expect(refusal(change)).toMatchObject({ type, message: expect.stringMatching(message) as string });
});

test('two agents of one name are refused', () => {
  const stores = { artifacts: new FileArtifactStore('/nowhere'), ledger: new MemoryLedger() };
  const twice = [agent('echo', () => 1), agent('echo', () => 2)];
  expect(() => createActivities({ ...stores, agents: twice })).toThrow('Two agents are named "echo"');
});

test('agents may be named after what every object has', () => {
  const stores = { artifacts: new FileArtifactStore('/nowhere'), ledger: new MemoryLedger() };
  const agents = [agent('constructor', () => 1), agent('then', () => 2)];
  expect(Object.keys(createActivities({ ...stores, agents }))).toEqual([
    'default',
    'pin',
    'load',
    'constructor',
    'then',
  ]);
});
