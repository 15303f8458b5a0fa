// What waits for a person is found by the memo, and by the search attribute where a real server has it.
import { Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { CadreClient } from '../../src/client/cadre-client';
import { NEEDS_ATTENTION_ATTRIBUTE } from '../../src/core/names';
import { agent } from '../support/agents';
import { until } from '../support/cli';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

let cadre: ServerCadre;

beforeAll(async () => {
  cadre = await startServerCadre([agent('echo', (input) => input)]);
}, 60_000);

afterAll(() => cadre.close());

const input = {
  name: 'asks first',
  steps: [{ id: 'pay', agent: 'echo', input: 1, approval: {} }],
};

/** Ids of the executions of a visibility query. */
async function found(query: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { workflowId } of cadre.client.temporal.workflow.list({ query })) ids.push(workflowId);
  return ids;
}

async function waiting(client: CadreClient): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of client.list({ needsAttention: true })) ids.push(id);
  return ids;
}

test('without the search attribute sagas start, and are found by their memo', async () => {
  const saga = await cadre.client.startSaga(input, { id: 'memo' });
  await until(async () => (await waiting(cadre.client)).includes('memo'));
  const { hash } = await saga.question('pay');
  await saga.answer('pay', 'yes', { hash });
  await expect(saga.result()).resolves.toEqual({ pay: 1 });
  await until(async () => !(await waiting(cadre.client)).includes('memo'));
});

test('with it they are found by a query, as long as they wait', async () => {
  const { connection, options } = cadre.client.temporal;
  if (!(connection instanceof Connection)) throw new Error('Expected a connection of the client');
  const type = temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
  const { name } = NEEDS_ATTENTION_ATTRIBUTE;
  await connection.operatorService.addSearchAttributes({
    namespace: options.namespace,
    searchAttributes: { [name]: type },
  });
  const { artifacts, temporal: client } = cadre.client;
  // A client asks once; what it does not know yet it does without.
  const later = new CadreClient(client, { artifacts });
  const saga = await later.startSaga(input, { id: 'attribute' });
  await until(async () => (await found(`${name} = "awaitingApproval"`)).includes('attribute'));
  const { hash } = await saga.question('pay');
  await saga.answer('pay', 'yes', { hash });
  await expect(saga.result()).resolves.toEqual({ pay: 1 });
  await until(async () => (await found(`${name} = "no"`)).includes('attribute'));
});

test('an answer about another input, or to a step that does not ask, is refused', async () => {
  const saga = await cadre.client.startSaga(input, { id: 'refused' });
  await until(async () => (await saga.describe()).state.phase.kind === 'awaitingApproval');
  await expect(saga.answer('pay', 'yes', { hash: '0'.repeat(64) })).rejects.toMatchObject({
    type: 'NotAsked',
  });
  await expect(saga.question('nothing')).rejects.toMatchObject({ type: 'NotAsked' });
  await expect(cadre.client.task('nowhere').question('pay')).rejects.toMatchObject({ type: 'TaskNotFound' });
  const { hash, agent: who, input: shown } = await saga.question('pay');
  expect([who, shown]).toEqual(['echo', 1]);
  await saga.answer('pay', 'no', { hash, note: 'no' });
  await expect(saga.result()).rejects.toMatchObject({ type: 'StepFailed' });
  await expect(saga.question('pay')).rejects.toMatchObject({ type: 'NotAsked' });
});
