// Real processes on a real server, ended by SIGKILL. What really ran is read from a ledger outside Temporal.
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import { step } from '../support/agents';
import { type CliProcess, ROOT, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { CliTeam } from '../support/cli-team';

let cli: CliStage;
let team: CliTeam;
let client: CadreClient;

beforeAll(async () => {
  cli = await CliStage.start({ onDisk: true });
  team = new CliTeam(cli.folder);
  client = await cli.client();
}, 60_000);

afterEach(() => cli.stop());
afterAll(() => cli.close());

const startWorker = (...more: string[]): Promise<CliProcess> => cli.worker('--config', team.config, ...more);

/** `first`, then two gates beside each other, then `last`; the ids begin with `name`. */
function startTask(name: string): Promise<TaskHandle> {
  const id = (part: string): string => `${name}-${part}`;
  return client.start({
    goal: name,
    plan: {
      steps: [
        step(id('first'), 'echo', { input: 1 }),
        step(id('gate'), 'gate', { needs: [id('first')] }),
        step(id('other'), 'gate', { needs: [id('first')] }),
        step(id('last'), 'echo', { input: [{ $output: id('gate') }, { $output: id('other') }] }),
      ],
    },
  });
}

/** How often each step of a task began and ended, and under how many keys. */
function counted(name: string): Record<string, { began: number; ended: number; keys: number }> {
  const steps: Record<string, { began: number; ended: number; keys: number }> = {};
  for (const part of ['first', 'gate', 'other', 'last']) {
    const lines = team.lines().filter((line) => line.step === `${name}-${part}`);
    const of = (what: string): number => lines.filter((line) => line.what === what).length;
    steps[part] = { began: of('began'), ended: of('ended'), keys: new Set(lines.map(({ key }) => key)).size };
  }
  return steps;
}

const RUN_ONCE = { began: 1, ended: 1, keys: 1 };
const RUN_AGAIN = { began: 2, ended: 1, keys: 1 };

test('a step whose worker was killed runs again on another under the same key; finished steps do not', async () => {
  const worker = await startWorker();
  const task = await startTask('killed');
  await until(() => team.has('began', 'killed-gate') && team.has('began', 'killed-other'));
  team.open('killed-other');
  await until(async () => (await task.outputs())['killed-other'] !== undefined);
  worker.kill('SIGKILL');
  await worker.ended;
  const next = await startWorker();
  team.open('killed-gate');
  expect(await task.result()).toEqual({ 'killed-last': ['killed-gate', 'killed-other'] });
  expect(counted('killed')).toEqual({ first: RUN_ONCE, gate: RUN_AGAIN, other: RUN_ONCE, last: RUN_ONCE });
  expect(
    new Set(
      team
        .lines()
        .filter((line) => line.step === 'killed-gate')
        .map(({ pid }) => pid),
    ),
  ).toEqual(new Set([worker.pid, next.pid]));
}, 60_000);

test('a task started while no worker runs, and one whose workers all went, go on when one comes', async () => {
  const worker = await startWorker();
  const before = await startTask('before');
  await until(() => team.has('began', 'before-gate') && team.has('began', 'before-other'));
  worker.kill('SIGKILL');
  await worker.ended;
  const meanwhile = await startTask('meanwhile');
  for (const name of ['before', 'meanwhile'])
    for (const part of ['gate', 'other']) team.open(`${name}-${part}`);
  // Past the heartbeat timeout: the server has noticed that the worker is gone.
  await until(async () => (await before.describe()).pending.every(({ kind }) => kind === 'scheduled'));
  expect((await meanwhile.describe()).state.phase.kind).toBe('planning');
  await startWorker();
  expect(await before.result()).toEqual({ 'before-last': ['before-gate', 'before-other'] });
  expect(await meanwhile.result()).toEqual({ 'meanwhile-last': ['meanwhile-gate', 'meanwhile-other'] });
  expect(counted('before')).toEqual({ first: RUN_ONCE, gate: RUN_AGAIN, other: RUN_AGAIN, last: RUN_ONCE });
  expect(counted('meanwhile')).toEqual({ first: RUN_ONCE, gate: RUN_ONCE, other: RUN_ONCE, last: RUN_ONCE });
}, 60_000);

test('a step with one attempt, whose worker is stopped in an orderly way, is handed back and not lost', async () => {
  const worker = await startWorker('--grace', '0');
  const task = await client.start({ goal: 'hand back', plan: { steps: [step('handed', 'gate-once')] } });
  await until(() => team.has('began', 'handed'));
  worker.kill('SIGTERM');
  expect((await worker.ended).code).toBe(0);
  team.open('handed');
  await startWorker();
  expect(await task.result()).toEqual({ handed: 'handed' });
}, 60_000);

test('a task goes on after its server was killed and started again on the same file', async () => {
  await startWorker();
  const task = await startTask('server');
  await until(() => team.has('began', 'server-gate') && team.has('began', 'server-other'));
  const events = collect(task);
  cli.server.kill();
  team.open('server-gate');
  await until(() => team.has('ended', 'server-gate'));
  await cli.startServerAgain();
  team.open('server-other');
  expect(await task.result()).toEqual({ 'server-last': ['server-gate', 'server-other'] });
  expect((await events).at(-1)).toBe('taskCompleted');
  const { first, last, ...gates } = counted('server');
  expect([first, last]).toEqual([RUN_ONCE, RUN_ONCE]);
  for (const gate of Object.values(gates)) expect(gate.keys).toBe(1);
}, 60_000);

async function collect(task: TaskHandle): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of task.events({ follow: true })) types.push(type);
  return types;
}

test('the crash demo ends every step once', async () => {
  const demo = cli.spawn(process.execPath, [join(ROOT, 'examples', 'crash', 'demo.js')]);
  const { code, stdout, stderr } = await demo.ended;
  expect(stdout).toContain('every step ended once; none ran twice');
  expect(stdout).toMatch(/killed with SIGKILL/);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(code).toBe(0);
}, 90_000);
