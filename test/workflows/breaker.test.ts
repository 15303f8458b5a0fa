// Cooldowns of hours, on the server whose clock skips waits: workflow time moves, and a worker's clock does not.
import { TestCadre } from '../../src/testing/test-cadre';
import type { TaskHandle } from '../../src/client/task-handle';
import type { TaskEventType } from '../../src/core/task-events';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { agent } from '../support/agents';

/** Down for so many calls. */
const provider = { downFor: 0, calls: 0, attempts: [] as number[], paceFor: 0 };
const HOUR = 60 * 60 * 1000;

function call(attempt: number): void {
  provider.calls += 1;
  provider.attempts.push(attempt);
  if (provider.paceFor > 0) {
    const headers = { 'retry-after': String(provider.paceFor) };
    provider.paceFor = 0;
    throw Object.assign(new Error('slow down'), { status: 429, headers });
  }
  if (provider.calls <= provider.downFor) throw Object.assign(new Error('overloaded'), { status: 503 });
}

const breaker = {
  window: { calls: 10 },
  minimumCalls: 2,
  cooldown: '2 hours',
  cooldownMax: '5 hours',
} as const;

let cadre: TestCadre;
beforeAll(async () => {
  cadre = await TestCadre.create({
    agents: [
      agent(
        'ask',
        (_input, { attempt }) => {
          call(attempt);
          return 'answered';
        },
        { policy: { breaker, retry: { maximumAttempts: 3 } } },
      ),
      agent(
        'planner',
        (_input, { attempt }) => {
          call(attempt);
          return { steps: [{ id: 'one', agent: 'ask', instruction: 'ask' }] };
        },
        { policy: { breaker: { ...breaker, minimumCalls: 1 } } },
      ),
    ],
  });
}, 120_000);
afterAll(() => cadre.close());

beforeEach(() => Object.assign(provider, { downFor: 0, paceFor: 0, calls: 0, attempts: [] }));

async function eventsOf<Type extends TaskEventType>(
  task: TaskHandle,
  type: Type,
): Promise<(LoggedTaskEvent & { type: Type })[]> {
  const found: (LoggedTaskEvent & { type: Type })[] = [];
  for await (const event of task.events()) {
    if (event.type === type) found.push(event as LoggedTaskEvent & { type: Type });
  }
  return found;
}

const ask = { goal: 'ask', plan: { steps: [{ id: 'one', agent: 'ask', instruction: 'ask' }] } };

test('a step waits out cooldowns of hours, which grow while probes fail, and spends no attempt', async () => {
  provider.downFor = 5;
  const { task, outputs } = await cadre.run(ask);
  expect(outputs).toEqual({ one: 'answered' });
  // Two failures open it; three probes fail, of a policy with three attempts.
  expect(provider.attempts).toEqual([1, 2, 3, 3, 3, 3]);
  const refusals = await eventsOf(task, 'stepRefused');
  const hours = refusals.map(({ retryAfter }) => Math.floor(retryAfter / HOUR));
  // Before the fleet has said how long, a refusal is for a second.
  expect(hours.filter((one) => one > 0)).toEqual([2, 4, 5, 5]);
  const ended = await eventsOf(task, 'taskCompleted');
  const [began] = await eventsOf(task, 'taskStarted');
  expect(ended[0]?.time).toBeGreaterThan((began?.time ?? 0) + 16 * HOUR);
}, 60_000);

test('a pause of hours that the provider asks for is kept to', async () => {
  provider.paceFor = 7200;
  const { task } = await cadre.run(ask);
  expect(await eventsOf(task, 'stepRefused')).toMatchObject([{ why: 'paced', attemptsUsed: 0 }]);
  expect(provider.attempts).toEqual([1, 1]);
}, 60_000);

test('the leader waits for the breaker of its planner, as often as it takes', async () => {
  provider.downFor = 4;
  const { task, outputs } = await cadre.run({ goal: 'plan it' });
  expect(outputs).toEqual({ one: 'answered' });
  const returned = await eventsOf(task, 'leaderWorkReturned');
  expect(returned.map(({ why }) => why)).toEqual(Array.from({ length: 4 }, () => 'refused'));
  expect(await eventsOf(task, 'planFailed')).toHaveLength(1);
}, 60_000);
