// cadre status as a user types it, against a real server with real processes.
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { CadreStatus, Part } from '../../src/client/status';
import { step } from '../support/agents';
import { type CliProcess, type Ended, ROOT, json, jsonLines, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { TcpProxy } from '../support/tcp-proxy';
import { pickPort } from '../../src/workers/server';

let cli: CliStage;
let client: CadreClient;
let worker: CliProcess;
let watching: CliProcess;
let watchingJson: CliProcess;

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', source(cli.folder.path));
  client = await cli.client();
}, 60_000);

afterAll(() => cli.close());

const PARTS = ['leader', 'workers', 'breakers', 'agents', 'open', 'attention'] as const;

async function status(...args: string[]): Promise<Ended> {
  const ended = await cli.run(['status', ...args]);
  sane(ended);
  return ended;
}

/** Once it has read all there is: on a busy machine a history may take longer than a part has. */
async function statusIn(...args: string[]): Promise<Ended> {
  let ended = await status(...args);
  await until(async () => {
    if (!/not read|cadre show|^\? |^ +model +open$/m.test(ended.stdout)) return true;
    ended = await status(...args);
    return false;
  });
  return ended;
}

function read<Value>(part: Part<Value>): Value {
  if (part.kind === 'unread') throw new Error(part.why);
  return part.value;
}

describe('of a cadre in which there is nothing yet', () => {
  test('each line says what is missing, and what to do about it', async () => {
    const { code, stdout } = await status();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cadre {2}\d{4}-\d\d-\d\dT[\d:]{8} UTC\n\n/);
    expect(stdout).toMatch(/^! leader {4}nobody leads, and nobody stands.*\n +→ .*`cadre worker`/m);
    expect(stdout).toMatch(/^! workers {3}none\n +→ .*`cadre worker`/m);
    expect(stdout).toMatch(/^✓ breakers {2}none open$/m);
    expect(stdout).toMatch(/^✓ agents {4}none remembers anything yet$/m);
    expect(stdout).toMatch(/^✓ open {6}nothing$/m);
    expect(stdout).toMatch(/^✓ person {4}nothing waits for a person$/m);
  });

  test('in JSON each part is read', async () => {
    const value = await cli.json(['status']);
    for (const part of PARTS) expect(value[part]).toMatchObject({ kind: 'read' });
    expect(value).toMatchObject({ cadre: 'cadre', open: { value: { tasks: 0, sagas: 0, latest: [] } } });
  });
});

describe('of a cadre at work', () => {
  beforeAll(async () => {
    watching = cli.start(['status', '--watch']);
    watchingJson = cli.start(['status', '--watch', '--json']);
    await watching.says(/nothing waits for a person/);
    await until(() => watchingJson.stdout.includes('\n'));
    worker = await cli.worker();
    const gated = { steps: [step('first', 'echo'), step('second', 'gate', { needs: ['first'] })] };
    await client.start({ goal: 'a goal', plan: gated }, { id: 'gated' });
    await client.startSaga(
      { name: 'pay', steps: [{ ...step('pay', 'echo'), approval: {} }] },
      { id: 'payment' },
    );
    await client.startSaga(
      { name: 'send', steps: [{ ...step('send', 'broken'), kind: 'retryable' }] },
      { id: 'parcel' },
    );
    await client.operateBreaker('depot', 'isolate', 'the depot moves');
    await client.operateBreaker('model', 'trip', 'by hand it is');
    await until(async () => read((await client.status()).attention).length === 2);
    await until(async () => read((await client.status()).breakers).length === 2);
    await until(async () => (await client.task('gated').pending()).some((one) => one.kind === 'started'));
  }, 60_000);

  test('who leads and works, what is open and how far it is', async () => {
    const { code, stdout } = await statusIn();
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^✓ leader {4}${worker.pid}@\\S+ leads in term \\d+, for \\d.* m?s$`, 'm'),
    );
    expect(stdout).toMatch(
      new RegExp(
        `^✓ workers {3}1 worker\\n +${worker.pid}@\\S+ +leads, workflows, agents, pool gpu +polled \\d.* ago$`,
        'm',
      ),
    );
    expect(stdout).toMatch(/^✓ open {6}1 task, 2 sagas$/m);
    expect(stdout).toMatch(/^ +gated +running, 1 of 2 steps +a goal +\d.* m?s$/m);
  });

  test('which breakers are not closed, and why', async () => {
    const { stdout } = await statusIn();
    expect(stdout).toMatch(/^! breakers {2}2 not closed$/m);
    expect(stdout).toMatch(/^ +depot +isolated since [\d:T-]{19}: by hand: the depot moves$/m);
    expect(stdout).toMatch(
      /^ +model +open since [\d:T-]{19}: by hand: by hand it is +next (probe in \d.* s|call probes)$/m,
    );
  });

  test('what needs a person, with what to type', async () => {
    const { stdout } = await statusIn();
    expect(stdout).toMatch(/^! person {4}3 to decide$/m);
    expect(stdout).toMatch(
      /^ +payment +pay asks for approval of its input [0-9a-f]{12} +→ cadre answer payment pay yes\|no --hash [0-9a-f]{12}$/m,
    );
    expect(stdout).toMatch(
      /^ +parcel +send failed for good: no such city +→ cadre saga resolve parcel send retry\|skip/m,
    );
    expect(stdout).toMatch(/^ +breaker depot +is isolated +→ cadre breaker depot release$/m);
  });

  test('a breaker stands in the status as it does when it is asked', async () => {
    const [{ breakers }, asked] = await Promise.all([client.status(), client.breakers()]);
    const states = read(breakers).map(({ key, state }) => [key, state]);
    const byKey = asked.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    expect(states).toEqual(byKey.map(({ key, state }) => [key, state]));
  });

  test('in JSON it is what the SDK says', async () => {
    const value = (await cli.json(['status'])) as unknown as CadreStatus;
    expect(read(value.leader).leader?.identity).toMatch(`${worker.pid}@`);
    expect(read(value.workers).workers).toMatchObject([
      { serves: expect.arrayContaining(['workflows', 'agents', 'breakers', 'leader']) },
    ]);
    expect(read(value.attention).map(({ id, step: asks }) => [id, asks])).toEqual([
      ['payment', 'pay'],
      ['parcel', 'send'],
    ]);
    expect(read(value.open)).toMatchObject({ tasks: 1, sagas: 2 });
  });

  test('it is read in about a second without the worker, whose end is told', async () => {
    const gone = worker.pid;
    worker.kill('SIGKILL');
    await worker.ended;
    const began = Date.now();
    const now = await client.status();
    expect(Date.now() - began).toBeLessThan(1500);
    for (const part of PARTS) expect(now[part].kind).toBe('read');
    const { code, stdout } = await statusIn();
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^! workers {3}none.*\\n +${gone}@\\S+ +its process is gone`, 'm'));
    expect(stdout).toMatch(/^ +gated +running, 1 of 2 steps/m);
    expect(stdout).toMatch(/^ +model +open since .*by hand it is/m);
    expect(read((json(await status('--json')) as unknown as CadreStatus).workers).workers).toMatchObject([
      { gone: true },
    ]);
  }, 30_000);

  test('what waits for a leader is counted', async () => {
    await cli.worker('--role', 'workflows', '--role', 'agents');
    await client.start({ goal: 'later', plan: { steps: [step('later', 'far')] } }, { id: 'later' });
    let stdout = '';
    await until(async () => {
      ({ stdout } = await status());
      return stdout.includes('waits for a leader');
    });
    expect(stdout).toMatch(/^✓ workers {3}1 worker; 1 piece of work waits for a leader$/m);
    expect(stdout).toMatch(/^! leader {4}nobody leads, and nobody stands/m);
  }, 40_000);

  test('a watch has told of each change once', async () => {
    await cli.worker();
    cli.folder.write('up', '');
    await client.task('gated').result();
    await client.operateBreaker('depot', 'release');
    await watching.says(/open +gated has ended/);
    await watching.says(/person +breaker depot waits for nobody any more/);
    const lines = watching.stdout.split('\n').filter((line) => /^\d\d:\d\d:\d\d\.\d{3} {2}/.test(line));
    const told = lines.map((line) => line.slice(14));
    expect(told).toEqual(
      expect.arrayContaining([
        expect.stringMatching(new RegExp(`^leader +${worker.pid}@\\S+ leads in term \\d+$`)),
        expect.stringMatching(/^open +gated +running, 1 of 2 steps +a goal$/),
        expect.stringMatching(/^open +gated has ended$/),
        expect.stringMatching(/^breakers +depot +isolated since /),
        expect.stringMatching(/^breakers +depot closed$/),
        expect.stringMatching(/^person +payment +pay asks for approval/),
      ]),
    );
    expect(told.filter((line) => /gated +running, 1 of 2/.test(line))).toHaveLength(1);
    const values = jsonLines<CadreStatus>(watchingJson.stdout);
    expect(values.map(({ open }) => read(open).tasks)).toEqual(expect.arrayContaining([0, 1]));
  }, 30_000);
});

test('a watch says what it cannot read, and tells nothing twice once it can again', async () => {
  const proxy = await TcpProxy.listen(cli.server.address);
  try {
    const watched = cli.start(['status', '--watch', '--address', proxy.address]);
    await watched.says(/→ cadre answer payment/);
    proxy.set('blackhole');
    await watched.says(/person +could not be read: no answer within 3 s/);
    const before = watched.stdout.length;
    proxy.set('pass');
    await watched.says(/person +2 to decide/);
    watched.kill('SIGINT');
    const { stdout } = await watched.ended;
    expect(stdout.slice(before)).not.toMatch(/cadre answer payment|waits for nobody any more/);
  } finally {
    await proxy.close();
  }
}, 30_000);

test('where nothing can be read each line says why, and it ends with 1', async () => {
  const { code, stdout } = await status('--namespace', 'nowhere');
  expect(code).toBe(1);
  for (const label of ['leader', 'workers', 'breakers', 'agents', 'open', 'person']) {
    expect(stdout).toMatch(new RegExp(`^\\? ${label} +could not be read: .*nowhere`, 'm'));
  }
});

test('without a server it ends with 3', async () => {
  const ended = await cli.run(['status', '--address', `127.0.0.1:${await pickPort([])}`]);
  sane(ended);
  expect(ended.code).toBe(3);
});

/** A configuration whose agent `gate` waits for a file `up`; `broken` fails for good, `echo` has a breaker. */
function source(folder: string): string {
  return `
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const { ApplicationFailure } = require(${JSON.stringify(join(ROOT, 'node_modules', '@temporalio', 'common'))});
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const make = (name, act, policy = {}, pool = undefined) =>
  defineAgent({ name, description: 'the agent ' + name, input: anything, output: anything, act, policy, ...(pool ? { pool } : {}) });
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('echo', (input) => input, { breaker: { key: 'model' } }),
    make('gate', async (_input, { signal }) => {
      while (!existsSync(join(${JSON.stringify(folder)}, 'up'))) await pause(20, undefined, { signal });
      return null;
    }, { heartbeatTimeout: '1s' }),
    make('far', () => null, {}, 'gpu'),
    make('broken', () => { throw ApplicationFailure.nonRetryable('no such city', 'CityUnknown'); }),
  ],
});
`;
}
