// export and verify as a user types them: from a real server, and then without it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { step } from '../support/agents';
import { type Ended, json, sane } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { CliTeam } from '../support/cli-team';

let cli: CliStage;
let team: CliTeam;
let file: string;
let exported: Ended;
let head: string;
let text: string;

beforeAll(async () => {
  cli = await CliStage.start();
  team = new CliTeam(cli.folder);
  const plan = team.plan('trip', step('a', 'echo', { input: 1 }), step('b', 'echo', { needs: ['a'] }));
  await cli.run(['run', 'a trip', '--id', 'trip', '--plan', plan]);
  file = join(cli.folder.path, 'trip.json');
  exported = await cli.shell(`$CADRE export trip > ${file}`);
  head = /head ([0-9a-f]{64})/.exec(exported.stderr)?.[1] ?? '';
  text = readFileSync(file, 'utf8');
}, 60_000);

afterAll(() => cli.close());

/** What verify says of the export with its text changed. */
async function verified(change: (text: string) => string, ...flags: string[]) {
  const path = join(cli.folder.path, 'changed.json');
  writeFileSync(path, change(text));
  const ended = await cli.run(['verify', path, ...flags]);
  sane(ended);
  return ended;
}

test('export names its head on standard error, and verify finds nothing wrong', async () => {
  sane(exported);
  expect(exported).toMatchObject({ code: 0, stdout: '' });
  expect(exported.stderr).toMatch(
    /^trip: 1 run, \d+ events; \d+ events in the log\nhead [0-9a-f]{64}: keep it elsewhere/,
  );
  const ended = await cli.run(['verify', file, '--head', head]);
  sane(ended);
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(
    /as it was exported\n {2}task trip, at .* UTC\n {2}1 run, \d+ events; \d+ events in the log\n/,
  );
  expect(ended.stdout).toContain(`head ${head}, the one that was kept`);
  const report = json(await cli.run(['verify', file, '--json']));
  expect(report).toMatchObject({ file, intact: true, head, problems: [], header: { workflowId: 'trip' } });
});

test('verify ends with 1, and names the place, where a word of the log was changed', async () => {
  const { code, stdout } = await verified((all) =>
    all.replace('"type":"stepCompleted"', '"type":"stepCancelled"'),
  );
  expect(code).toBe(1);
  expect(stdout).toMatch(/changed\.json is not as it was exported:\n/);
  expect(stdout).toMatch(/line \d+: file and chain part here/);
  expect(stdout).toMatch(/line \d+: event \d+ of the log: it is not what the events say/);
});

test('verify ends with 1 for another head than the one that was kept', async () => {
  const { code, stdout } = await verified((all) => all, '--head', 'f'.repeat(64));
  expect(code).toBe(1);
  expect(stdout).toContain(`the one that was kept is ${'f'.repeat(64)}`);
});

test('verify ends with 2 for what is no export, and for what is no head', async () => {
  const other = await verified(() => 'name: trip\n');
  expect(other.code).toBe(2);
  expect(`${other.stdout}${other.stderr}`).toContain('it is no export of Cadre');
  const short = await cli.run(['verify', file, '--head', 'abc']);
  expect(short.code).toBe(2);
  sane(short);
});

test('export of a task that is not there ends with 1, and writes nothing to standard output', async () => {
  const ended = await cli.run(['export', 'none']);
  sane(ended);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain('There is no task "none"');
  expect(ended.stdout).toBe('');
});

test('the log is read from the file without the server', async () => {
  const away = { TEMPORAL_ADDRESS: '127.0.0.1:1' };
  const fromFile = await cli.run(['log', file, '--json'], away);
  const fromServer = await cli.run(['log', 'trip', '--json']);
  expect(fromFile.code).toBe(0);
  expect(fromFile.stdout).toBe(fromServer.stdout);
  const missing = await cli.run(['log', join(cli.folder.path, 'none.json')], away);
  expect(missing.code).toBe(2);
  expect(`${missing.stdout}${missing.stderr}`).toContain('there is no such file');
});
