// Questions that stand through the end of everything that runs, on a real server.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import type { AgentContext } from '../../src/activities/agent-context';
import { stepState } from '../../src/core/task-state';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { agent, step } from '../support/agents';
import { ROOT, json, jsonLines, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

async function asks(task: TaskHandle, id: string): Promise<boolean> {
  return stepState((await task.describe()).state, id).kind === 'asking';
}

async function eventsOf(task: TaskHandle): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of task.events()) events.push(event);
  return events;
}

describe('where server and workers end while it waits', () => {
  let cli: CliStage;
  let client: CadreClient;
  const ledger = (): { step: string; key: string }[] =>
    jsonLines<{ step: string; key: string }>(readFileSync(join(cli.folder.path, 'ledger.jsonl'), 'utf8'));

  beforeAll(async () => {
    cli = await CliStage.start({ onDisk: true });
    cli.folder.write('ledger.jsonl', '');
    cli.folder.write('cadre.config.js', source(join(cli.folder.path, 'ledger.jsonl')));
    client = await cli.client();
  }, 60_000);
  afterAll(() => cli.close());

  test('the question stands, its answer reaches the step, and what came before it is had once', async () => {
    const worker = await cli.worker();
    const task = await client.start(
      {
        goal: 'to refund',
        plan: { steps: [step('pay', 'clerk'), step('tell', 'echo', { needs: ['pay'], input: 1 })] },
      },
      { id: 'killed' },
    );
    await until(() => asks(task, 'pay'));
    const { hash } = await task.question('pay');
    worker.kill('SIGKILL');
    await worker.ended;
    cli.server.kill();
    await cli.startServerAgain();
    // Nobody works: what is asked is in the history.
    const item = json(await cli.run(['inbox', '--json']));
    expect(item).toMatchObject({ task: 'killed', step: 'pay', kind: 'question', question: 'May I?', hash });
    const next = await cli.worker();
    const answered = await cli.run(['answer', 'killed', 'pay', 'yes', '--as', 'ada', '--hash', hash]);
    expect([answered.code, answered.stdout]).toEqual([0, expect.stringContaining('✓ pay has its answer.')]);
    next.kill('SIGKILL');
    await next.ended;
    await cli.worker();
    expect(await task.result()).toEqual({ tell: 1 });
    expect(await task.outputs()).toMatchObject({ pay: { answer: 'yes', by: 'ada' } });
    expect(ledger()).toEqual([{ step: 'pay', key: expect.stringContaining('pay') as string }]);
    expect((await eventsOf(task)).filter(({ type }) => type.startsWith('question'))).toMatchObject([
      { type: 'questionAsked', name: 'go' },
      { type: 'questionAnswered', name: 'go', answer: 'yes', by: 'ada' },
    ]);
  }, 180_000);
});

describe('where the task goes on in a new run while it waits', () => {
  let cadre: ServerCadre;
  const attempts: { attempt: number; checkpoint: unknown }[] = [];

  const act = async (_input: unknown, context: AgentContext): Promise<string> => {
    const { ask, attempt, checkpoint, lastCheckpoint } = context;
    attempts.push({ attempt, checkpoint: lastCheckpoint });
    checkpoint({ page: 3 });
    return (await ask({ name: 'go', question: 'May I?', options: ['yes', 'no'] })).answer;
  };

  beforeAll(async () => {
    cadre = await startServerCadre(
      [
        agent('clerk', act),
        agent('hasty', async (_input, { ask }) => {
          const asked = ask({ name: 'go', question: 'Now?', answerWithin: '4 seconds' });
          return asked.then(
            ({ answer }) => answer,
            ({ type }: { type: string }) => type,
          );
        }),
        agent('does', () => 'done'),
      ],
      { settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: 60 }] },
    );
  }, 60_000);
  afterAll(() => cadre.close());

  const chain = (length: number): object[] =>
    Array.from({ length }, (_none, index) =>
      step(`c${index}`, 'does', { needs: index === 0 ? [] : [`c${index - 1}`] }),
    );
  const start = (name: string): Promise<TaskHandle> =>
    cadre.client.start(
      { goal: 'long', plan: { steps: [step('ask', name), ...chain(12)] as never } },
      { id: `long-${name}` },
    );
  const runsOf = async (task: TaskHandle): Promise<number> =>
    new Set((await eventsOf(task)).map(({ runId }) => runId)).size;

  test('the question stands in it, is found, and its answer reaches the step', async () => {
    const task = await start('clerk');
    await until(async () => (await runsOf(task)) > 1);
    await until(async () => (await cadre.client.inbox()).some((item) => item.task === task.id));
    const asked = (await eventsOf(task)).find(({ type }) => type === 'questionAsked');
    expect(await cadre.client.inbox()).toMatchObject([
      {
        task: task.id,
        step: 'ask',
        kind: 'question',
        question: 'May I?',
        since: asked?.time,
        agent: 'clerk',
      },
    ]);
    const question = await task.question('ask');
    await task.answer('ask', 'yes', { hash: question.hash });
    await task.result();
    expect(await task.outputs()).toMatchObject({ ask: 'yes', c11: 'done' });
    expect(attempts).toEqual([
      { attempt: 1, checkpoint: undefined },
      { attempt: 1, checkpoint: { page: 3 } },
    ]);
    await until(async () => (await cadre.client.inbox()).length === 0);
  }, 60_000);

  test('its time is over when it would have been', async () => {
    const task = await start('hasty');
    await task.result();
    expect(await task.outputs()).toMatchObject({ ask: 'QuestionExpired' });
    const events = await eventsOf(task);
    expect(new Set(events.map(({ runId }) => runId)).size).toBeGreaterThan(1);
    const [asked, expired] = ['questionAsked', 'questionExpired'].map(
      (type) => events.find((event) => event.type === type)?.time ?? 0,
    ) as [number, number];
    expect(expired - asked).toBeGreaterThanOrEqual(3900);
    expect(expired - asked).toBeLessThan(7000);
  }, 60_000);
});

/** `clerk` has an effect, and then asks. */
function source(ledger: string): string {
  return `
const { appendFileSync } = require('node:fs');
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const make = (name, act) =>
  defineAgent({ name, description: name, input: anything, output: anything, policy: { heartbeatTimeout: '1s' }, act });
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('clerk', async (_input, { ask, once, step, idempotencyKey: key }) => {
      await once('reserve', () => appendFileSync(${JSON.stringify(ledger)}, JSON.stringify({ step, key }) + '\\n'));
      return ask({ name: 'go', question: 'May I?', options: ['yes', 'no'], from: ['ada'] });
    }),
    make('echo', (input) => input),
  ],
});
`;
}
