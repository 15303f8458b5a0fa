// Histories of a real server: over runs, after a reset, in a file of `cadre export`, and without the server.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { checkExport } from '../../../src/client/export-check';
import type { Exported } from '../../../src/client/history-export';
import { fileSource } from '../../../src/client/history-file';
import { findRuns, readFacts } from '../../../src/client/history-reader';
import { TaskLog } from '../../../src/client/task-log';
import type { HistoryFact } from '../../../src/core/history-facts';
import { TASK_WORKFLOW } from '../../../src/core/names';
import { type LoggedTaskEvent, TaskProjection } from '../../../src/core/task-projection';
import { PREBUILT_BUNDLE } from '../../../src/workers/build-id';
import { agent, step } from '../../support/agents';
import { until } from '../../support/cli';
import { type ServerCadre, startServerCadre } from '../../support/server-cadre';
import { TemporaryFolder } from '../../support/temporary-folder';

let cadre: ServerCadre;
const folder = new TemporaryFolder();
const calls: string[] = [];

beforeAll(async () => {
  cadre = await startServerCadre(
    [
      agent('echo', (input, { step: id }) => {
        calls.push(id);
        return input;
      }),
    ],
    { settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: 40 }] },
  );
}, 60_000);

afterAll(async () => {
  await cadre.close();
  folder.remove();
});

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Runs a task of `count` steps, one after the other, to its end. */
async function run(id: string, count: number): Promise<void> {
  const steps = Array.from({ length: count }, (_, index) =>
    step(`s${index}`, 'echo', {
      input: `\u2028 line ${index} – “done”`,
      needs: index === 0 ? [] : [`s${index - 1}`],
    }),
  );
  await (await cadre.client.start({ goal: `count to ${count}`, plan: { steps } }, { id })).result();
}

async function exported(id: string): Promise<Exported & { path: string; text: string }> {
  const writing = cadre.client.export(id);
  let text = '';
  for (;;) {
    const { value, done } = await writing.next();
    if (done) {
      const path = join(folder.path, `${id}.json`);
      writeFileSync(path, text);
      return { ...value, path, text };
    }
    text += `${value}\n`;
  }
}

const shown = (events: readonly LoggedTaskEvent[]): unknown => JSON.parse(JSON.stringify(events));

test('a chain of runs is one log in a file as on the server, and each of its runs replays', async () => {
  await run('chain', 20);
  const { path, text, header, head, events, logged } = await exported('chain');
  expect(header).toMatchObject({
    format: 1,
    workflowId: 'chain',
    workflowType: TASK_WORKFLOW,
    cadre: 'cadre',
  });
  expect(header.runs.length).toBeGreaterThan(1);

  const fromServer = await all(cadre.client.task('chain').events());
  const file = await fileSource(path);
  const fromFile = await all(new TaskLog(file).events());
  expect(file.header).toEqual(header);
  expect(file.problems()).toEqual([]);
  expect(shown(fromFile)).toEqual(shown(fromServer));
  expect(logged).toBe(fromServer.length);
  expect(await new TaskLog(file).stateAt('last')).toEqual(
    await cadre.client.task('chain').log.stateAt('last'),
  );
  expect(await checkExport(path, { head })).toMatchObject({ intact: true, events, logged, undecoded: 0 });

  // What Temporal's tools read of it.
  const document = JSON.parse(text) as { events: unknown[]; earlier: { runId: string; events: unknown[] }[] };
  const options = { workflowBundle: { codePath: PREBUILT_BUNDLE } };
  for (const history of [...document.earlier, document]) {
    await expect(Worker.runReplayHistory(options, history, 'chain')).resolves.toBeUndefined();
  }
  expect(document.earlier.map(({ runId }) => runId)).toEqual(header.runs.slice(0, -1));
  expect(document.events[0]).toMatchObject({
    eventId: '1',
    eventType: 'EVENT_TYPE_WORKFLOW_EXECUTION_STARTED',
  });
}, 60_000);

test('a task that was reset is read as it is now, and not as what the reset replaced', async () => {
  await run('reset', 3);
  const handle = cadre.client.temporal.workflow.getHandle('reset');
  const { runId: before } = await handle.describe();
  // After the first step: the second and the third are done again.
  const finish = (await all(readFacts(cadre.client.temporal, 'reset'))).filter(
    ({ kind }) => kind === 'workflowTaskCompleted',
  )[3] as HistoryFact;
  calls.length = 0;
  const { runId } = await cadre.client.temporal.workflowService.resetWorkflowExecution({
    namespace: cadre.client.temporal.options.namespace,
    workflowExecution: { workflowId: 'reset', runId: before },
    workflowTaskFinishEventId: finish.eventId as never,
    requestId: 'reset-1',
    reason: 'a test',
  });
  await cadre.client.task('reset').result();
  expect(runId).not.toBe(before);
  expect(calls.length).toBeGreaterThan(0);
  expect(calls).not.toContain('s0');

  const facts = await all(readFacts(cadre.client.temporal, 'reset'));
  expect(new Set(facts.map((fact) => fact.runId))).toEqual(new Set([runId]));
  const projection = new TaskProjection();
  for (const fact of facts) projection.next(fact);
  expect(projection.state.phase).toEqual({ kind: 'completed' });
  const { path, head } = await exported('reset');
  expect(await checkExport(path, { head })).toMatchObject({ intact: true, undecoded: 0 });
}, 60_000);

test('of a chain that was reset in its first run the present runs are read', async () => {
  await run('reset-chain', 20);
  const old = await findRuns(cadre.client.temporal, 'reset-chain');
  expect(old.length).toBeGreaterThan(1);
  const first = await all(readFacts(cadre.client.temporal, 'reset-chain', { firstRunId: old[0] as string }));
  const finish = first.filter(({ kind }) => kind === 'workflowTaskCompleted')[2] as HistoryFact;
  await cadre.client.temporal.workflowService.resetWorkflowExecution({
    namespace: cadre.client.temporal.options.namespace,
    workflowExecution: { workflowId: 'reset-chain', runId: old[0] as string },
    workflowTaskFinishEventId: finish.eventId as never,
    requestId: 'reset-2',
    reason: 'a test',
  });
  await cadre.client.task('reset-chain').result();
  const now = await findRuns(cadre.client.temporal, 'reset-chain');
  expect(now.length).toBeGreaterThan(1);
  expect(now.filter((runId) => old.includes(runId))).toEqual([]);
  const facts = await all(readFacts(cadre.client.temporal, 'reset-chain'));
  expect([...new Set(facts.map((fact) => fact.runId))]).toEqual(now);
}, 60_000);

test('a task that runs is exported as far as it is', async () => {
  const open = step('open', 'echo', { input: 1 });
  // No worker takes the tasks of that queue.
  await cadre.client.temporal.workflow.start(TASK_WORKFLOW, {
    workflowId: 'waits',
    taskQueue: 'deserted',
    args: [{ goal: 'wait', plan: { steps: [open] } }],
  });
  const { path, head, logged } = await exported('waits');
  expect(await checkExport(path, { head })).toMatchObject({ intact: true, logged });
  const events = await all(new TaskLog(await fileSource(path)).events());
  expect(events).toMatchObject([{ type: 'taskStarted', goal: 'wait' }]);
}, 60_000);

test('what is no task is exported with an empty log', async () => {
  await cadre.client.temporal.workflow.start('agent', {
    workflowId: 'other',
    taskQueue: 'deserted',
    args: [{ cadre: 'cadre', member: 'other', seeds: [] }],
  });
  const { path, head, logged, header } = await exported('other');
  expect({ logged, type: header.workflowType }).toEqual({ logged: 0, type: 'agent' });
  expect(await checkExport(path, { head })).toMatchObject({ intact: true, events: 2 });
}, 60_000);

test('runs that are gone are left out, and named', async () => {
  await run('aged', 20);
  const { temporal } = cadre.client;
  const [gone, ...left] = await findRuns(temporal, 'aged');
  await temporal.workflowService.deleteWorkflowExecution({
    namespace: temporal.options.namespace,
    workflowExecution: { workflowId: 'aged', runId: gone as string },
  });
  await until(async () => (await findRuns(temporal, 'aged')).length === left.length);
  const { path } = await exported('aged');
  const file = await fileSource(path);
  const events = await all(new TaskLog(file).events());
  expect(events[0]).toMatchObject({ number: 1, type: 'taskResumed' });
  expect(file.problems()).toMatchObject([{ kind: 'earlierRuns', runId: gone }]);
}, 60_000);
