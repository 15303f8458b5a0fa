// Workers that share nothing but a server and a bucket, on a real server; S3 is a server on loopback that checks signatures.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CadreClient } from '../../src/client/cadre-client';
import { openArtifacts } from '../../src/storage/open-artifacts';
import { step } from '../support/agents';
import { type CliProcess, ROOT } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { S3Server, S3_CREDENTIALS } from '../support/s3-server';

const LARGE = 100_000;
let cli: CliStage;
let bucket: S3Server;
let client: CadreClient;
let config: string;

beforeAll(async () => {
  bucket = await S3Server.start();
  cli = await CliStage.start();
  config = cli.folder.write('cadre.config.js', TEAM);
  const { temporal } = await cli.client();
  client = new CadreClient(temporal, { artifacts: openArtifacts(bucket.environment()) });
}, 60_000);

afterAll(async () => {
  await cli.close();
  await bucket.close();
});

/** `caller` makes three calls, and its process ends itself by SIGKILL after the second, at the first attempt. */
const TEAM = `
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const about = { description: 'test', input: anything, output: anything };
module.exports = defineConfig({
  embedded: false,
  agents: [
    defineAgent({
      ...about,
      name: 'caller',
      policy: { heartbeatTimeout: '2s', retry: { initialInterval: '10ms' } },
      async act(_input, { calls, attempt }) {
        const by = [];
        for (const call of [1, 2, 3]) {
          by.push(await calls.run({ kind: 'tool', name: 'ask', request: { call }, run: async () => process.pid }));
          if (call === 2 && attempt === 1) process.kill(process.pid, 'SIGKILL');
        }
        return { by, text: 'x'.repeat(${LARGE}) };
      },
    }),
    defineAgent({ ...about, name: 'reader', act: async ({ text }) => text.length }),
  ],
});
`;

/** A worker of a machine of its own: with a data folder that no other has. */
async function machine(name: string): Promise<CliProcess> {
  const CADRE_DATA = join(cli.folder.path, name);
  const worker = cli.start(['worker', '--config', config], { ...bucket.environment(), CADRE_DATA });
  await worker.says(/worker ready/);
  return worker;
}

test('an attempt on another machine takes the calls of the first from the bucket, and large outputs stand there', async () => {
  const plan = {
    steps: [step('call', 'caller', { input: {} }), step('read', 'reader', { input: { $output: 'call' } })],
  };
  const task = await client.start({ goal: 'share', plan }, { id: 'share' });
  const first = await machine('one');
  expect(await first.ended).toMatchObject({ signal: 'SIGKILL' });
  const second = await machine('two');
  expect(await task.result()).toMatchObject({ read: LARGE });
  expect(await task.outputs()).toMatchObject({ call: { by: [first.pid, first.pid, second.pid] } });

  const keys = [...bucket.objects.keys()];
  expect(keys.filter((key) => key.startsWith('cadre/calls/')).length).toBeGreaterThanOrEqual(3);
  expect(keys.filter((key) => /^cadre\/[0-9a-f]{2}\//.test(key))).not.toEqual([]);
  for (const name of ['one', 'two']) expect(existsSync(join(cli.folder.path, name, 'artifacts'))).toBe(false);
  const shown = await cli.run(['why', 'share', 'call'], bucket.environment());
  expect(shown.stdout).toContain(`{"by":[${first.pid},`);
  expect(JSON.stringify(await task.describe()) + shown.stdout + first.stderr).not.toContain(
    S3_CREDENTIALS.secretAccessKey,
  );
}, 120_000);
