// Signals, closed pipes and several processes at once, against a real server.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { step } from '../support/agents';
import { type CliProcess, TRACE, jsonLines, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { CliTeam } from '../support/cli-team';

let cli: CliStage;
let team: CliTeam;

beforeAll(async () => {
  cli = await CliStage.start();
  team = new CliTeam(cli.folder);
}, 60_000);

afterEach(() => cli.stop());
afterAll(() => cli.close());

/** Starts `cadre run` of one step of the agent `agent`, and waits until it acts. */
async function startRun(cadre: string, agent: string, ...more: string[]): Promise<CliProcess> {
  const plan = team.plan(cadre, step(cadre, agent));
  const run = cli.start(['run', 'a goal', '--plan', plan, '--cadre', cadre, '--id', cadre, ...more]);
  await until(() => team.has('began', cadre) || run.child.exitCode !== null);
  return run;
}

test('Ctrl-C ends a run with 130, says how the task goes on, and lets the agent finish', async () => {
  const run = await startRun('drain', 'gate');
  run.kill('SIGINT');
  await run.says(/Stopping: agents that act may finish/);
  team.open('drain');
  const { code, stdout, stderr } = await run.ended;
  expect(code).toBe(130);
  expect(stdout).toMatch(/Not waited for: .*cadre show drain, cadre cancel drain/);
  expect(`${stdout}${stderr}`).not.toMatch(TRACE);
  expect(
    team
      .lines()
      .filter(({ step: of }) => of === 'drain')
      .map(({ what }) => what),
  ).toEqual(['began', 'ended']);
  const shown = await cli.run(['show', 'drain', '--json']);
  expect(jsonLines(shown.stdout)).toMatchObject([{ state: { steps: { drain: { kind: 'completed' } } } }]);
});

test('an interrupted run of --json says so in JSON', async () => {
  const run = await startRun('drain-json', 'gate', '--json');
  run.kill('SIGINT');
  await run.says(/Stopping/);
  team.open('drain-json');
  const { code, stdout } = await run.ended;
  expect(code).toBe(130);
  expect(jsonLines(stdout)).toMatchObject([{ task: 'drain-json', status: 'running' }]);
});

test('Ctrl-C twice ends a run at once, whatever its agents do', async () => {
  const run = await startRun('twice', 'stubborn');
  run.kill('SIGINT');
  await run.says(/Stopping/);
  const asked = Date.now();
  run.kill('SIGINT');
  const { code, stderr } = await run.ended;
  expect(code).toBe(130);
  expect(Date.now() - asked).toBeLessThan(2000);
  expect(stderr).not.toMatch(TRACE);
});

test('Ctrl-C before a worker is ready ends a run with 130', async () => {
  const run = cli.start(['run', 'a goal', '--plan', team.plan('early', step('early', 'echo'))]);
  await run.says(/Temporal .* at/);
  run.kill('SIGINT');
  const { code, stdout, stderr } = await run.ended;
  expect(code).toBe(130);
  expect(`${stdout}${stderr}`).not.toMatch(TRACE);
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends a worker with 0 once its agents are done',
  async (signal) => {
    const id = `worker-${signal.toLowerCase()}`;
    const worker = await cli.worker('--cadre', id);
    const run = await startRun(id, 'gate', '--no-worker');
    worker.kill(signal);
    await worker.says(/Stopping: takes no new work/);
    team.open(id);
    const { code, stdout, stderr } = await worker.ended;
    expect(code).toBe(0);
    expect(stdout).toContain('Stopped.');
    expect(`${stdout}${stderr}`).not.toMatch(TRACE);
    expect(team.has('ended', id)).toBe(true);
    run.kill('SIGKILL');
  },
);

test('a worker whose grace is over aborts its agents, and another takes what they had', async () => {
  const worker = await cli.worker('--cadre', 'grace', '--grace', '0');
  const run = await startRun('grace', 'gate', '--no-worker');
  worker.kill('SIGINT');
  expect((await worker.ended).code).toBe(0);
  expect(team.has('aborted', 'grace')).toBe(true);
  team.open('grace');
  await cli.worker('--cadre', 'grace');
  expect((await run.ended).code).toBe(0);
});

test('Ctrl-C twice ends a worker at once with 130', async () => {
  const worker = await cli.worker('--cadre', 'worker-twice');
  const run = await startRun('worker-twice', 'stubborn', '--no-worker');
  worker.kill('SIGINT');
  await worker.says(/Stopping/);
  worker.kill('SIGINT');
  expect((await worker.ended).code).toBe(130);
  run.kill('SIGKILL');
});

test('a run goes on after the run whose worker it used has ended', async () => {
  const cadre = 'together';
  const plan = (id: string): string =>
    team.plan(id, step(`${id}-gate`, 'gate'), step(id, 'echo', { needs: [`${id}-gate`] }));
  const start = (id: string): CliProcess =>
    cli.start(['run', 'a goal', '--plan', plan(id), '--cadre', cadre, '--id', id]);
  const first = start('first');
  await until(() => team.has('began', 'first-gate'));
  const second = start('second');
  await until(() => team.has('began', 'second-gate'));
  team.open('first-gate');
  expect((await first.ended).code).toBe(0);
  team.open('second-gate');
  await until(() => second.child.exitCode !== null, 15_000);
  expect((await second.ended).code).toBe(0);
}, 40_000);

test('two runs started at once both end', async () => {
  const ids = ['at-once-1', 'at-once-2'];
  for (const id of ids) team.open(id);
  const runs = ids.map((id) => {
    const plan = team.plan(id, step(id, 'gate'), step(`${id}-last`, 'echo', { needs: [id] }));
    return cli.start(['run', 'a goal', '--plan', plan, '--cadre', 'at-once', '--id', id]);
  });
  await until(() => runs.every(({ child }) => child.exitCode !== null), 20_000);
  expect(await Promise.all(runs.map(async ({ ended }) => (await ended).code))).toEqual([0, 0]);
}, 40_000);

test('a reader that stops early ends the command without a trace', async () => {
  const plan = team.plan(
    'many',
    ...Array.from({ length: 50 }, (_, index) => step(`m${index}`, 'echo', { input: 'x'.repeat(4000) })),
  );
  await cli.run(['run', 'a goal', '--plan', plan, '--id', 'many', '--json']);
  const listed = await cli.shell('$CADRE show many --events --json | head -1');
  expect(jsonLines(listed.stdout)).toMatchObject([{ number: 1, type: 'taskStarted' }]);
  expect(listed.stderr).toBe('');
  const run = await cli.shell(
    `$CADRE run 'a goal' --plan ${plan} --id many-2 --follow --json 2>err.txt | head -1`,
  );
  expect(jsonLines(run.stdout)).toMatchObject([{ type: 'taskStarted' }]);
  expect(existsSync(join(cli.folder.path, 'err.txt'))).toBe(true);
  const closed = await cli.shell('$CADRE show many --step m0 >&-');
  expect(closed.stderr).not.toMatch(TRACE);
});
