// Pure: which replica remembers a task, and whether it has room.
import { Memory } from '../../../src/activities/knowledge/memory';
import { memberFor } from '../../../src/core/agent/members';
import { OPERATION_OVERHEAD_BYTES, REPLICA_MAXIMUM_BYTES } from '../../../src/core/agent/agent-state';
import { jsonBytes } from '../../../src/core/json';
import { agent } from '../../support/agents';
import { NotingReplicas } from './replicas';

const research = agent('research', () => null);
const add = [{ type: 'orSet', name: 'facts', add: 'yes' }] as const;
const removal = [{ type: 'orSet', name: 'facts', remove: '"yes"', dots: [] }] as const;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

/** What was asked is answered. */
async function answered(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function memoryOf(bytes: number | undefined): { memory: Memory; replicas: NotingReplicas } {
  const replicas = new NotingReplicas();
  replicas.bytes = bytes;
  return { memory: new Memory(replicas), replicas };
}

describe('the replica of a task', () => {
  test('is the agent itself where it has one', () => {
    expect(memberFor(research, 'order-42/run')).toBe('research');
  });

  test('is always the same of several, and all are chosen', () => {
    const of = { name: 'research', replicas: 4 };
    const roots = Array.from({ length: 400 }, (_none, index) => `task-${index}/run`);
    const counts = new Map<string, number>();
    for (const root of roots) {
      expect(memberFor(of, root)).toBe(memberFor(of, root));
      counts.set(memberFor(of, root), (counts.get(memberFor(of, root)) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(['research', 'research.1', 'research.2', 'research.3']);
    expect(Math.min(...counts.values())).toBeGreaterThan(50);
  });

  test('is the one that an attempt reads', async () => {
    const { memory, replicas } = memoryOf(0);
    await memory.learning(research, 'order-42/run').knowledge.set('facts').values();
    expect(replicas.asked).toEqual(['research']);
  });
});

describe('room', () => {
  /** What `add` makes a replica grow by at most. */
  const growth = jsonBytes(add[0]) + OPERATION_OVERHEAD_BYTES;
  const full = REPLICA_MAXIMUM_BYTES - growth + 1;

  test('is not there where the replica is too full for what is written, also at the first look', async () => {
    await expect(memoryOf(full).memory.checkRoom(research, 'a/run', add)).rejects.toMatchObject({
      type: 'KnowledgeFull',
      message: `The replica "research" has ${full} bytes of at most 1048576, and no room for ${growth} more: remove something first`,
    });
    await expect(memoryOf(full - 1).memory.checkRoom(research, 'a/run', add)).resolves.toBeUndefined();
  });

  test('is there again as soon as something was removed', async () => {
    const { memory, replicas } = memoryOf(full);
    await expect(memory.checkRoom(research, 'a/run', add)).rejects.toThrow('no room');
    replicas.bytes = full - 1;
    await expect(memory.checkRoom(research, 'a/run', add)).resolves.toBeUndefined();
  });

  test('is there for removals, which ask nobody, and for nothing at all', async () => {
    const { memory, replicas } = memoryOf(full);
    await memory.checkRoom(research, 'a/run', removal);
    await memory.checkRoom(research, 'a/run', []);
    expect(replicas.asked).toEqual([]);
  });

  test('of a small replica is looked at every 10 s, and keeps nobody waiting; of a large one each time', async () => {
    const { memory, replicas } = memoryOf(REPLICA_MAXIMUM_BYTES / 2 - 1);
    await memory.checkRoom(research, 'a/run', add);
    await memory.checkRoom(research, 'b/run', add);
    expect(replicas.asked).toHaveLength(1);
    replicas.bytes = full;
    jest.setSystemTime(Date.now() + 10_001);
    await expect(memory.checkRoom(research, 'a/run', add)).resolves.toBeUndefined();
    await answered();
    expect(replicas.asked).toHaveLength(2);
    await expect(memory.checkRoom(research, 'a/run', add)).rejects.toThrow('no room');
    await expect(memory.checkRoom(research, 'a/run', add)).rejects.toThrow('no room');
    expect(replicas.asked).toHaveLength(4);
  });

  test('is there where the replica is not, or nobody answers', async () => {
    for (const fails of [undefined, new Error('nobody')]) {
      const { memory, replicas } = memoryOf(undefined);
      replicas.fails = fails;
      await expect(memory.checkRoom(research, 'a/run', add)).resolves.toBeUndefined();
      expect(replicas.asked).toHaveLength(1);
    }
  });
});
