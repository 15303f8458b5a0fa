// cadre state --fleet as a user types it, against a real server with real processes.
import type { CadreClient } from '../../src/client/cadre-client';
import type { FleetCut } from '../../src/client/fleet';
import { pickPort } from '../../src/workers/server';
import { step } from '../support/agents';
import { type Ended, json, sane, until } from '../support/cli';
import { memorySource } from '../support/cli-memory';
import { CliStage } from '../support/cli-stage';

let cli: CliStage;
let client: CadreClient;
let before: number;
let between: number;

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', memorySource());
  client = await cli.client();
  before = Date.now();
  const worker = await cli.worker();
  await client.startSaga(
    {
      name: 'a verdict',
      steps: [{ ...step('judge', 'judge', { input: { verdict: 'guilty' } }), approval: {} }],
    },
    { id: 'verdict' },
  );
  await until(async () => (await client.task('verdict').describe()).state.phase.kind === 'awaitingApproval');
  between = Date.now();
  await until(() => Date.now() > between + 5);
  const { hash } = await client.task('verdict').question('judge');
  await client.task('verdict').answer('judge', 'yes', { hash });
  await client.task('verdict').result();
  await until(async () => (await client.checkKnowledge()).agree && (await client.agents()).length === 1);
  // Nothing of it needs a worker.
  worker.kill('SIGKILL');
  await worker.ended;
}, 60_000);

afterAll(() => cli.close());

async function fleet(...args: string[]): Promise<Ended> {
  const ended = await cli.run(['state', '--fleet', ...args]);
  sane(ended);
  return ended;
}

const iso = (time: number): string => new Date(time).toISOString();

test('at a time: who led, what was open, and that it is causal', async () => {
  const { code, stdout } = await fleet('--at', iso(between));
  expect(code).toBe(0);
  expect(stdout).toContain(`cadre at ${iso(between).replace('Z', ' UTC')}\n`);
  expect(stdout).toMatch(/^ {2}leader {4}\d+@\S+ in term \d+, since [\d:T-]{19}$/m);
  expect(stdout).toMatch(/^ {2}open {6}1 task or saga$/m);
  expect(stdout).toMatch(/^ {2}verdict +awaits approval of judge +0 of 1 +\d+, [\d:T-]{19} +a verdict$/m);
  expect(stdout).toMatch(/^✓ causal: nobody had received a signal that was not sent yet$/m);
  expect(stdout).toMatch(/^ {2}reaches back to [\d:T-]{19} UTC;/m);
  expect(stdout).not.toMatch(/REPLICA/);
});

test('now: what agents know, with their version vectors', async () => {
  const { code, stdout } = await fleet();
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ {2}open {6}nothing$/m);
  expect(stdout).toMatch(/^ {2}REPLICA +TASKS +DECISIONS +KNOWS +VERSION VECTOR$/m);
  expect(stdout).toMatch(/^ {2}judge +1 +1 +\d entries +judge:\w+ \d+$/m);
});

test('before there was a cadre', async () => {
  const { code, stdout } = await fleet('--at', iso(before - 1000));
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ {2}leader {4}nobody: there was no election$/m);
  expect(stdout).toMatch(/^ {2}open {6}nothing$/m);
});

test('in JSON it is what the SDK says', async () => {
  const value = json(await fleet('--at', iso(between), '--json')) as unknown as FleetCut;
  const { reach: _there, ...said } = value;
  const { reach: _here, ...read } = await client.fleetAt(between);
  expect(said).toEqual(JSON.parse(JSON.stringify(read)));
});

test('so long ago that the server has forgotten what ended, it says so', async () => {
  const { code, stdout } = await fleet('--at', '4000d');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^! what ended before [\d:T-]{19} UTC is forgotten: this cut lacks/m);
});

describe('what cannot be meant is refused with 2 before anything is sent:', () => {
  test.each<[string, string[], RegExp]>([
    ['the number of an event', ['--at', '7'], /--at to be with --fleet a time/],
    ['a time in words', ['--at', 'yesterday'], /--at .* such as 30m, 2h or 7d/],
  ])('%s', async (_what, args, message) => {
    const ended = await fleet(...args, '--address', `127.0.0.1:${await pickPort([])}`);
    expect(ended.code).toBe(2);
    expect(`${ended.stdout}${ended.stderr}`).toMatch(message);
  });
});

test('a time that is to come is refused', async () => {
  const ended = await fleet('--at', iso(Date.now() + 60 * 60 * 1000));
  expect(ended.code).toBe(2);
});

test('what was open and cannot be read is named, and keeps nothing of the rest', async () => {
  await client.temporal.workflow.start('breaker', {
    workflowId: 'cadre.breaker.odd',
    taskQueue: 'cadre.breakers',
    args: ['no breaker'],
  });
  await until(async () => (await client.fleetAt()).unread.length === 1);
  const { code, stdout } = await fleet();
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\? cadre\.breaker\.odd: Expected the key of a breaker/m);
  expect(stdout).toMatch(/^ {2}judge +1 +1/m);
  const { unread, breakers } = await client.fleetAt();
  expect(unread).toMatchObject([{ workflow: 'cadre.breaker.odd', type: 'breaker' }]);
  expect(breakers).toEqual([]);
});
