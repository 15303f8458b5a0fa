// log, state, diff and why of tasks on a real server, as a user types them.
import { step } from '../support/agents';
import { type CliProcess, type Ended, json, jsonLines, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { CliTeam } from '../support/cli-team';

let cli: CliStage;
let team: CliTeam;
let worker: CliProcess;

beforeAll(async () => {
  cli = await CliStage.start();
  team = new CliTeam(cli.folder);
  worker = await cli.worker();
}, 60_000);

afterAll(() => cli.close());

async function run(...args: readonly string[]): Promise<Ended> {
  const ended = await cli.run(args);
  sane(ended);
  return ended;
}

const LARGE = 'x'.repeat(50_000);

describe('a task that is done', () => {
  beforeAll(async () => {
    const file = team.plan(
      'done',
      step('a', 'echo', { input: { large: LARGE } }),
      step('b', 'echo', { input: 1 }),
      step('c', 'echo', { needs: ['a', 'b'] }),
    );
    await cli.run(['run', 'a goal', '--id', 'done', '--plan', file]);
    await cli.run(['run', 'a goal', '--id', 'again', '--plan', file]);
  }, 60_000);

  test('log and show --events are the same', async () => {
    const [log, shown] = await Promise.all([run('log', 'done'), run('show', 'done', '--events')]);
    expect(log.stdout).toBe(shown.stdout);
    expect(log.stdout).toMatch(new RegExp(`\\n +\\d+ .* echo +a +stepStarted attempt 1 on ${worker.pid}@`));
  }, 30_000);

  test('state has outputs from the artifact store, and who led in its term', async () => {
    const state = await cli.json(['state', 'done']);
    expect(state).toMatchObject({
      state: { phase: { kind: 'completed' }, steps: { a: { output: { bytes: 50_012 } } } },
      outputs: { a: { large: LARGE }, b: 1 },
      leader: expect.stringContaining(String(worker.pid)) as string,
      missing: [],
    });
    const { number } = state;
    const before = await cli.json(['state', 'done', '--at', '3']);
    expect(before).toMatchObject({ number: 3, state: { steps: { a: { kind: 'waiting' } } }, outputs: {} });
    expect((await run('state', 'done')).stdout).toMatch(new RegExp(`after +event ${String(number)}, .*\\n`));
    expect((await run('state', 'done')).stdout).toMatch(new RegExp(`term +\\d+, led by .*${worker.pid}`));
  }, 30_000);

  test('state names the leader of the cadre that the task is of', async () => {
    expect(await cli.json(['state', 'done', '--cadre', 'other'])).toMatchObject({
      leader: expect.stringContaining(String(worker.pid)) as string,
    });
  });

  test('the client has the same', async () => {
    const client = await cli.client();
    const { number, state } = await client.stateAt('done', { number: 3 });
    expect([number, state.phase]).toEqual([3, { kind: 'running' }]);
    const { before, after, differences } = await client.log('done').diff({ number: 3 }, { number: 4 });
    expect([before.number, after.number, differences]).toMatchObject([3, 4, [{ path: ['steps', 'a'] }]]);
    expect(await client.log('done').compare(client.log('again'))).toEqual({ ends: [] });
    expect((await client.log('done').why('a')).at(-1)?.event).toMatchObject({ type: 'taskStarted' });
  });

  test('another run of the same says the same', async () => {
    expect((await run('diff', 'done', 'again')).stdout).toBe(
      'They say the same, as far as both go.\n\nThey stand the same.\n',
    );
  });

  test('a run that put out something else parts there', async () => {
    const file = team.plan(
      'otherwise',
      step('a', 'echo', { input: { large: LARGE } }),
      step('b', 'gate'),
      step('c', 'echo', { needs: ['a', 'b'] }),
    );
    team.open('b');
    await cli.run(['run', 'a goal', '--id', 'otherwise', '--plan', file]);
    const { stdout } = await run('diff', 'done', 'otherwise');
    expect(stdout).toMatch(
      /^They part at the task:\n\n {2}done +#3 {2}planned .*\n {2}otherwise +#3 {2}planned /,
    );
    expect(stdout).toMatch(/\n {2}plan\.steps\.b\.agent +"echo" +"gate"\n/);
    expect(stdout).toMatch(/\n {2}steps\.b\.output\.value +1 +"b"\n/);
  }, 30_000);

  test('why goes back to the goal, with a large output from the artifact store', async () => {
    const { stdout } = await run('why', 'done', 'c');
    expect(stdout).toMatch(/^#\d+ ← #\d+ {2}c {2}put out \{"goal":"a goal",/);
    expect(stdout).toMatch(/ a {2}put out \{"large":"xxx/);
    expect(stdout).toMatch(/\n +#1 {2}task {2}the goal: a goal\n/);
  });
});

test('log --follow goes on as it happens, until the task ends', async () => {
  const file = team.plan(
    'followed',
    step('followed', 'gate'),
    step('after', 'echo', { needs: ['followed'] }),
  );
  await cli.run(['run', 'a goal', '--id', 'followed', '--detach', '--no-worker', '--plan', file]);
  const following = cli.start(['log', 'followed', '--follow', '--json']);
  await until(() => following.stdout.includes('"stepScheduled"'));
  expect(await cli.json(['state', 'followed'])).toMatchObject({
    state: { steps: { followed: { kind: 'scheduled' }, after: { kind: 'waiting' } } },
  });
  team.open('followed');
  const { code, stdout } = await following.ended;
  expect(code).toBe(0);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ type: 'taskCompleted' });
}, 60_000);

test('log --follow ends with Ctrl-C, the task goes on', async () => {
  const file = team.plan('left', step('left', 'gate'));
  await cli.run(['run', 'a goal', '--id', 'left', '--detach', '--no-worker', '--plan', file]);
  const following = cli.start(['log', 'left', '--follow']);
  await following.says(/stepScheduled/);
  following.kill('SIGINT');
  const ended = await following.ended;
  sane(ended);
  expect(ended.code).toBe(0);
  expect(await cli.json(['state', 'left'])).toMatchObject({ state: { phase: { kind: 'running' } } });
  team.open('left');
}, 60_000);

test('why of a step that failed for good, and of what waits behind it', async () => {
  const file = team.plan('failed', step('a', 'broken'), step('b', 'echo', { needs: ['a'] }));
  await cli.run(['run', 'a goal', '--id', 'failed', '--plan', file]);
  const [last, before] = (await run('why', 'failed', 'a')).stdout.split('\n');
  expect(last).toMatch(/^#8 ← #6 {2}a {2}notAssigned nobody else: /);
  expect(before).toBe('  #6 ← #4  a  stepFailed failed: no such city');
  expect((await run('why', 'failed', 'b')).stdout).toMatch(/^#3 ← #1 {2}\S+ {2}planned 2 steps/);
  expect((await run('why', 'failed')).stdout).toMatch(/^#\d+ ← #\d+ {2}task {2}taskFailed StepFailed: /);
}, 30_000);

test.each([
  [['log', 'nowhere']],
  [['log', 'nowhere', '--follow']],
  [['state', 'nowhere']],
  [['diff', 'nowhere', '1', '2']],
  [['diff', 'nowhere', 'elsewhere']],
  [['why', 'nowhere', 'a']],
])('cadre %j knows no such task', async (args) => {
  const ended = await cli.run([...args, '--json']);
  expect(ended.code).toBe(1);
  expect(json(ended)).toMatchObject({ error: { type: 'TaskNotFound' } });
});
