// What a user gets wrong: no server is needed to say so, and none is asked.
import { step } from '../support/agents';
import { pickPort } from '../../src/workers/server';
import { Cli, TRACE, json, sane } from '../support/cli';
import { CliTeam } from '../support/cli-team';
import { TemporaryFolder } from '../support/temporary-folder';

let folder: TemporaryFolder;
let team: CliTeam;
let cli: Cli;

beforeAll(async () => {
  folder = new TemporaryFolder();
  team = new CliTeam(folder);
  cli = Cli.at({ address: `127.0.0.1:${await pickPort([])}` }, folder);
}, 60_000);

afterAll(async () => {
  await cli.stop();
  folder.remove();
});

describe('what is wrong is said with 2 before anything starts:', () => {
  test.each<[string, string[], RegExp]>([
    ['an unknown command', ['rum'], /unknown command 'rum'/],
    ['an unknown option', ['run', '--doc', 'x'], /unknown option '--doc'/],
    ['a missing argument', ['show'], /missing required argument/],
    ['a limit out of range', ['list', '--limit', '0'], /from 1 to 10,000/],
    ['a concurrency out of range', ['worker', '--concurrency', '1.5'], /from 1 to 1,?000/],
    ['an empty goal', ['run', ' '], /goal is empty/],
    ['documents without a question', ['run', '--docs', '.'], /say what/],
    ['a folder that is not there', ['run', 'q', '--docs', 'nowhere'], /There is no folder/],
    ['a folder whose name is too long', ['run', 'q', '--docs', 'x'.repeat(5000)], /✗/],
    ['a folder that is a file', ['run', 'q', '--docs', 'cadre.config.js'], /There is no folder/],
    ['a goal over 8 KiB', ['run', 'x'.repeat(8193)], /8193 bytes; the limit is 8192/],
    ['a plan that is not there', ['run', 'q', '--plan', 'nowhere.json'], /Cannot read the plan nowhere/],
    ['a plan that is a folder', ['run', 'q', '--plan', '.'], /✗/],
    ['a plan that is no JSON', ['run', 'q', '--plan', 'cadre.config.js'], /is not JSON/],
    ['a plan without steps', ['run', 'q', '--plan', 'empty.json'], /at least one step/],
    ['a bad id', ['run', 'q', '--id', 'a b', '--plan', 'good.json'], /Expected `id`/],
    ['a bad cadre', ['list', '--cadre', 'Not A Name'], /cadre name/],
    ['a configuration that is not there', ['worker', '--config', 'nowhere.js'], /no configuration file/],
    ['a pool without agents', ['worker', '--pool', 'none'], /No agent is in the pool/],
    ['an unknown role', ['worker', '--role', 'boss'], /one of leader, workflows, agents/],
    ['a pool for no agents', ['worker', '--role', 'leader', '--pool', 'main'], /add --role agents/],
    ['an unknown profile', ['list', '--profile', 'nowhere'], /nowhere/],
  ])('%s', async (_what, args, message) => {
    team.plan('empty');
    team.plan('good', step('a', 'echo', { input: 1 }));
    const ended = await cli.run(args);
    expect(`${ended.stdout}${ended.stderr}`).toMatch(message);
    sane(ended);
    expect(ended.code).toBe(2);
  });
});

test('a server that does not answer gives 3, its address and what to do', async () => {
  const commands = [['run', 'a goal'], ['list'], ['show', 'x'], ['cancel', 'x'], ['worker'], ['doctor']];
  for (const ended of await Promise.all(commands.map((args) => cli.run(args)))) {
    sane(ended);
    const text = `${ended.stdout}${ended.stderr}`;
    expect(text).toContain(`No Temporal server answers at ${cli.environment['TEMPORAL_ADDRESS']}`);
    expect(text).toContain('→ Start a server with `cadre server`');
    expect(ended.code).toBe(3);
  }
}, 30_000);

test('an address that is none is named', async () => {
  const addresses = ['nonsense', '127.0.0.1:99999', 'http://', ':7233'];
  const runs = addresses.map((address) => cli.run(['list', '--json', '--address', address]));
  for (const [index, ended] of (await Promise.all(runs)).entries()) {
    expect(json(ended)).toMatchObject({
      error: { message: expect.stringContaining(addresses[index] ?? '') as string },
    });
    expect([2, 3]).toContain(ended.code);
  }
}, 30_000);

test('a stack trace is shown where CADRE_DEBUG asks for it', async () => {
  const ended = await cli.run(['run', ' '], { CADRE_DEBUG: '1' });
  expect(`${ended.stdout}${ended.stderr}`).toMatch(TRACE);
});
