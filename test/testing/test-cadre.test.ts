// What `cadre/testing` gives to users: an agent alone, and a team on a server whose clock skips waits.
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { defineAgent } from '../../src/activities/define-agent';
import { TestCadre, callAgent } from '../../src/testing';
import { agent, step } from '../support/agents';

const shout = defineAgent({
  name: 'shout',
  description: 'says it louder',
  input: z.object({ text: z.string() }),
  output: z.object({ text: z.string() }),
  act: ({ text }) => ({ text: text.toUpperCase() }),
});

describe('callAgent', () => {
  test('gives the output, typed', async () => {
    const { output } = await callAgent(shout, { text: 'hello' });
    expect(output.text).toBe('HELLO');
  });

  test('rejects with what the activity would fail with', async () => {
    await expect(callAgent(shout, { text: 7 } as unknown as { text: string })).rejects.toMatchObject({
      type: 'AgentInputInvalid',
      message: expect.stringContaining('text') as string,
    });
  });

  test('lets the agent see the attempt and the texts that it is told', async () => {
    const spy = agent('spy', (_input, { attempt, goal, instruction, lastCheckpoint }) => ({
      attempt,
      goal,
      instruction,
      lastCheckpoint,
    }));
    const options = { attempt: 2, goal: 'g', instruction: 'i', lastCheckpoint: { page: 1 } };
    expect((await callAgent(spy, undefined, options)).output).toEqual(options);
  });

  test('collects each checkpoint once, in order, however often the attempt reports', async () => {
    const { checkpoints } = await callAgent(
      agent('pages', (_input, { checkpoint, heartbeat }) => {
        heartbeat();
        checkpoint(1);
        heartbeat();
        heartbeat();
        checkpoint(2);
      }),
      undefined,
      { attempt: 2, lastCheckpoint: 0 },
    );
    expect(checkpoints).toEqual([1, 2]);
  });

  test('gives the whole of a large output', async () => {
    expect(
      (
        await callAgent(
          agent('large', () => 'x'.repeat(1e6)),
          undefined,
        )
      ).output,
    ).toHaveLength(1e6);
  });

  test('takes an artifact store of the caller’s own', async () => {
    const kept = new Map<string, Uint8Array>();
    const artifacts = {
      put: async (content: Uint8Array) => {
        kept.set('one', content);
        return { artifact: 'one', bytes: content.length };
      },
      get: async () => kept.get('one') ?? new Uint8Array(),
      record: async (_name: string, content: Uint8Array) => content,
      recall: async () => undefined,
    };
    const keeps = agent('keeps', async (_input, context) => context.artifacts.put(Buffer.from('kept')));
    expect((await callAgent(keeps, undefined, { artifacts })).output).toEqual({ artifact: 'one', bytes: 4 });
  });
});

describe('TestCadre', () => {
  let cadre: TestCadre;
  beforeAll(async () => {
    cadre = await TestCadre.create({
      agents: [
        shout,
        agent(
          'patient',
          (_input, { attempt }) => {
            if (attempt < 5) throw new Error('not yet');
            return attempt;
          },
          { policy: { retry: { maximumAttempts: 5, initialInterval: '1 day' } } },
        ),
        agent('pooled', () => 'in the pool', { pool: 'gpu' }),
      ],
    });
  }, 60_000);
  afterAll(() => cadre.close());

  test('runs a team, waits of days in seconds', async () => {
    const { outputs } = await cadre.run({ goal: 'wait', plan: { steps: [step('a', 'patient')] } });
    expect(outputs).toEqual({ a: 5 });
  });

  test('serves the pools of its agents too', async () => {
    const { outputs } = await cadre.run({ goal: 'pool', plan: { steps: [step('a', 'pooled')] } });
    expect(outputs).toEqual({ a: 'in the pool' });
  });

  test('shares an environment of the caller’s own, and leaves it running', async () => {
    const { environment } = cadre;
    expect(environment).toBeInstanceOf(TestWorkflowEnvironment);
    const other = await TestCadre.create({ agents: [shout], environment });
    const { outputs } = await other.run({
      goal: 'shout',
      plan: { steps: [step('a', 'shout', { input: { text: 'hi' } })] },
    });
    expect(outputs).toEqual({ a: { text: 'HI' } });
    await other.close();
    const { outputs: still } = await cadre.run({ goal: 'pool', plan: { steps: [step('a', 'pooled')] } });
    expect(still).toEqual({ a: 'in the pool' });
  });
});
