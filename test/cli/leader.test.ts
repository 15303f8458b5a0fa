// cadre leader and cadre worker --role as a user types them, against a real server with real processes.
import type { ElectionState } from '../../src/core/election';
import type { CadreClient } from '../../src/client/cadre-client';
import { step } from '../support/agents';
import { type Ended, json, jsonLines, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { CliTeam } from '../support/cli-team';

let cli: CliStage;
let team: CliTeam;
let client: CadreClient;

beforeAll(async () => {
  cli = await CliStage.start();
  team = new CliTeam(cli.folder);
  client = await cli.client();
}, 60_000);

afterAll(() => cli.close());

const leads = async (): Promise<number | undefined> => {
  const { leader } = await client.leader();
  return leader === undefined ? undefined : Number(leader.identity.split('@')[0]);
};

test('before anybody stands, nobody leads, and it says how to change that', async () => {
  const ended = await cli.run(['leader']);
  sane(ended);
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(/Nobody leads cadre, and nobody stands: .*cadre worker/);
  expect(await cli.json(['leader'])).toMatchObject({
    status: 'none',
    term: 0,
    candidates: [],
  });
  const resign = await cli.run(['leader', 'resign']);
  sane(resign);
  expect(resign.code).toBe(1);
  expect(resign.stdout).toMatch(/Nobody leads "cadre": it has no election/);
});

test('a task waits for a leader, says so, and goes on when one comes', async () => {
  const helper = await cli.worker('--json', '--role', 'workflows', '--role', 'agents');
  expect(jsonLines(helper.stdout)[0]).toMatchObject({ roles: ['workflows', 'agents'], queues: ['cadre'] });
  const file = team.plan('waits', step('a', 'echo', { input: 1 }));
  const run = cli.start(['run', 'a goal', '--id', 'waits', '--plan', file]);
  await run.says(/Nobody stands for leader of cadre/);
  await until(
    async () =>
      (
        await client
          .task('waits')
          .pending()
          .catch(() => [])
      ).length === 1,
  );
  expect(await client.task('waits').pending()).toMatchObject([{ step: 'plan', kind: 'scheduled' }]);
  const shown = await cli.run(['show', 'waits']);
  sane(shown);
  expect(shown.stdout).toMatch(/plan: waits for a leader/);
  const leader = await cli.worker('--json', '--role', 'leader');
  expect(jsonLines(leader.stdout)[0]).toMatchObject({ roles: ['leader'], queues: [] });
  expect((await run.ended).code).toBe(0);
  expect(await leads()).toBe(leader.pid);
}, 60_000);

test('who leads, since when, who stands, in lines, in JSON and by query', async () => {
  const other = await cli.worker('--role', 'leader');
  const now = Date.now();
  const ended = await cli.run(['leader']);
  sane(ended);
  const [holder, term] = [await leads(), (await client.leader()).term];
  expect(ended.stdout).toMatch(new RegExp(`✓ ${holder}@.* leads cadre in term ${term}, for `));
  expect(ended.stdout).toMatch(new RegExp(`${holder}@\\S+ +leads, renewed its lease `));
  expect(ended.stdout).toMatch(new RegExp(`${other.pid}@\\S+ +stands, asked for a term `));
  expect(ended.stdout).toMatch(/Web UI +http.*\/workflows\/cadre\.election/);
  const report = (await cli.json(['leader'])) as unknown as { leader: { since: number } };
  expect(report).toMatchObject({
    status: 'running',
    term,
    leader: { identity: expect.stringMatching(`^${holder}@`) as string },
    candidates: [{ leads: true }, { leads: false }],
  });
  expect(now - report.leader.since).toBeLessThan(60_000);
  const state = await client.temporal.workflow.getHandle('cadre.election').query<ElectionState>('leader');
  expect(state).toMatchObject({ term, leader: { identity: expect.stringMatching(`^${holder}@`) as string } });
}, 30_000);

test('resign hands over to another, who is named; watch tells of both', async () => {
  const before = { pid: await leads(), term: (await client.leader()).term };
  const watching = cli.start(['leader', '--watch']);
  await watching.says(/leads cadre/);
  const ended = await cli.run(['leader', 'resign']);
  sane(ended);
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(new RegExp(`Asked ${before.pid}@\\S+ to hand over term ${before.term}`));
  expect(await leads()).not.toBe(before.pid);
  expect(ended.stdout).toMatch(
    new RegExp(`✓ ${await leads()}@\\S+ leads cadre in term ${before.term + 1}\n`),
  );
  await watching.says(new RegExp(`term ${before.term} ended: ${before.pid}@\\S+ resigned`));
  await watching.says(new RegExp(`${await leads()}@\\S+ leads cadre in term ${before.term + 1}`));
  watching.kill('SIGINT');
  expect((await watching.ended).code).toBe(0);
  expect((await client.leader()).past[0]).toMatchObject({ term: before.term, how: 'resigned' });
}, 30_000);

test('a leader that is stopped steps down, one that is killed loses its heartbeat', async () => {
  const first = (await leads()) ?? 0;
  const { term } = await client.leader();
  process.kill(first, 'SIGTERM');
  await until(async () => (await leads()) !== first && (await leads()) !== undefined);
  const second = (await leads()) ?? 0;
  process.kill(second, 'SIGKILL');
  await until(async () => (await client.leader()).past[0]?.term === term + 1);
  const { past } = await client.leader();
  expect(past.slice(0, 2)).toMatchObject([
    { term: term + 1, how: 'lostHeartbeat', leader: expect.stringMatching(`^${second}@`) as string },
    { term, how: 'steppedDown', leader: expect.stringMatching(`^${first}@`) as string },
  ]);
  const ended = await cli.run(['leader']);
  sane(ended);
  expect(ended.stdout).toMatch(/Nobody leads cadre, and nobody stands: start a candidate/);
  expect(ended.stdout).toMatch(new RegExp(`${term + 1} .* lost its heartbeat\n`));
}, 30_000);

test('a leader that resigns alone leads again, and is said to; in JSON too', async () => {
  const only = await cli.worker('--role', 'leader');
  await until(async () => (await leads()) === only.pid);
  const { term } = await client.leader();
  const watching = cli.start(['leader', '--watch', '--json']);
  await until(() => watching.stdout.includes('\n'));
  const identity = expect.stringMatching(`^${only.pid}@`) as string;
  const resign = (...args: string[]): Promise<Ended> => cli.run(['leader', 'resign', ...args]);
  await until(async () => (await announcedTerm()) === term);
  const ended = await resign();
  sane(ended);
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(
    new RegExp(`✓ ${only.pid}@\\S+ leads cadre in term ${term + 1} again, since nobody else stood\n`),
  );
  await until(async () => (await announcedTerm()) === term + 1);
  expect(json(await resign('--json'))).toEqual({
    resigned: { term: term + 1, identity },
    next: { term: term + 2, identity },
  });
  await until(() => jsonLines(watching.stdout).some((report) => report['term'] === term + 2));
  watching.kill('SIGINT');
  expect((await watching.ended).code).toBe(0);
  const [first, ...later] = jsonLines(watching.stdout);
  expect(first).toMatchObject({ term, status: 'running', leader: { identity } });
  expect(later.map((report) => report['term'])).toContain(term + 1);
}, 30_000);

/** The term whose leader the election knows by name, so that it can be asked to resign; 0 where there is none. */
async function announcedTerm(): Promise<number> {
  const { term, leader } = await client.temporal.workflow
    .getHandle('cadre.election')
    .query<ElectionState>('leader');
  return leader === undefined ? 0 : term;
}
