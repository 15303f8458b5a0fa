// cadre breakers and cadre breaker as a user types them, against a real server with real processes.
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { BreakerStanding } from '../../src/client/breakers';
import { pickPort } from '../../src/workers/server';
import { step } from '../support/agents';
import { type CliProcess, type Ended, ROOT, json, jsonLines, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';

const COOLDOWN = 10_000;

let cli: CliStage;
let client: CadreClient;
let watching: CliProcess;
let watchingJson: CliProcess;

beforeAll(async () => {
  cli = await CliStage.start({ onDisk: true });
  cli.folder.write('cadre.config.js', source(cli.folder.path));
  client = await cli.client();
}, 60_000);

afterAll(() => cli.close());

const run = (...args: string[]): Promise<Ended> => cli.run(args);
const plan = (name: string, ...agents: string[]): string => {
  const steps = agents.map((agent) => step(agent, agent, { input: 1 }));
  return cli.folder.write(`${name}.json`, JSON.stringify({ steps }));
};

describe('what cannot be meant is refused with 2 before anything is sent:', () => {
  test.each<[string, string[], RegExp]>([
    ['a note over 500 characters', ['model', 'trip', '--note', 'x'.repeat(501)], /up to 500 characters/],
    ['a note for nothing', ['model', '--note', 'why'], /given with one of trip, reset, isolate, release/],
    ['an unknown command', ['model', 'open'], /Allowed choices are trip, reset, isolate, release/],
    ['a key that cannot be one', ['', 'trip'], /1 to 200 characters/],
  ])('%s', async (_what, args, message) => {
    const nowhere = `127.0.0.1:${await pickPort([])}`;
    const ended = await run('breaker', ...args, '--address', nowhere);
    sane(ended);
    expect(ended.code).toBe(2);
    expect(`${ended.stdout}${ended.stderr}`).toMatch(message);
  });
});

describe('before any call has failed', () => {
  test('none is in use, and the list says which agents have one', async () => {
    const [ended, value] = await Promise.all([run('breakers'), cli.json(['breakers'])]);
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/No agent's calls have failed lately: no breaker of "cadre" is in use/);
    expect(ended.stdout).toMatch(/^ {2}it's spare {2}spare\n {2}model +writer, critic$/m);
    expect(value).toEqual({
      breakers: [],
      configured: [
        { key: "it's spare", agents: ['spare'] },
        { key: 'model', agents: ['writer', 'critic'] },
      ],
    });
  });

  test('one is closed, with the settings of the configuration and what to type for a key with a space', async () => {
    const [ended, value] = await Promise.all([run('breaker', "it's spare"), cli.json(['breaker', 'model'])]);
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^it's spare {2}closed: no call of its agents has failed lately$/m);
    expect(ended.stdout).toMatch(
      /opens at +50 % failed, or 100 % slower than 1 min, over 1 min, with 10 calls or more/,
    );
    expect(ended.stdout).toMatch(/stays open +30 s, twice as long after each probe that fails, up to 10 min/);
    expect(ended.stdout).toMatch(/probes +1, each given to another call after 2 min/);
    expect(ended.stdout).toContain(String.raw`→ cadre breaker 'it'\''s spare' trip --note "..."`);
    expect(ended.stdout).not.toMatch(/Web UI/);
    expect(value).toMatchObject({
      key: 'model',
      kind: 'closed',
      running: false,
      agents: ['writer', 'critic'],
      state: { settings: { window: { calls: 4 }, minimumCalls: 2, cooldown: COOLDOWN } },
    });
    expect(value).not.toHaveProperty('webUi');
  });

  test('a key that nobody has is refused with 2, and the keys there are are named', async () => {
    const commands = [
      ['breaker', 'modle'],
      ['breaker', 'modle', 'isolate'],
      ['breaker', 'modle', '--json'],
    ];
    const [shown, isolated, asJson] = await Promise.all(commands.map((args) => run(...args)));
    for (const ended of [shown, isolated]) {
      if (ended === undefined) throw new Error('did not run');
      sane(ended);
      expect(ended.code).toBe(2);
      expect(ended.stdout).toMatch(/has the breaker "modle".*; there are: it's spare, model\n/);
    }
    expect(asJson?.code).toBe(2);
    expect(jsonLines(asJson?.stdout ?? '')).toMatchObject([{ error: { type: 'InputInvalid' } }]);
    expect(await client.breaker('modle')).toMatchObject({ running: false });
  });

  test('a configuration without a breaker says how an agent gets one', async () => {
    const file = cli.folder.write('none.config.js', 'module.exports = { agents: [] };');
    const ended = await run('breakers', '--config', file);
    sane(ended);
    expect(ended.stdout).toMatch(
      /No agent of this configuration has a breaker: .*policy: \{ breaker: \{\} \}/,
    );
    const unknown = await run('breaker', 'model', '--config', file);
    expect(unknown.stdout).toMatch(/there are none\n/);
  });

  test('without a worker a command ends with 1 and says so', async () => {
    const ended = await run('breaker', 'model', 'trip', '--cadre', 'idle');
    sane(ended);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(
      /No worker that runs workflows answers for the breaker "model".*\n.*cadre worker/,
    );
    const list = await run('breakers', '--cadre', 'idle', '--json');
    expect(list.code).toBe(1);
    expect(jsonLines(list.stdout)).toMatchObject([{ error: { type: 'NoWorker' } }]);
  }, 30_000);
});

describe('while the agents fail', () => {
  let following: CliProcess;

  beforeAll(async () => {
    await cli.worker();
    watching = cli.start(['breakers', '--watch']);
    watchingJson = cli.start(['breakers', '--watch', '--json']);
    await watching.says(/no breaker is in use/);
    await until(() => watchingJson.stdout.includes('\n'));
    following = cli.start(['run', 'a goal', '--id', 'one', '--plan', plan('one', 'writer', 'critic')]);
    await until(async () => (await client.breaker('model')).kind === 'open');
  }, 60_000);

  test('it is open, with the rate, the counts, the last error and the next probe', async () => {
    await until(async () => (await client.breakers()).length === 1);
    const [list, listed, one, shown] = await Promise.all([
      run('breakers'),
      cli.json(['breakers']),
      run('breaker', 'model'),
      cli.json(['breaker', 'model']),
    ]);
    sane(list);
    expect(list.stdout).toMatch(/^! 1 breaker of cadre in use, 1 not closed$/m);
    expect(list.stdout).toMatch(/KEY +STATE +SINCE \(UTC\) +NEXT PROBE +REFUSED +WHY\n/);
    expect(list.stdout).toMatch(
      /^ {2}model +open +[\d:T-]{19} +(in \d.*s|next call) +\d+ +100 %, (\d) of \2 calls failed, last: 529 overloaded/m,
    );
    expect(list.stdout).toMatch(/^ {2}model +http:\S+\/workflows\/cadre\.breaker\.model$/m);
    expect(list.stdout).toMatch(/NOT IN USE +OF THE AGENTS\n +it's spare +spare\n/);
    sane(one);
    expect(one.stdout).toMatch(/^model {2}open: 100 %, (\d) of \1 calls failed, last: 529 overloaded/m);
    expect(one.stdout).toMatch(/since +\d\d:\d\d:\d\d UTC, .* ago\n/);
    expect(one.stdout).toMatch(/next probe +(in \d.* s, at \d\d:\d\d:\d\d UTC|with the next call)\n/);
    expect(one.stdout).toMatch(/opened +[1-9] times? by itself\n/);
    expect(one.stdout).toMatch(/opens at .* over the last 4 calls, with 2 calls or more\n/);
    expect(one.stdout).toMatch(/agents +writer, critic\n/);
    expect(one.stdout).toMatch(/→ cadre breaker model reset --note "\.\.\." +closes it at once\n/);
    const open = {
      key: 'model',
      kind: 'open',
      running: true,
      workflow: 'cadre.breaker.model',
      webUi: expect.stringMatching('/workflows/cadre.breaker.model$') as string,
      state: { lastError: '529 overloaded', phase: { kind: 'open', why: { by: 'failures' } } },
    };
    expect(listed).toMatchObject({ breakers: [open] });
    expect(shown).toMatchObject({ ...open, agents: ['writer', 'critic'] });
    const { since, nextProbeAt } = shown as unknown as Required<BreakerStanding>;
    expect(nextProbeAt - since).toBeGreaterThanOrEqual(COOLDOWN);
  }, 30_000);

  test('a step that waits for it says so as it happens and in show, with the time left', async () => {
    await following.says(/writer +waits \d.* s for the breaker model: it is open/);
    await until(async () => Object.keys((await client.task('one').describe()).refusedUntil).length === 2);
    const [shown, events] = await Promise.all([run('show', 'one'), run('show', 'one', '--events')]);
    sane(shown);
    expect(events.stdout).toMatch(/critic +stepRefused waits \d.* s for the breaker model: it is open/);
    expect(shown.stdout).toMatch(
      /critic +critic +waits \d.* for the breaker model: it is (open|being probed)/,
    );
  }, 30_000);

  test('isolate keeps every call away until release, and says so; trip and reset are refused meanwhile', async () => {
    const isolated = await run('breaker', 'model', 'isolate', '--note', 'its key has leaked');
    sane(isolated);
    expect(isolated.code).toBe(0);
    expect(isolated.stdout).toMatch(
      /✓ model is isolated: no calls until `cadre breaker model release`\n.* within about 6 s/,
    );
    await following.says(/waits \d.* s for the breaker model: it is isolated by hand/);
    const [list, one, trip, reset] = await Promise.all([
      run('breakers'),
      run('breaker', 'model'),
      run('breaker', 'model', 'trip'),
      cli.json(['breaker', 'model', 'reset']),
    ]);
    expect(list.stdout).toMatch(/model +isolated .* not before release +\d+ +by hand: its key has leaked\n/);
    expect(one.stdout).toMatch(/next probe +none: it is left by hand alone\n/);
    expect(one.stdout).toMatch(/→ cadre breaker model release --note "\.\.\." +closes it\n/);
    expect(one.stdout).not.toMatch(/model trip/);
    sane(trip);
    expect(trip.code).toBe(2);
    expect(trip.stdout).toMatch(/release, since the breaker is isolated/);
    expect(reset).toMatchObject({ error: { type: 'InputInvalid' } });
  }, 60_000);

  test('release closes it, and what waited goes on with no attempt spent', async () => {
    cli.folder.write('up', '');
    const ended = await run('breaker', 'model', 'release', '--note', 'new key', '--json');
    expect(ended.code).toBe(0);
    expect(json(ended)).toMatchObject({
      key: 'model',
      kind: 'closed',
      running: true,
      how: 'release',
      note: 'new key',
      agents: ['writer', 'critic'],
      webUi: expect.stringContaining('cadre.breaker.model') as string,
    });
    expect(ended.stderr).toMatch(/What waits for it asks again when its wait is over/);
    expect((await following.ended).code).toBe(0);
    const again = await run('breaker', 'model', 'release');
    sane(again);
    expect(again.code).toBe(2);
    expect(again.stdout).toMatch(/closed and not isolated/);
  }, 60_000);
});

describe('by hand, while the agents are well', () => {
  test('trip keeps calls away for a cooldown, and a probe closes it', async () => {
    const ended = await run('breaker', 'model', 'trip', '--note', 'a drill');
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(
      /✓ model is open: no calls until \d\d:\d\d:\d\d UTC, in (9|10)\.\d s; then 1 probe finds out\n/,
    );
    expect(await client.breaker('model')).toMatchObject({ kind: 'open', why: 'by hand: a drill' });
    const id = await taskThatWaits('tripped');
    const shown = await run('show', id);
    expect(shown.stdout).toMatch(
      /writer +writer +waits \d.* for the breaker model: it is (open|being probed)/,
    );
    await client.task(id).result();
    await until(async () => (await client.breaker('model')).kind === 'closed');
  }, 60_000);

  test('reset closes it at once: a call that comes then goes through', async () => {
    expect((await run('breaker', 'model', 'trip')).code).toBe(0);
    const ended = await run('breaker', 'model', 'reset');
    sane(ended);
    expect(ended.stdout).toMatch(/✓ model is closed: calls go through, and are counted anew\n/);
    const shown = await run('breaker', 'model');
    expect(shown.stdout).toMatch(/^model {2}closed: no calls in its window$/m);
    expect(shown.stdout).toMatch(/→ cadre breaker model isolate/);
    expect((await run('run', 'a goal', '--id', 'after', '--plan', plan('after', 'writer'))).code).toBe(0);
  }, 60_000);

  test('one that nobody has needed yet begins with the settings of the configuration', async () => {
    const tripped = await cli.json(['breaker', "it's spare", 'trip']);
    const { cooldown } = (tripped as unknown as BreakerStanding).state.settings;
    expect(cooldown).toBe(30_000);
    await client.operateBreaker("it's spare", 'reset');
    const elsewhere = cli.folder.write(
      'other.config.js',
      source(cli.folder.path).replace("key: 'it\\'s spare'", "key: 'it\\'s spare', cooldown: 50"),
    );
    const again = await cli.json(['breaker', "it's spare", 'trip', '--config', elsewhere]);
    expect((again as unknown as BreakerStanding).state.settings.cooldown).toBe(30_000);
    await until(async () => (await client.breakers()).length === 2);
    const { breakers } = (await cli.json(['breakers'])) as { breakers: BreakerStanding[] };
    expect(breakers.map(({ key, kind }) => [key, kind])).toEqual([
      ["it's spare", 'open'],
      ['model', 'closed'],
    ]);
  }, 60_000);
});

describe('a watch', () => {
  test('has told of every change, once and in order', async () => {
    await watching.says(/it's spare {2}open: by hand; next probe at/);
    const lines = watching.stdout.split('\n').filter((line) => /model {2}(open|isolated|closed)/.test(line));
    const words = lines.map((line) => /model {2}(\w+)/.exec(line)?.[1]);
    expect(lines.find((line) => line.includes('open'))).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} {2}model {2}open: 100 %, .* calls failed, last: 529 overloaded.*; next probe at \d\d:\d\d:\d\d UTC$/,
    );
    const byHand = words.indexOf('isolated');
    expect(words.slice(byHand, byHand + 4)).toEqual(['isolated', 'closed', 'open', 'closed']);
    expect(new Set(lines).size).toBe(lines.length);
    expect(lines).toEqual([...lines].sort());
    const kinds = jsonLines<{ breakers: BreakerStanding[] }>(watchingJson.stdout).map(
      ({ breakers }) => breakers.find(({ key }) => key === 'model')?.kind,
    );
    expect(kinds[0]).toBeUndefined();
    expect(kinds).toEqual(expect.arrayContaining(['open', 'isolated', 'closed']));
  }, 30_000);

  test('in the SDK yields at first and at a change, and ends when it is told to', async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    for await (const standings of client.watchBreakers({ signal: controller.signal, interval: 50 })) {
      const kind = standings.find(({ key }) => key === 'model')?.kind ?? 'none';
      seen.push(kind);
      if (kind === 'isolated') controller.abort();
      else await client.operateBreaker('model', 'isolate');
    }
    expect(seen).toEqual(['closed', 'isolated']);
    await client.operateBreaker('model', 'release');
  }, 30_000);

  test('goes on when the server was away for a while, until Ctrl-C', async () => {
    cli.server.kill();
    await watching.says(/the server does not answer; trying again/);
    await cli.startServerAgain();
    const before = watching.stdout.length;
    await until(async () => (await run('breaker', 'model', 'isolate', '--note', 'at last')).code === 0);
    await until(() => watching.stdout.slice(before).includes('model  isolated: by hand: at last'));
    for (const one of [watching, watchingJson]) one.kill('SIGINT');
    const [lines, values] = await Promise.all([watching.ended, watchingJson.ended]);
    expect([lines.code, values.code]).toEqual([0, 0]);
    sane(lines);
  }, 60_000);
});

/** The id of a task of the agent `writer` that waits for its breaker: a worker hears of what was done by hand a bit later. */
async function taskThatWaits(name: string): Promise<string> {
  for (let index = 0; ; index += 1) {
    const id = `${name}-${index}`;
    const { stdout } = await run('run', 'a goal', '--id', id, '--plan', plan(id, 'writer'), '--detach');
    expect(stdout).toContain(id);
    const describe = () => client.task(id).describe();
    await until(async () => {
      const { state, refusedUntil } = await describe();
      return state.phase.kind === 'completed' || Object.keys(refusedUntil).length > 0;
    });
    if (Object.keys((await describe()).refusedUntil).length > 0) return id;
  }
}

/** A configuration whose agents `writer` and `critic` fail until there is a file `up`. */
function source(folder: string): string {
  return `
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const make = (name, breaker) =>
  defineAgent({
    name,
    description: 'the agent ' + name,
    input: anything,
    output: anything,
    policy: { retry: { initialInterval: '50ms', maximumAttempts: 100 }, breaker },
    async act(input) {
      if (!existsSync(join(${JSON.stringify(folder)}, 'up'))) throw new Error('529 overloaded');
      return input;
    },
  });
const model = { key: 'model', window: { calls: 4 }, minimumCalls: 2, cooldown: ${COOLDOWN}, cooldownMax: ${COOLDOWN} };
module.exports = defineConfig({
  embedded: false,
  agents: [make('writer', model), make('critic', model), make('spare', { key: 'it\\'s spare' })],
});
`;
}
