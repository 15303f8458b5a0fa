// What waits for a person, on a real server: see search-attribute.test.ts for how it is found.
import type { CadreClient } from '../../src/client/cadre-client';
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

async function waiting(client: CadreClient): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of client.list({ needsAttention: true })) ids.push(id);
  return ids;
}

test('a saga that asks is listed as long as it asks', async () => {
  const saga = await cadre.client.startSaga(input, { id: 'memo' });
  await until(async () => (await waiting(cadre.client)).includes('memo'));
  const { hash } = await saga.question('pay');
  await saga.answer('pay', 'yes', { hash });
  await expect(saga.result()).resolves.toEqual({ pay: 1 });
  await until(async () => !(await waiting(cadre.client)).includes('memo'));
});

test('an answer about another input, or to a step that does not ask, is refused', async () => {
  const saga = await cadre.client.startSaga(input, { id: 'refused' });
  await until(async () => (await saga.describe()).state.phase.kind === 'awaitingApproval');
  await expect(saga.answer('pay', 'yes', { hash: '0'.repeat(64) })).rejects.toMatchObject({
    type: 'NotAsked',
  });
  await expect(saga.question('nothing')).rejects.toMatchObject({ type: 'NotAsked' });
  await expect(cadre.client.task('nowhere').question('pay')).rejects.toMatchObject({ type: 'TaskNotFound' });
  const question = await saga.question('pay');
  expect(question).toMatchObject({ kind: 'approval', agent: 'echo', input: 1 });
  const { hash } = question;
  await saga.answer('pay', 'no', { hash, note: 'no' });
  await expect(saga.result()).rejects.toMatchObject({ type: 'StepFailed' });
  await expect(saga.question('pay')).rejects.toMatchObject({ type: 'NotAsked' });
});
