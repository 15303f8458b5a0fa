// Pure: which replica remembers a task, and whether it has room.
import { Memory } from '../../../src/activities/knowledge/memory';
import { memberFor } from '../../../src/core/agent/members';
import { REPLICA_MAXIMUM_BYTES } from '../../../src/core/agent/agent-state';
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
  const full = REPLICA_MAXIMUM_BYTES - 32 * 1024;

  test('is taken to be there until the size is known', () => {
    expect(() => memoryOf(full).memory.checkRoom(research, 'a/run', add)).not.toThrow();
  });

  test('is not there where the replica is known to be full', async () => {
    const { memory } = memoryOf(full);
    memory.checkRoom(research, 'a/run', add);
    await answered();
    expect(() => memory.checkRoom(research, 'a/run', add)).toThrow(
      expect.objectContaining({
        type: 'KnowledgeFull',
        message: `The replica "research" has ${full} bytes of at most 1048576: it takes only removals`,
      }),
    );
  });

  test('is there just below', async () => {
    const { memory } = memoryOf(full - 1);
    memory.checkRoom(research, 'a/run', add);
    await answered();
    expect(() => memory.checkRoom(research, 'a/run', add)).not.toThrow();
  });

  test('is there for removals, which ask nobody, and for nothing at all', async () => {
    const { memory, replicas } = memoryOf(full);
    memory.checkRoom(research, 'a/run', removal);
    memory.checkRoom(research, 'a/run', []);
    expect(replicas.asked).toEqual([]);
    memory.checkRoom(research, 'a/run', add);
    await answered();
    expect(() => memory.checkRoom(research, 'a/run', removal)).not.toThrow();
  });

  test('is looked at every 10 s, whoever asks', async () => {
    const { memory, replicas } = memoryOf(full);
    memory.checkRoom(research, 'a/run', add);
    memory.checkRoom(research, 'b/run', add);
    await answered();
    expect(replicas.asked).toHaveLength(1);
    replicas.bytes = 0;
    jest.setSystemTime(Date.now() + 10_001);
    // What was known holds until the answer.
    expect(() => memory.checkRoom(research, 'a/run', add)).toThrow('it takes only removals');
    await answered();
    expect(() => memory.checkRoom(research, 'a/run', add)).not.toThrow();
    expect(replicas.asked).toHaveLength(2);
  });

  test('is there where the replica is not, or nobody answers', async () => {
    for (const fails of [undefined, new Error('nobody')]) {
      const { memory, replicas } = memoryOf(undefined);
      replicas.fails = fails;
      memory.checkRoom(research, 'a/run', add);
      await answered();
      expect(() => memory.checkRoom(research, 'a/run', add)).not.toThrow();
    }
  });
});
