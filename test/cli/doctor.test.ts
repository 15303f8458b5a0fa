// What `cadre doctor` finds, against a real server.
import { join } from 'node:path';
import { msToTs } from '@temporalio/common/lib/time';
import { ScriptedModel } from '../../src/testing/scripted-model';
import { pickPort } from '../../src/workers/server';
import { step } from '../support/agents';
import { json, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { CliTeam } from '../support/cli-team';
import { S3Server, S3_CREDENTIALS } from '../support/s3-server';

let cli: CliStage;
let team: CliTeam;

beforeAll(async () => {
  cli = await CliStage.start();
  team = new CliTeam(cli.folder);
  await cli.worker();
}, 60_000);

afterAll(() => cli.close());

describe('cadre doctor', () => {
  test('finds all well where a worker runs', async () => {
    const ended = await cli.run(['doctor', '--json']);
    const { ok, findings } = json(ended) as { ok: boolean; findings: { check: string; kind: string }[] };
    expect(ended.code).toBe(0);
    expect(ok).toBe(true);
    expect(findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining([
        'Node',
        'workflows',
        'artifacts',
        'ledger',
        'configuration',
        'server',
        'namespace',
        'worker',
      ]),
    );
    expect(findings.filter(({ kind }) => kind === 'failed')).toEqual([]);
  });

  test.each<[string, string[], RegExp, number]>([
    ['nobody polls', ['--cadre', 'deserted'], /! worker +nobody polls the queue "deserted"/, 0],
    [
      'there is no such namespace',
      ['--namespace', 'nowhere'],
      /✗ namespace +there is no namespace "nowhere"/,
      1,
    ],
    [
      'the configuration is broken',
      ['--config', 'broken.js'],
      /✗ configuration +Cannot load .*broken\.js/,
      1,
    ],
    ['the profile is unknown', ['--profile', 'nowhere'], /✗ connection +.*nowhere/, 3],
  ])('says that %s', async (_what, args, message, code) => {
    cli.folder.write('broken.js', 'module.exports = {');
    const ended = await cli.run(['doctor', ...args]);
    sane(ended);
    expect(ended.stdout).toMatch(message);
    expect(ended.stdout).toMatch(/→ /);
    expect(ended.code).toBe(code);
  });

  test('says whether the search attribute is registered, and how to register it', async () => {
    const { temporal } = await cli.client();
    const namespace = 'bare';
    const workflowExecutionRetentionPeriod = msToTs(86_400_000);
    await temporal.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod });
    await until(async () => {
      const ended = await cli.run(['doctor', '--namespace', namespace]);
      return ended.stdout.includes(
        'temporal operator search-attribute create --namespace bare --name CadreNeedsAttention --type Keyword',
      );
    });
    expect((await cli.run(['doctor'])).stdout).toMatch(/✓ attribute +CadreNeedsAttention is registered/);
  }, 30_000);

  test('says that the ledger cannot be used', async () => {
    const file = cli.folder.write('no-folder', '');
    const ended = await cli.run(['doctor'], { CADRE_LEDGER: join(file, 'ledger.db') });
    sane(ended);
    expect(ended.stdout).toMatch(/✗ ledger +The ledger .*ledger\.db cannot be used\n +→ /);
    expect(ended.code).toBe(1);
  });

  test('says that the artifacts cannot be written', async () => {
    const file = cli.folder.write('a-file', '');
    const ended = await cli.run(['doctor'], { CADRE_ARTIFACTS: join(file, 'artifacts') });
    sane(ended);
    expect(ended.stdout).toMatch(/✗ artifacts +cannot write to/);
    expect(ended.code).toBe(1);
  });

  describe('of the model of CADRE_MODEL', () => {
    const KEY = 'the-key-of-this-model';
    let model: ScriptedModel;

    beforeAll(async () => {
      model = await ScriptedModel.start(() => ({ kind: 'answer', text: 'ok', usage: USAGE }), { key: KEY });
    });
    beforeEach(async () => {
      model.calls.length = 0;
      closed = await pickPort([]);
    });
    afterAll(() => model.close());
    let closed: number;
    const USAGE = { inputTokens: 20, outputTokens: 2 };
    const openai = (key = KEY): Record<string, string> => ({
      CADRE_MODEL: 'openai/gpt-5-mini',
      OPENAI_BASE_URL: model.url,
      OPENAI_API_KEY: key,
    });

    test('asks it once, and says how long it took and what it cost', async () => {
      const ended = await cli.run(['doctor'], openai());
      sane(ended);
      expect(ended.stdout).toMatch(
        /^✓ model +openai\/gpt-5-mini answered in [\d.]+ m?s \(1 call, 22 tokens, \$0\.000009\)$/m,
      );
      expect(ended.code).toBe(0);
      expect(model.calls).toHaveLength(1);
    });

    test('asks nothing where there is none, or CADRE_OFFLINE=1 says so', async () => {
      for (const environment of [{}, { ...openai(), CADRE_OFFLINE: '1' }]) {
        const ended = await cli.run(['doctor'], environment);
        expect(ended.stdout).not.toMatch(/^. model/m);
      }
      expect(model.calls).toEqual([]);
    });

    test('says that its price is not known', async () => {
      const ended = await cli.run(['doctor'], {
        CADRE_MODEL: 'compatible/own',
        CADRE_MODEL_URL: model.url,
        CADRE_MODEL_KEY: KEY,
      });
      expect(ended.stdout).toMatch(
        /^! model +compatible\/own answered in .* \(1 call, 22 tokens, price unknown\)\n +→ Give the price .* CADRE_PRICES/m,
      );
      expect(ended.code).toBe(0);
    });

    test.each<[string, () => Record<string, string>, RegExp]>([
      [
        'refuses the key',
        () => openai('a-wrong-key'),
        /openai\/gpt-5-mini answered 401: Incorrect API key provided\n +→ Correct what the provider says/,
      ],
      [
        'has no key',
        () => ({ CADRE_MODEL: 'anthropic/claude-haiku-4-5' }),
        /Expected ANTHROPIC_API_KEY to hold the key .*\n +→ Set the provider's key/,
      ],
      [
        'is not reached',
        () => ({ CADRE_MODEL: 'compatible/own', CADRE_MODEL_URL: `http://127.0.0.1:${closed}/v1` }),
        /compatible\/own .*ECONNREFUSED.*\n +→ Wait until the provider is back/,
      ],
      [
        'is none',
        () => ({ CADRE_MODEL: 'own' }),
        /Expected a model as provider\/model.*\n +→ Set CADRE_MODEL/,
      ],
    ])('says that it %s, and fails', async (_what, environment, message) => {
      const ended = await cli.run(['doctor'], environment());
      expect(ended.stdout).toMatch(new RegExp(`^✗ model +(?:${message.source})`, 'm'));
      expect(ended.stdout).not.toContain('a-wrong-key');
      expect(ended.code).toBe(1);
    });

    test('says of which day its prices are, and what is wrong with their file', async () => {
      const file = cli.folder.write('prices.json', '{ "date": "2026-11-22", "models": {} }');
      const known = await cli.run(['doctor'], { CADRE_PRICES: file });
      expect(known.stdout).toMatch(/^✓ prices +.*prices\.json, of 2026-11-22$/m);
      cli.folder.write('prices.json', '{ "models": { "own/model": { "input": -1, "output": 2 } } }');
      const wrong = await cli.run(['doctor'], { CADRE_PRICES: file });
      expect(wrong.stdout).toMatch(
        /^✗ prices +Expected `input` in `models\["own\/model"\]` of .*prices\.json, .* got -1\n +→ /m,
      );
      expect(wrong.code).toBe(1);
    });
  });

  describe('of artifacts in S3', () => {
    let bucket: S3Server;

    beforeEach(async () => {
      bucket = await S3Server.start();
    });
    afterEach(() => bucket.close());

    test('says where they are, after it has written there', async () => {
      const ended = await cli.run(['doctor'], bucket.environment());
      sane(ended);
      expect(ended.stdout).toMatch(/✓ artifacts +s3:\/\/artifacts\/cadre at http/);
      expect(ended.code).toBe(0);
      expect([...bucket.objects.keys()]).toEqual(['cadre/doctor/record']);
    });

    test('says that the bucket overwrites records', async () => {
      bucket.conditions = false;
      const ended = await cli.run(['doctor'], bucket.environment());
      expect(ended.stdout).toMatch(/✗ artifacts +.* overwrites what is there.*\n +→ .*If-None-Match/);
      expect(ended.code).toBe(1);
    });

    test('says what the bucket answered, and never a secret', async () => {
      bucket.mishaps.push({ kind: 'refuse', status: 403, code: 'AccessDenied' });
      const ended = await cli.run(['doctor'], bucket.environment());
      expect(ended.stdout).toMatch(/✗ artifacts +Cannot read doctor\/.* 403 AccessDenied\n +→ /);
      expect(ended.stdout + ended.stderr).not.toContain(S3_CREDENTIALS.secretAccessKey);
      expect(ended.code).toBe(1);
    });

    test('says which variables are missing', async () => {
      const { CADRE_ARTIFACTS = '' } = bucket.environment();
      const ended = await cli.run(['doctor'], { CADRE_ARTIFACTS });
      expect(ended.stdout).toMatch(/✗ artifacts +Expected CADRE_ARTIFACTS in S3 with AWS_ACCESS_KEY_ID/);
      expect(ended.code).toBe(1);
    });
  });
});

test('a namespace that is not there is named, with what to do', async () => {
  const ended = await cli.run([
    'run',
    'a goal',
    '--json',
    '--namespace',
    'nowhere',
    '--plan',
    team.plan('j', step('a', 'echo')),
  ]);
  expect(ended.code).not.toBe(0);
  expect(json(ended)).toMatchObject({ error: { message: expect.stringContaining('nowhere') as string } });
}, 30_000);
