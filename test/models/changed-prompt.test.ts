// Between two attempts a deployment may change what a model is asked: what tools have done is neither done again nor lost.
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import type { AnyAgent } from '../../src/activities/define-agent';
import { modelAgent } from '../../src/models/model-agent';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { MemoryLedger } from '../../src/storage/memory-ledger';
import type { CallOptions, CallResult } from '../../src/testing/call-agent';
import { TemporaryFolder } from '../support/temporary-folder';
import { callScripted, modelOfFile } from './scripted';

const model = modelOfFile();
const folder = TemporaryFolder.ofEachTest();
let stores: Pick<CallOptions, 'artifacts' | 'ledger'>;
let refunds: Refund[];
beforeEach(() => {
  stores = { artifacts: new FileArtifactStore(join(folder.path, 'artifacts')), ledger: new MemoryLedger() };
  refunds = [];
});

interface Refund {
  readonly dollars: number;
  readonly key: string;
}

/** `after`: what the tool does once the refund is made. */
function clerk(instructions: string, after: () => void = () => undefined): AnyAgent {
  return modelAgent({
    name: 'clerk',
    description: 'Refunds',
    instructions,
    model: 'openai/gpt-5-mini',
    tools: {
      look: {
        description: 'Looks an order up',
        input: z.object({ id: z.string() }),
        effect: 'read',
        trusted: true,
        run: ({ id }) => `${id} is a lamp`,
      },
      refund: {
        description: 'Refunds an order',
        input: z.object({ dollars: z.number() }),
        trusted: true,
        run: async ({ dollars }, { once, idempotencyKey }) => {
          const said = await once('refund', () => {
            refunds.push({ dollars, key: idempotencyKey });
            return Promise.resolve(`refunded ${dollars}`);
          });
          after();
          return said;
        },
      },
    },
  });
}

const look = { name: 'look', input: { id: 'A-17' } };
const refund = (dollars: number) => ({ name: 'refund', input: { dollars } });
type Turn = typeof look | ReturnType<typeof refund> | 'unavailable';

/** An attempt whose model asks for these tools, one after the other, and then is done. */
function attempt(number: number, agent: AnyAgent, turns: readonly Turn[]): Promise<CallResult<unknown>> {
  const options = { ...stores, attempt: number };
  return callScripted(
    model,
    agent,
    {},
    ({ turn }) => {
      const next = turns[turn - 1];
      if (next === 'unavailable') return { kind: 'error', status: 503 };
      return next === undefined ? 'done' : { kind: 'answer', toolCalls: [next] };
    },
    options,
  );
}

const dollarsOf = (): number[] => refunds.map(({ dollars }) => dollars);

test('what a tool did is not done again by a model that is asked in other words and comes to it later', async () => {
  await expect(attempt(1, clerk('Refund.'), [refund(50), 'unavailable'])).rejects.toThrow(/503/);
  const { output, decisions } = await attempt(2, clerk('Refund with care.'), [look, refund(50)]);
  expect({ output, refunded: dollarsOf() }).toEqual({ output: 'done', refunded: [50] });
  // The model was told what the first attempt's refund returned.
  expect(model.calls.at(-1)?.request.messages.at(-1)?.text).toBe('refunded 50');
  expect(decisions).toEqual([
    {
      type: 'callRepeated',
      rationale:
        'A call of openai/gpt-5-mini in earlier attempts could not be used, since what is asked has changed; such calls were made again, and paid',
      evidence: { kind: 'model', changed: 1, names: ['openai/gpt-5-mini'] },
    },
  ]);
});

test('a tool that is asked for something else in the same place does it, and what it did before is told of', async () => {
  await expect(attempt(1, clerk('Refund.'), [refund(50), 'unavailable'])).rejects.toThrow(/503/);
  const { decisions } = await attempt(2, clerk('Refund with care.'), [refund(60)]);
  expect(dollarsOf()).toEqual([50, 60]);
  expect(model.calls.at(-1)?.request.messages.at(-1)?.text).toBe('refunded 60');
  expect(decisions).toMatchObject([
    {
      type: 'callRepeated',
      rationale: expect.stringContaining('was not asked for again: refund'),
      evidence: { tools: ['refund'] },
    },
  ]);
});

test('an effect stands that was made in a tool whose own end was not recorded', async () => {
  const failing = clerk('Refund.', () => {
    throw ApplicationFailure.retryable('the disk is full', 'DiskFull');
  });
  await expect(attempt(1, failing, [refund(50)])).rejects.toMatchObject({ type: 'DiskFull' });
  await attempt(2, clerk('Refund with care.'), [look, refund(60), refund(50)]);
  expect(dollarsOf()).toEqual([50, 60]);
});

test('the same input asked for twice is two calls, in every attempt', async () => {
  await expect(attempt(1, clerk('Refund.'), [refund(5), refund(5), 'unavailable'])).rejects.toThrow(/503/);
  expect(dollarsOf()).toEqual([5, 5]);
  expect(new Set(refunds.map(({ key }) => key)).size).toBe(2);
  await attempt(2, clerk('Refund with care.'), [refund(5), look, refund(5), refund(5)]);
  expect(dollarsOf()).toEqual([5, 5, 5]);
});

test('an attempt that asks what was asked before says nothing of it', async () => {
  await expect(attempt(1, clerk('Refund.'), [look, refund(5), 'unavailable'])).rejects.toThrow(/503/);
  const { decisions } = await attempt(2, clerk('Refund.'), [look, refund(5)]);
  expect(decisions).toEqual([]);
  expect(model.calls).toHaveLength(1);
});
