// cadre fork as a user types it: on the server that the task is on, and from a file where that server is lost.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { json, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { CliTeam } from '../support/cli-team';

const PLAN = [
  { id: 'first', agent: 'echo', instruction: 'say it', input: 'hello' },
  { id: 'second', agent: 'gate', instruction: 'wait', needs: ['first'] },
  { id: 'third', agent: 'echo', instruction: 'say more', input: { $output: 'first' }, needs: ['second'] },
];

let cli: CliStage;
let team: CliTeam;
beforeAll(async () => {
  cli = await CliStage.start();
  team = new CliTeam(cli.folder);
  team.plan('plan', ...PLAN);
  await cli.worker();
  await cli.run(['run', 'try it', '--plan', 'plan.json', '--id', 'tried', '--detach', '--no-worker']);
  await until(() => team.has('began', 'second'));
}, 60_000);
afterAll(() => cli.close());

const began = (of: CliTeam, root: string): string[] =>
  of.lines().flatMap(({ what, step, key }) => (what === 'began' && key.startsWith(`${root}/`) ? [step] : []));

test('it says what is shared and what runs again, follows the fork to its end, and names it', async () => {
  const fork = cli.start([
    'fork',
    'tried',
    '--at',
    'last',
    '--set',
    'steps.third.input={"to":"all"}',
    '--agent',
    'second=echo',
    '--no-worker',
  ]);
  const ended = await fork.ended;
  sane(ended);
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(/forks {3}tried, after event \d+\n/);
  expect(ended.stdout).toMatch(/task {4}tried\.fork-1\n/);
  expect(ended.stdout).toMatch(/shares {2}1 step: first\n/);
  expect(ended.stdout).toMatch(/! second had begun in tried .* another idempotency key/);
  expect(ended.stdout).toMatch(/✓ tried\.fork-1 is completed/);
  expect(began(team, 'tried.fork-1')).toEqual(['second', 'third']);
  const log = await cli.run(['log', 'tried', '--tree']);
  expect(log.stdout).toMatch(/^tried .*running\n +tried\.fork-1 .*completed.*#\d+/m);
});

test('with --json it is one value; with --detach it is not waited for', async () => {
  const value = await cli.json(['fork', 'tried', '--at', '3', '--detach', '--no-worker']);
  expect(value).toMatchObject({ task: 'tried.fork-2' });
  await until(async () => (await cli.run(['show', 'tried.fork-2'])).stdout.includes('second'));
  const followed = json(await cli.run(['fork', 'tried', '--agent', 'second=echo', '--no-worker', '--json']));
  expect(followed).toMatchObject({
    task: 'tried.fork-3',
    fork: { of: 'tried', shared: ['first'] },
    status: 'completed',
    outputs: { third: 'hello' },
  });
});

test.each<[string, string[], number, RegExp]>([
  ['a change that is none', ['tried', '--set', 'nonsense'], 2, /--set .*name=value.*"nonsense"/],
  ['a point that is none', ['tried', '--at', 'soon'], 2, /--at/],
  ['an event that there is not', ['tried', '--at', '999'], 2, /1 to \d+/],
  ['a step that there is not', ['tried', '--agent', 'fourth=echo'], 2, /first, second, third/],
  ['a task that there is not', ['nobody'], 1, /There is no task "nobody"/],
  ['a file that is no history', ['./plan.json'], 2, /plan\.json/],
])('%s is refused with what to do, and without a trace', async (_what, args, code, message) => {
  const ended = await cli.run(['fork', ...args, '--no-worker']);
  sane(ended);
  expect(ended.stdout + ended.stderr).toMatch(message);
  expect(ended.code).toBe(code);
});

test('a task whose server is lost goes on from its export on another, and repeats nothing that was done', async () => {
  const exported = await cli.shell('$CADRE export tried > tried.json');
  expect(exported.code).toBe(0);
  const other = await CliStage.start();
  try {
    cli.server.kill();
    const otherTeam = new CliTeam(other.folder);
    copyFileSync(join(cli.folder.path, 'tried.json'), join(other.folder.path, 'tried.json'));
    otherTeam.open('second');
    const ended = await other.run(['fork', 'tried.json', '--at', 'last']);
    sane(ended);
    expect(ended.stdout).toMatch(/forks {3}tried, after event \d+\n/);
    expect(ended.stdout).toMatch(/✓ tried\.fork-1 is completed/);
    expect(ended.code).toBe(0);
    expect(began(otherTeam, 'tried.fork-1')).toEqual(['second', 'third']);
    const state = await other.json(['state', 'tried.fork-1']);
    expect(JSON.stringify(state)).toMatch(/hello/);
  } finally {
    await other.close();
  }
}, 60_000);
