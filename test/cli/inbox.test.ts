// cadre inbox and cadre answer as a user types them, against a real server.
import { join } from 'node:path';
import { ROOT, json, jsonLines, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';

let cli: CliStage;

const SOURCE = `
const { ApplicationFailure, defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const make = (name, act) => defineAgent({ name, description: name, input: anything, output: anything, act });
module.exports = defineConfig({
  agents: [
    make('clerk', async (about, { ask }) =>
      (await ask({ name: 'pay', question: 'Shall I pay\\nthis?', options: ['yes', 'not now'], from: ['ada'], about, answerWithin: '1 day' })).answer),
    make('broken', () => { throw ApplicationFailure.nonRetryable('no such city', 'CityUnknown'); }),
    make('echo', (input) => input),
  ],
});
`;

const SAGA = `
name: all that waits
steps:
  - { id: pay, agent: clerk, instruction: pay the invoice, input: { to: ACME } }
  - { id: ship, agent: echo, needs: [], approval: true, input: 1 }
  - { id: tell, agent: broken, needs: [], kind: retryable }
  - { id: where, agent: person, needs: [], instruction: Where to?, input: { answerWithin: 1 hour } }
`;

const ALL = ['pay', 'ship', 'tell', 'where'];

async function inbox(task: string): Promise<Record<string, unknown>[]> {
  return jsonLines((await cli.run(['inbox', '--json'])).stdout).filter((item) => item['task'] === task);
}

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', SOURCE);
  cli.folder.write('all.yaml', SAGA);
  await cli.worker();
  cli.start(['saga', 'run', 'all.yaml', '--id', 'all']);
  await until(async () => (await inbox('all')).length === ALL.length);
}, 90_000);

afterAll(() => cli.close());

test('all that waits for a person is listed, with what to type', async () => {
  const listed = await cli.run(['inbox']);
  sane(listed);
  expect(listed.code).toBe(0);
  expect(listed.stdout).toMatch(
    /^all {2}pay asks: Shall I pay this\?\n {2}for .* · answers: yes, not now · from: ada · until 2\d{3}-.* UTC\n {2}→ cadre answer all pay ANSWER --hash [0-9a-f]{12} --as NAME$/m,
  );
  expect(listed.stdout).toMatch(
    /^all {2}ship asks for approval of its input .*\n {2}for .*\n {2}→ cadre answer all ship yes\|no/m,
  );
  expect(listed.stdout).toMatch(
    /^all {2}tell failed for good: no such city\n {2}for .*\n {2}→ cadre saga resolve all tell/m,
  );
  expect(listed.stdout).toMatch(/^all {2}where asks: Where to\?$/m);
  expect(listed.stdout).toMatch(/\n4 questions wait for a person in the cadre "cadre"\.\n$/);
  const items = await inbox('all');
  expect(new Set(items.map(({ step }) => step))).toEqual(new Set(ALL));
  expect(items.find(({ step }) => step === 'pay')).toMatchObject({
    kind: 'question',
    goal: 'all that waits',
    agent: 'clerk',
    instruction: 'pay the invoice',
    options: ['yes', 'not now'],
    from: ['ada'],
    since: expect.any(Number) as number,
    until: expect.any(Number) as number,
    hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
  });
  expect((await cli.run(['show', 'all'])).stdout).toMatch(/pay +clerk .*asks: Shall I pay this\?/);
  expect((await cli.run(['saga', 'show', 'all'])).stdout).toMatch(/↑ pay +clerk .*asks a person/);
  expect((await cli.run(['status'])).stdout).toMatch(
    /all +pay asks: Shall I pay this\? +→ cadre answer all pay/,
  );
});

test('a question is shown with what it is about, and takes only what may be said, of whoever may', async () => {
  const shown = await cli.run(['answer', 'all', 'pay']);
  sane(shown);
  expect(shown.stdout).toMatch(
    /^pay {2}clerk asks:\n {2}Shall I pay\n {2}this\?\n\n {2}\{\n {4}"to": "ACME"\n {2}\}\n\n {2}answers {2}yes, not now\n {2}from {2}ada\n {2}until {2}\S+ UTC\n {2}hash {2}([0-9a-f]{64})\n\n {2}→ cadre answer all pay ANSWER --hash [0-9a-f]{12} --as NAME\n$/,
  );
  const { hash } = json(await cli.run(['answer', 'all', 'pay', '--json']));
  const refused = await cli.run(['answer', 'all', 'pay', 'perhaps', '--as', 'ada']);
  sane(refused);
  expect([refused.code, refused.stdout]).toEqual([2, expect.stringMatching(/to be yes or not now/)]);
  const other = await cli.run(['answer', 'all', 'pay', 'yes', '--as', 'bob']);
  sane(other);
  expect([other.code, other.stdout]).toEqual([
    2,
    expect.stringMatching(/Expected --as to be ada, got "bob"/),
  ]);
  const nobody = await cli.run(['answer', 'all', 'pay', 'yes']);
  sane(nobody);
  expect([nobody.code, nobody.stdout]).toEqual([
    2,
    expect.stringMatching(/Expected --as to be ada, got nothing/),
  ]);
  const stale = await cli.run(['answer', 'all', 'pay', 'yes', '--as', 'ada', '--hash', 'f'.repeat(12)]);
  expect([stale.code, stale.stdout]).toEqual([1, expect.stringContaining(`asks about ${String(hash)}`)]);
  const said = ['answer', 'all', 'pay', 'not now', '--as', 'ada', '--note', 'too dear'];
  expect(json(await cli.run([...said, '--json']))).toMatchObject({
    task: 'all',
    step: 'pay',
    answer: 'not now',
    by: 'ada',
    note: 'too dear',
    hash,
  });
  const again = await cli.run(said);
  sane(again);
  expect([again.code, again.stdout]).toEqual([1, expect.stringMatching(/"pay" of all asks nothing: /)]);
  await until(async () =>
    (await cli.run(['show', 'all', '--events'])).stdout.includes('answered by ada: not now (too dear)'),
  );
});

test('any text answers a question without options', async () => {
  const answered = await cli.run(['answer', 'all', 'where', 'Rome, or Bari']);
  sane(answered);
  expect([answered.code, answered.stdout]).toEqual([
    0,
    expect.stringMatching(/✓ where has its answer\. See cadre show all\.\n$/),
  ]);
  await until(async () => {
    const { stdout } = await cli.run(['show', 'all', '--events']);
    return stdout.includes('A person answered: Rome, or Bari');
  });
});

test('nothing waits in a cadre of which nobody knows', async () => {
  const nothing = await cli.run(['inbox', '--cadre', 'nobody']);
  sane(nothing);
  expect([nothing.code, nothing.stdout]).toEqual([0, 'Nothing waits for a person in the cadre "nobody".\n']);
});
