// Agents that run local programs, as a user has them: real workers, a real server, and the commands of the CLI.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import { step } from '../support/agents';
import { type CliProcess, ROOT, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { carriedOut, dyingAtRecords, repeatedCalls } from '../support/dying-workers';
import { STUBBORN, isAlive } from '../support/programs';
import { logOf } from '../support/team-processes';

let cli: CliStage;
let client: CadreClient;

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', teamOf(cli.folder.path));
  client = await cli.client();
  await cli.start(['worker', '--role', 'leader', '--role', 'workflows']).says(/worker ready/);
});
afterAll(() => cli.close());

/** `program` runs what its input says in Node.js, in a folder of its step's own. */
function teamOf(folder: string): string {
  return `${dyingAtRecords(folder)}
const { commandAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
module.exports = defineConfig({
  embedded: false,
  agents: [
    commandAgent({
      name: 'program',
      description: 'runs a program',
      command: process.execPath,
      args: ({ program }) => ['-e', program],
      root: ${JSON.stringify(folder)},
      cwd: (_input, { step }) => step,
      exitCodes: { final: [3] },
      policy: { heartbeatTimeout: '1s', retry: { initialInterval: '10ms', maximumAttempts: 5 } },
    }),
  ],
});
`;
}

/** For a program: how often it has been run, this time included. */
const COUNTS = `
  const fs = require('node:fs');
  fs.appendFileSync('runs', 'x');
  const times = fs.readFileSync('runs', 'utf8').length;`;

const read = (id: string, name: string): string => readFileSync(join(cli.folder.path, id, name), 'utf8');
const runsOf = (id: string): number => read(id, 'runs').length;

/** A step that runs `program`, with its folder. */
function running(id: string, program: string, more: object = {}) {
  cli.folder.write(join(id, 'runs'), '');
  return step(id, 'program', { input: { program, ...more } });
}

const started = (id: string, program: string): Promise<TaskHandle> =>
  client.start({ goal: 'to run', plan: { steps: [running(id, program)] } }, { id });

/** What a user types to have the steps carried out by the workers that there are. */
function command(id: string, ...steps: readonly object[]): string[] {
  const plan = cli.folder.write(`${id}.json`, JSON.stringify({ steps }));
  return ['run', 'to run', '--plan', plan, '--id', id, '--no-worker'];
}

async function worker(): Promise<CliProcess> {
  const ready = cli.start(['worker', '--role', 'agents', '--grace', '0']);
  await ready.says(/worker ready/);
  return ready;
}

/** Both processes of {@link STUBBORN}, once they run. */
async function stubborn(id: string): Promise<number[]> {
  await until(() => existsSync(join(cli.folder.path, id, 'pids')) && read(id, 'pids') !== '');
  const pids = read(id, 'pids').split(' ').map(Number);
  expect(pids.map(isAlive)).toEqual([true, true]);
  return pids;
}

describe('where a worker is', () => {
  let here: CliProcess;
  beforeAll(async () => {
    here = await worker();
  });
  afterAll(async () => {
    here.kill('SIGTERM');
    await here.ended;
  });

  test('a program gets the input, its output is the result, and the next program gets that', async () => {
    const says = `console.log('Mara of task ' + process.env.CADRE_TASK)`;
    const greets = `
      process.stdin.on('data', (given) => {
        const { who } = JSON.parse(given);
        console.log('Hello ' + who + ', said ' + process.env.CADRE_INPUT_FROM);
      });`;
    const ended = await cli.run(
      command('greeting', running('says', says), running('greets', greets, { who: { $output: 'says' } })),
    );
    sane(ended);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(ended.stdout).toContain('"greets": "Hello Mara of task greeting, said says"');
  });

  test('one that fails for good ends the task at its first run, with its code and what it wrote to stderr', async () => {
    const program = `${COUNTS} console.error('there is no order A-17'); process.exitCode = 3;`;
    const ended = await cli.run(command('failing', running('orders', program)));
    sane(ended);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(
      /✗ Step "orders" \(program\) failed: ".*node" ended with exit code 3: there is no order A-17\n/,
    );
    expect(ended.stdout).toContain('→ Read what the program wrote to stderr in the log of the worker');
    expect(runsOf('orders')).toBe(1);
    expect(await logOf(client.task('failing'))).toContainEqual(
      expect.objectContaining({
        type: 'stepFailed',
        failure: expect.objectContaining({ type: 'CommandFailed', final: true }) as unknown,
      }),
    );
  });

  test('one that fails for the moment is run again', async () => {
    const program = `${COUNTS} if (times < 3) { console.error('busy'); process.exitCode = 4; } else console.log(times);`;
    const ended = await cli.run(command('passing', running('passes', program)));
    sane(ended);
    expect(ended.code).toBe(0);
    expect(await client.task('passing').result()).toEqual({ passes: '3' });
    expect(await logOf(client.task('passing'))).toContainEqual(
      expect.objectContaining({
        type: 'stepRetried',
        attempts: 2,
        failure: expect.objectContaining({
          message: expect.stringMatching(/code 4: busy$/) as string,
        }) as unknown,
      }),
    );
  });

  test('`cadre cancel` ends it, and what it started', async () => {
    const task = await started('cancelled', STUBBORN);
    const pids = await stubborn('cancelled');
    expect((await cli.run(['cancel', 'cancelled'])).code).toBe(0);
    await expect(task.result()).rejects.toMatchObject({ type: 'Cancelled' });
    await until(() => !pids.some(isAlive));
  });
});

test('a worker that is told to stop ends its programs, and another runs them anew, by the same key and attempt', async () => {
  const stopped = await worker();
  const tells = `console.log(process.env.CADRE_ATTEMPT, process.env.CADRE_IDEMPOTENCY_KEY);`;
  const task = await started('handed', `${COUNTS} if (times === 1) {${STUBBORN}} else {${tells}}`);
  const pids = await stubborn('handed');
  stopped.kill('SIGTERM');
  const { code, stdout } = await stopped.ended;
  expect([code, stdout]).toEqual([
    0,
    expect.stringContaining('What was not finished goes on at another worker.'),
  ]);
  expect(pids.map(isAlive)).toEqual([false, false]);
  expect(await carriedOut(cli, task)).toBe(0);
  const { handed } = await task.result();
  expect(handed).toMatch(/^1 handed\//);
  expect(runsOf('handed')).toBe(2);
});

test('a second signal ends a worker and its programs at once', async () => {
  const hasty = await worker();
  const task = await started('hasty', STUBBORN);
  const pids = await stubborn('hasty');
  hasty.kill('SIGINT');
  await hasty.says(/Stopping/);
  hasty.kill('SIGINT');
  expect((await hasty.ended).code).toBe(130);
  await until(() => !pids.some(isAlive));
  await task.cancel();
  await expect(task.result()).rejects.toMatchObject({ type: 'Cancelled' });
});

test('what a run put out is recorded: a worker killed after that has nothing run again', async () => {
  const task = await started('recorded', `${COUNTS} console.log('run ' + times);`);
  expect(await carriedOut(cli, task, { DIES: 'after tool' })).toBe(1);
  expect(await task.result()).toEqual({ recorded: 'run 1' });
  expect(runsOf('recorded')).toBe(1);
  expect(await repeatedCalls(task)).toEqual([]);
});

test('killed before that it is run again by the same key, and the log says so', async () => {
  const tells = `console.log(JSON.stringify({ times, key: process.env.CADRE_IDEMPOTENCY_KEY }));`;
  const task = await started(
    'unrecorded',
    `${COUNTS} fs.appendFileSync('keys', process.env.CADRE_IDEMPOTENCY_KEY + ' '); ${tells}`,
  );
  expect(await carriedOut(cli, task, { DIES: 'before tool' })).toBe(1);
  const [first, second] = read('unrecorded', 'keys').split(' ');
  expect(second).toBe(first);
  expect(JSON.parse(String((await task.result())['unrecorded']))).toEqual({ times: 2, key: first });
  expect(await repeatedCalls(task)).toEqual([{ kind: 'tool', name: 'node', tries: 2, unseen: 1 }]);
});
