import { Client } from '@temporalio/client';
import { z } from 'zod';
import { defineAgent } from '../../src/activities/define-agent';
import { CadreClient } from '../../src/client/cadre-client';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

const echo = defineAgent({
  name: 'echo',
  description: 'gives back what it gets',
  input: z.string(),
  output: z.string(),
  act: (value) => value,
});

let cadre: ServerCadre;
beforeAll(async () => {
  cadre = await startServerCadre([echo]);
});
afterAll(() => cadre.close());

/** Whether the server gave the first workflow task of a saga of one step to who started it. */
async function isEager(client: CadreClient): Promise<boolean> {
  const saga = await client.startSaga({ name: 'one step', steps: [{ id: 'a', agent: 'echo', input: 'x' }] });
  await expect(saga.result()).resolves.toEqual({ a: 'x' });
  const { events = [] } = await client.temporal.workflow.getHandle(saga.id).fetchHistory();
  return events?.[0]?.workflowExecutionStartedEventAttributes?.eagerExecutionAccepted === true;
}

test("a client over the worker's connection has that worker begin at once", async () => {
  const { connection, client } = cadre;
  const temporal = new Client({ connection, namespace: client.temporal.options.namespace });
  await expect(isEager(new CadreClient(temporal, { artifacts: client.artifacts }))).resolves.toBe(true);
});

test('a client with a connection of its own starts it for whichever worker polls', async () => {
  await expect(isEager(cadre.client)).resolves.toBe(false);
});
