// The activities by which a task tells its agents, and a replica starts another; with an artifact store in a folder.
import { ApplicationFailure } from '@temporalio/common';
import { ensureAgentActivity, rememberActivity } from '../../../src/activities/knowledge/remember';
import { readRemember } from '../../../src/core/agent/agent-messages';
import { evolveAgent, newAgent, rememberedEvent } from '../../../src/core/agent/agent-state';
import { jsonBytes } from '../../../src/core/json';
import type { RememberRequest, RememberedStep } from '../../../src/core/task-remember';
import { defineAgent } from '../../../src/activities/define-agent';
import { FileArtifactStore } from '../../../src/storage/artifact-store';
import { z } from 'zod';
import { TemporaryFolder } from '../../support/temporary-folder';
import { NotingReplicas } from './replicas';

const MESSAGE_MAXIMUM_BYTES = 256 * 1024;
const research = defineAgent({
  name: 'research',
  description: 'finds',
  input: z.unknown(),
  output: z.unknown(),
  memory: { replicas: 3, maxEntries: 50 },
  act: () => null,
});
const agents = new Map([[research.name, research]]);
const decision = (type: string) => ({ type, rationale: 'because' });
const counted = (by: number) => ({ type: 'gCounter', name: 'n', by }) as const;

const folder = new TemporaryFolder();
afterAll(() => folder.remove());

function stage() {
  const replicas = new NotingReplicas();
  const artifacts = new FileArtifactStore(folder.path);
  return { replicas, artifacts, remember: rememberActivity(agents, artifacts, replicas) };
}

function request(steps: RememberedStep[], agent = 'research'): RememberRequest {
  return { root: 'order-42/run', task: 'order-42', agents: [{ agent, steps }] };
}

describe('remember', () => {
  test('tells the replica of the task all of its steps, in one message', async () => {
    const { replicas, remember } = stage();
    const steps: RememberedStep[] = [
      { step: 'a', decisions: { value: [decision('x')] }, knowledge: { value: [counted(1)] } },
      { step: 'b', knowledge: { value: [counted(2)] } },
      { step: 'c', decisions: { value: [decision('y')] } },
    ];
    await expect(remember(request(steps))).resolves.toEqual({ agents: ['research'] });
    expect(replicas.told).toEqual([
      {
        member: expect.stringMatching(/^research(\.[12])?$/) as string,
        message: {
          version: 1,
          id: 'order-42/run',
          task: 'order-42',
          maxEntries: 50,
          decisions: [
            { ...decision('x'), task: 'order-42', step: 'a' },
            { ...decision('y'), task: 'order-42', step: 'c' },
          ],
          operations: [counted(1), counted(2)],
        },
      },
    ]);
  });

  test('loads what is in the artifact store', async () => {
    const { replicas, artifacts, remember } = stage();
    const stored = await artifacts.put(Buffer.from(JSON.stringify([counted(7)])));
    const decisions = await artifacts.put(Buffer.from(JSON.stringify([decision('large')])));
    await remember(request([{ step: 'a', decisions, knowledge: stored }]));
    expect(replicas.told[0]?.message).toMatchObject({
      operations: [counted(7)],
      decisions: [{ type: 'large', step: 'a' }],
    });
  });

  test('fails as ArtifactMissing, to be tried again, where it is not there', async () => {
    const { remember } = stage();
    const lost = { artifact: `sha256:${'0'.repeat(64)}`, bytes: 3 };
    const failure = await remember(request([{ step: 'a', knowledge: lost }])).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: 'ArtifactMissing', nonRetryable: false });
  });

  test('fails where a replica cannot be told', async () => {
    const { replicas, remember } = stage();
    replicas.fails = new Error('the server is away');
    await expect(remember(request([{ step: 'a', knowledge: { value: [counted(1)] } }]))).rejects.toThrow(
      'the server is away',
    );
  });

  test('tells an agent that this worker does not know, as one of one replica', async () => {
    const { replicas, remember } = stage();
    await remember(request([{ step: 'a', knowledge: { value: [counted(1)] } }], 'stranger'));
    expect(replicas.told).toEqual([
      {
        member: 'stranger',
        message: expect.not.objectContaining({ maxEntries: expect.anything() as unknown }) as unknown,
      },
    ]);
  });

  test('tells each agent of the task', async () => {
    const { replicas, remember } = stage();
    const knowledge = { value: [counted(1)] };
    const told = ['research', 'stranger'].map((agent) => ({ agent, steps: [{ step: agent, knowledge }] }));
    await expect(remember({ ...request([]), agents: told })).resolves.toEqual({
      agents: ['research', 'stranger'],
    });
    expect(replicas.told).toHaveLength(2);
  });

  describe('of more than 256 KiB', () => {
    const facts = Array.from({ length: 90 }, (_none, index) => `${index}${'x'.repeat(7000)}`);
    const large: RememberedStep[] = [
      {
        step: 'a',
        decisions: { value: [decision('first')] },
        knowledge: { value: facts.map((add) => ({ type: 'orSet', name: 'facts', add }) as const) },
      },
      { step: 'b', decisions: { value: [decision('last')] } },
    ];

    test('tells it in parts, each with an id of its own', async () => {
      const { replicas, remember } = stage();
      await remember(request(large));
      const messages = replicas.told.map(({ message }) => message);
      expect(messages.map(({ id }) => id)).toEqual(['order-42/run', 'order-42/run#1', 'order-42/run#2']);
      for (const message of messages) expect(jsonBytes(message)).toBeLessThan(MESSAGE_MAXIMUM_BYTES + 1024);
      expect(messages.flatMap(({ operations }) => operations)).toHaveLength(90);
      expect(messages.flatMap(({ decisions }) => decisions.map(({ type }) => type))).toEqual([
        'first',
        'last',
      ]);
    });

    test('tells the same parts where it is tried again, so that each counts once', async () => {
      const { replicas, remember } = stage();
      await remember(request(large));
      await remember(request(large));
      let state = newAgent('cadre', 'research', 'research:1');
      for (const { message } of replicas.told) state = evolveAgent(state, rememberedEvent(message, 1)).state;
      expect(state).toMatchObject({ remembered: 3, decided: 2, refused: 0 });
      expect(state.replica.value('orSet', 'facts')).toEqual(facts.slice(-50));
    });
  });

  test('leaves out the evidence of a decision that is too large to be told', async () => {
    const { replicas, remember } = stage();
    const evidence = 'e'.repeat(3 * 1024 * 1024);
    const decisions = {
      value: [{ ...decision('x'), rationale: 'r'.repeat(300_000), evidence }, decision('y')],
    };
    await remember(request([{ step: 'a', decisions }]));
    const told = replicas.told.flatMap(({ message }) => message.decisions);
    expect(told.map(({ type, evidence: left }) => [type, left])).toEqual([
      ['x', undefined],
      ['y', undefined],
    ]);
    for (const { message } of replicas.told) {
      expect(jsonBytes(message)).toBeLessThan(MESSAGE_MAXIMUM_BYTES + 1024);
      expect(readRemember(message).kind).toBe('message');
    }
  });

  test('tells nothing where the steps have nothing', async () => {
    const { replicas, remember } = stage();
    await remember(request([{ step: 'a', decisions: { value: [] } }]));
    expect(replicas.told).toEqual([]);
  });
});

describe('ensureAgent', () => {
  const replicas = new NotingReplicas();
  replicas.left = ['research.1'];
  const ensure = ensureAgentActivity(agents, replicas);

  test('starts a replica that an agent of this worker has', async () => {
    await expect(ensure('research')).resolves.toBe('started');
    await expect(ensure('research.2')).resolves.toBe('started');
    expect(replicas.ensured).toEqual(['research', 'research.2']);
  });

  test.each([
    'stranger',
    'research.3',
    'research.0',
    'research.01',
    'Research',
    '',
    '__proto__',
    'research.1',
  ])('does not know %j', async (member) => {
    replicas.ensured.length = 0;
    await expect(ensure(member)).resolves.toBe('unknown');
    expect(replicas.ensured).toEqual([]);
  });
});
