// Steps wait for breakers in sagas whose histories grow so long that they continue as new, on a real server.
import type { AgentContext } from '../../../src/activities/agent-context';
import type { TaskHandle } from '../../../src/client/task-handle';
import type { SagaInput } from '../../../src/core/saga-input';
import type { TaskEventType } from '../../../src/core/task-events';
import type { LoggedTaskEvent } from '../../../src/core/task-projection';
import type { TaskState } from '../../../src/core/task-state';
import { agent } from '../../support/agents';
import { until } from '../../support/cli';
import { type ServerCadre, startServerCadre } from '../../support/server-cadre';

class Provider {
  down = true;
  readonly attempts: { attempt: number; checkpoint: unknown }[] = [];

  readonly act = (_input: unknown, { attempt, lastCheckpoint, checkpoint }: AgentContext): string => {
    this.attempts.push({ attempt, checkpoint: lastCheckpoint });
    checkpoint({ reached: this.attempts.length });
    if (this.down) throw Object.assign(new Error('overloaded'), { status: 529 });
    return 'answered';
  };
}

const HOUR = 60 * 60 * 1000;
const opensAtOnce = (key: string, cooldown: number) => ({
  breaker: { key, window: { calls: 4 }, minimumCalls: 1, cooldown, cooldownMax: Math.max(cooldown, 2000) },
  retry: { initialInterval: 20, maximumAttempts: 3 },
});
const doing = (id: string, name: string, more: object = {}): object => ({
  id,
  agent: name,
  instruction: `do ${id}`,
  ...more,
});

async function ofType<Type extends TaskEventType>(
  of: TaskHandle,
  type: Type,
): Promise<(LoggedTaskEvent & { type: Type })[]> {
  const found: (LoggedTaskEvent & { type: Type })[] = [];
  for await (const event of of.events()) {
    if (event.type === type) found.push(event as LoggedTaskEvent & { type: Type });
  }
  return found;
}

let long: ServerCadre;
const all: Provider[] = Array.from({ length: 20 }, () => new Provider());
const stalled = new Provider();
const slow = new Provider();
beforeAll(async () => {
  long = await startServerCadre(
    [
      ...all.map(({ act }, index) => agent(`of-${index}`, act, { policy: opensAtOnce(`of-${index}`, 1500) })),
      agent('stalled', stalled.act, { policy: opensAtOnce('stalled', HOUR) }),
      agent('slowly', slow.act, { policy: opensAtOnce('slowly', 4000) }),
      agent('does', () => 'done'),
    ],
    { settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: 100 }] },
  );
}, 60_000);
afterAll(() => long.close());

const chain = (length: number): object[] =>
  Array.from({ length }, (_, index) =>
    doing(`c${index}`, 'does', { needs: index === 0 ? [] : [`c${index - 1}`] }),
  );
const start = (steps: readonly object[]): Promise<TaskHandle> =>
  long.client.startSaga({ name: 'long', steps: steps as SagaInput['steps'] });

test('loses neither attempts nor checkpoints over its runs', async () => {
  const waiting = await start([
    ...all.map((_, index) => doing(`w${index}`, `of-${index}`, { needs: [] })),
    ...chain(10),
  ]);
  await until(async () => (await ofType(waiting, 'continuedAsNew')).length > 0);
  for (const one of all) one.down = false;
  await waiting.result();
  for (const { attempts } of all) {
    expect(attempts.map(({ attempt }) => attempt)).toEqual([1, ...attempts.slice(1).map(() => 2)]);
    expect(attempts.map(({ checkpoint }) => checkpoint)).toEqual([
      undefined,
      ...attempts.slice(1).map((_, index) => ({ reached: index + 1 })),
    ]);
  }
  const { state } = await long.client.temporal.workflow
    .getHandle(waiting.id)
    .query<{ state: TaskState }>('state');
  expect((await waiting.describe()).state).toEqual(state);
});

test('goes on with other steps while one waits', async () => {
  const waiting = await start([doing('w', 'stalled', { needs: [] }), ...chain(60)]);
  const others = async (): Promise<number> => (await ofType(waiting, 'stepCompleted')).length;
  await until(async () => (await others()) === 60, 10_000);
  expect(await ofType(waiting, 'continuedAsNew')).not.toEqual([]);
  await waiting.cancel();
  await waiting.result().catch(() => undefined);
});

test('waits for a breaker once a refusal', async () => {
  const waiting = await start([doing('w', 'slowly', { needs: [] }), ...chain(60)]);
  await until(async () => (await ofType(waiting, 'continuedAsNew')).length > 0);
  slow.down = false;
  await waiting.result();
  const [refused] = await ofType(waiting, 'stepRefused');
  const took = (await ofType(waiting, 'stepCompleted')).findLast(({ step }) => step === 'w')?.time ?? 0;
  // By more than a cooldown and its jitter it would have waited twice.
  expect(took - (refused?.time ?? 0)).toBeLessThan(7000);
});
