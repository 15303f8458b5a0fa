// cadre answer as a user types it, against a real server.
import { join } from 'node:path';
import { inputHash } from '../../src/core/approval';
import { type CliProcess, ROOT, json, sane } from '../support/cli';
import { CliStage } from '../support/cli-stage';

let cli: CliStage;

const SOURCE = `
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const make = (name, act, more = {}) =>
  defineAgent({ name, description: name, input: anything, output: anything, act, ...more });
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('draft', () => ({ amount: 42 }), { compensate: () => undefined }),
    make('bulk', () => 'x'.repeat(50_000)),
    make('pay', (input) => ({ paid: input })),
  ],
});
`;

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', SOURCE);
  cli.folder.write(
    'payment.yaml',
    `
name: a payment
steps:
  - { id: draft, agent: draft }
  - id: pay
    agent: pay
    instruction: pay the invoice
    kind: pivot
    approval: { answerWithin: 1 hour }
    input: { to: ACME, order: { $output: draft } }
`,
  );
  await cli.worker();
}, 60_000);

afterAll(() => cli.close());

/** Starts the payment, and returns the hash that it asks about. */
async function asking(id: string): Promise<{ hash: string; run: CliProcess }> {
  const run = cli.start(['saga', 'run', 'payment.yaml', '--id', id]);
  await run.says(
    new RegExp(
      `pay +asks for approval of its input [0-9a-f]{12}\\n +→ cadre answer ${id} pay yes\\|no --hash`,
    ),
  );
  const shown = json(await cli.run(['answer', id, 'pay', '--json']));
  return { hash: String(shown['hash']), run };
}

test('what is approved is shown, and runs once a person says yes', async () => {
  const { hash, run } = await asking('paid');
  const looked = await cli.run(['answer', 'paid', 'pay']);
  sane(looked);
  expect(looked.code).toBe(0);
  expect(looked.stdout).toMatch(/^pay {2}asks whether pay may do this:\n {2}pay the invoice\n/);
  expect(looked.stdout).toMatch(/"to": "ACME",\n +"order": \{\n +"amount": 42/);
  expect(looked.stdout).toContain(`hash  ${hash}`);
  expect(looked.stdout).toContain(`→ cadre answer paid pay yes|no --hash ${hash.slice(0, 12)}`);
  const outputs = { draft: { value: { amount: 42 } } };
  const instruction = 'pay the invoice';
  const input = { to: 'ACME', order: { $output: 'draft' } };
  expect(hash).toBe(inputHash({ agent: 'pay', goal: 'a payment', instruction, input, outputs }));
  expect((await cli.run(['saga', 'show', 'paid'])).stdout).toMatch(/↑ pay +pay +PIVOT +waits for approval/);
  expect((await cli.run(['show', 'paid'])).stdout).toMatch(/^paid {2}awaits approval of pay\n/);
  const answered = await cli.run([
    'answer',
    'paid',
    'pay',
    'yes',
    '--hash',
    hash.slice(0, 12),
    '--note',
    'checked',
  ]);
  sane(answered);
  expect(answered.stdout).toMatch(/✓ pay may run on this input\. See cadre saga show paid\.\n$/);
  const ended = await run.ended;
  sane(ended);
  expect([ended.code, ended.stdout]).toEqual([0, expect.stringMatching(/pay +approved: checked\n/)]);
});

test('a no refuses the step, and what came before it is undone', async () => {
  const { hash, run } = await asking('refused');
  const answered = json(await cli.run(['answer', 'refused', 'pay', 'no', '--note', 'too dear', '--json']));
  expect(answered).toMatchObject({ task: 'refused', step: 'pay', answer: 'no', hash, input: { to: 'ACME' } });
  const ended = await run.ended;
  sane(ended);
  expect(ended.code).toBe(1);
  expect(ended.stdout).toMatch(/pay +refused: too dear\n/);
  expect(ended.stdout).toMatch(/→ Nothing was done of the step; .*\n {2}Undone: draft\b/);
  const again = await cli.run(['answer', 'refused', 'pay', 'yes']);
  sane(again);
  expect([again.code, again.stdout]).toEqual([1, expect.stringMatching(/"pay" of refused asks nothing: /)]);
});

test('an answer holds for no other input than the one that was named', async () => {
  const { hash, run } = await asking('other');
  const other = `${hash.startsWith('0') ? '1' : '0'}${hash.slice(1)}`;
  const refused = await cli.run(['answer', 'other', 'pay', 'yes', '--hash', other]);
  sane(refused);
  expect([refused.code, refused.stdout]).toEqual([1, expect.stringMatching(/asks about the input .*, not /)]);
  const short = await cli.run(['answer', 'other', 'pay', 'yes', '--hash', hash.slice(0, 11)]);
  expect([short.code, short.stdout]).toEqual([
    2,
    expect.stringMatching(/--hash to be at least 12 hex digits/),
  ]);
  expect((await cli.run(['answer', 'other', 'pay', 'perhaps'])).code).toBe(2);
  expect((await cli.run(['answer', 'other', 'draft', 'yes'])).stdout).toMatch(/asks nothing: completed/);
  expect((await cli.run(['answer', 'other', 'nothing', 'yes'])).stdout).toMatch(/there is no such step/);
  expect((await cli.run(['answer', 'nowhere', 'pay', 'yes'])).stdout).toMatch(/There is no task "nowhere"/);
  expect((await cli.run(['answer', 'other', 'pay', 'yes', '--hash', hash.toUpperCase()])).code).toBe(0);
  expect((await run.ended).code).toBe(0);
});

test('an input in the artifact store is shown as the agent gets it', async () => {
  cli.folder.write(
    'bulk.yaml',
    'name: bulk\nsteps:\n  - { id: bulk, agent: bulk }\n  - { id: pay, agent: pay, approval: true, input: { all: { $output: bulk } } }\n',
  );
  const run = cli.start(['saga', 'run', 'bulk.yaml', '--id', 'bulk']);
  await run.says(/asks for approval/);
  const { input } = json(await cli.run(['answer', 'bulk', 'pay', 'yes', '--json'])) as {
    input: { all: string };
  };
  expect(input.all).toHaveLength(50_000);
  expect((await run.ended).code).toBe(0);
});
