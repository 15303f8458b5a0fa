// cadre knowledge as a user types it, and what cadre run says of it, against a real server with real processes.
import { TemporalReplicas } from '../../src/client/agents';
import type { KnowledgeCheck, KnowledgeStanding } from '../../src/client/agent-standing';
import type { CadreClient } from '../../src/client/cadre-client';
import { MESSAGE_VERSION } from '../../src/core/agent/agent-messages';
import { Replica } from '../../src/knowledge/replica';
import { pickPort } from '../../src/workers/server';
import { step } from '../support/agents';
import { type CliProcess, type Ended, json, jsonLines, sane, until } from '../support/cli';
import { memorySource } from '../support/cli-memory';
import { CliStage } from '../support/cli-stage';

const FACTS = ['the bridge is shut', 'the ferry runs', 'the road is long', 'x'.repeat(500)];

let cli: CliStage;
let client: CadreClient;
let worker: CliProcess;
let watching: CliProcess;
let watchingJson: CliProcess;

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', memorySource());
  client = await cli.client();
}, 60_000);

afterAll(() => cli.close());

const run = (...args: string[]): Promise<Ended> => cli.run(args);
const runTask = (id: string, steps: readonly unknown[], ...more: string[]): Promise<Ended> => {
  const file = cli.folder.write(`${id}.json`, JSON.stringify({ steps }));
  return run('run', 'a goal', '--id', id, '--plan', file, ...more);
};
const scouts = (facts: readonly string[]): unknown => step('a', 'scout', { input: { facts } });
const judges = (verdict: string): unknown => step('b', 'judge', { input: { verdict } });

describe('what cannot be meant is refused with 2 before anything is sent:', () => {
  test.each<[string, string[], RegExp]>([
    ['a name that cannot be one', ['Judge'], /the agent name to match .*, got "Judge"/],
    [
      'two names',
      ['judge', '--agent', 'scout'],
      /--agent to be left out where the name is given, got "scout"/,
    ],
    ['a check of one agent', ['judge', '--check'], /--check to be given without a name/],
    ['a check that goes on', ['--check', '--watch'], /--check to be given without --watch/],
  ])('%s', async (_what, args, message) => {
    const nowhere = `127.0.0.1:${await pickPort([])}`;
    const ended = await run('knowledge', ...args, '--address', nowhere);
    sane(ended);
    expect(ended.code).toBe(2);
    expect(`${ended.stdout}${ended.stderr}`).toMatch(message);
  });
});

describe('before any task', () => {
  test('nobody knows anything, which is no failure', async () => {
    const [shown, checked, one, value, check] = await Promise.all([
      run('knowledge'),
      run('knowledge', '--check'),
      run('knowledge', 'spare'),
      cli.json(['knowledge']),
      cli.json(['knowledge', '--check']),
    ]);
    for (const ended of [shown, checked]) {
      sane(ended);
      expect(ended.code).toBe(0);
      expect(ended.stdout).toMatch(/^No agent of "cadre" knows anything yet: a task tells its agents/);
    }
    expect(one.code).toBe(0);
    expect(one.stdout).toMatch(/^spare has no replica/);
    expect(value).toEqual({ crdts: [] });
    expect(check).toEqual({ agree: true, replicas: [] });
  });

  test('an agent that nobody has is not found', async () => {
    const ended = await run('knowledge', 'juge');
    sane(ended);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(/The agent "juge" .*; there are: judge, person, scout, spare, watch\n/);
  });

  test('a run in which nothing is remembered says nothing of replicas', async () => {
    worker = await cli.worker();
    const steps = [step('w', 'watch', { input: 1 })];
    const [ended, asJson] = await Promise.all([
      runTask('quiet', steps),
      runTask('quiet-json', steps, '--json'),
    ]);
    sane(ended);
    expect(ended.stdout).not.toMatch(/replica/);
    expect(json(asJson)).not.toHaveProperty('knowledge');
  });
});

describe('once a task has told them', () => {
  beforeAll(async () => {
    watching = cli.start(['knowledge', 'watch', 'judge']);
    watchingJson = cli.start(['knowledge', '--json', '--watch']);
    await watching.says(/nothing is known: there is no replica/);
    await until(() => watchingJson.stdout.includes('\n'));
  }, 60_000);

  test('the run ends with a line that all replicas agree, though the server lists them later', async () => {
    const ended = await runTask('first', [scouts(FACTS), judges('guilty')]);
    sane(ended);
    expect(ended.code).toBe(0);
    const line = ended.stdout.trimEnd().split('\n').at(-1);
    expect(line).toMatch(
      /^✓ 2 replicas agree: verdicts 1, verdict "guilty", status "judged", owners 1, facts 4, and 1 more$/,
    );
  }, 30_000);

  test('in JSON that is part of the outcome', async () => {
    const ended = await runTask('second', [judges('guilty')], '--json');
    expect(json(ended)).toMatchObject({
      status: 'completed',
      knowledge: { agree: true, waited: expect.any(Number) as number },
    });
    const { knowledge } = json(ended) as { knowledge: KnowledgeCheck };
    expect(knowledge.replicas.length).toBeGreaterThanOrEqual(2);
    expect(ended.stderr).toMatch(/✓ \d replicas agree: /);
  }, 30_000);

  test('values are shown with who wrote them and when, and conflicts side by side', async () => {
    const laptop = Replica.create('laptop');
    laptop.knowledge.multiValueRegister('status').assign('off\u009bline');
    laptop.knowledge.register('verdict').assign('innocent');
    laptop.knowledge.map('owners').set('depot', 'me');
    laptop.knowledge.set('facts').add(FACTS[0] ?? '');
    await client.exchange(laptop, { agent: 'judge' });
    const [ended, value] = await Promise.all([run('knowledge', 'judge'), cli.json(['knowledge', 'judge'])]);
    sane(ended);
    expect(ended.code).toBe(0);
    const { stdout } = ended;
    expect(stdout).toMatch(/^judge knows 6 CRDTs with 10 entries; 3 concurrent values kept$/m);
    expect(stdout).toMatch(/^ {2}Web UI {2}http:\S+\/workflows\/cadre\.agent\.judge$/m);
    expect(stdout).toMatch(/^ {2}KIND +NAME +VALUE +BY +AT \(UTC\)$/m);
    expect(stdout).toMatch(/^ {2}pnCounter +sources +4 +scout(\.1)? +[\d:T-]{19}$/m);
    // Of the higher term, not the one assigned last.
    expect(stdout).toMatch(
      /^ {2}lwwRegister +verdict +"guilty" +judge \(term \d+\) +[\d:T-]{19}\n +"innocent" \(concurrent, did not win\) +laptop +[\d:T-]{19}$/m,
    );
    expect(stdout).toMatch(
      /^ {2}mvRegister +status +"off line" +laptop .*\n +"judged" \(concurrent\) +judge +/m,
    );
    expect(stdout).toMatch(
      /^ {2}orMap +owners +1 entry +laptop .*\n +depot: "me" +laptop .*\n +depot: "judge" \(concurrent\) +judge /m,
    );
    expect(stdout).toMatch(/^ {2}appendLog +verdicts +2 entries +judge +[\d:T-]{19}$/m);
    const { webUi, ...standing } = value as unknown as KnowledgeStanding & { webUi: string };
    expect(webUi).toMatch(/\/workflows\/cadre\.agent\.judge$/);
    expect(standing).toEqual(await client.knowledge('judge'));
  }, 30_000);

  test('of a collection the newest three are shown, cut short, or all of them', async () => {
    const [ended, all] = await Promise.all([
      run('knowledge', 'judge'),
      run('knowledge', '--all', '--agent', 'judge'),
    ]);
    const entries = /^ {2}orSet +facts +4 entries +laptop .*\n((?: {20,}.*\n)+)/m;
    const lines = (text: string): string[] =>
      (entries.exec(text)?.[1] ?? '')
        .trimEnd()
        .split('\n')
        .map((line) => line.trim());
    const shown = lines(ended.stdout);
    expect(shown).toHaveLength(4);
    expect(shown[0]).toMatch(/^"the bridge is shut" +laptop, scout(\.1)? +[\d:T-]{19}$/);
    expect(shown[1]).toMatch(/^"x{58}… +scout/);
    expect(shown[3]).toBe('… 1 more: --all');
    expect(lines(all.stdout).filter((line) => line.startsWith('"'))).toHaveLength(4);
    expect(all.stdout).not.toMatch(/more: --all/);
    expect(all.stdout).toMatch(/sources +4 +scout.*\n +\+4 -0 +scout/);
  });

  test('--check is 0 where all know the same, and says how much', async () => {
    await until(async () => (await client.checkKnowledge()).agree);
    const [ended, value] = await Promise.all([
      run('knowledge', '--check'),
      cli.json(['knowledge', '--check']),
    ]);
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^✓ 2 replicas agree: .*facts 4/);
    expect(value).toMatchObject({ agree: true });
    const { replicas } = value as unknown as KnowledgeCheck;
    expect(replicas.map(({ lacks, differs }) => ({ lacks, differs }))).toEqual(
      replicas.map(() => ({ lacks: {}, differs: false })),
    );
  });

  test('a watch has a line for each change, and none twice', async () => {
    await watching.says(/status \(mvRegister\) {2}"off line" by laptop; "judged" \(concurrent\) by judge\n/);
    await watching.says(
      /owners \(orMap\) {2}1 entry, the newest depot: "me" by laptop; depot: "judge" \(concurrent\) by judge\n/,
    );
    await watching.says(/facts \(orSet\) {2}4 entries, the newest "the bridge is shut" by laptop, scout/);
    await watching.says(/sources \(pnCounter\) {2}4, by scout/);
    const removal = Replica.create('tidy');
    await client.exchange(removal, { agent: 'judge' });
    removal.knowledge.set('facts').remove(FACTS[1] ?? '');
    await client.exchange(removal, { agent: 'judge' });
    await watching.says(/facts \(orSet\) {2}3 entries, 1 gone\n/);
    const lines = watching.stdout.trimEnd().split('\n');
    expect(new Set(lines.map((line) => line.slice(12))).size).toBe(lines.length);
    expect(lines).toEqual(lines.map(() => expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{3} {2}\S/) as string));
    const counts = jsonLines<KnowledgeStanding>(watchingJson.stdout).map(({ crdts }) => crdts.length);
    expect(counts[0]).toBe(0);
    expect(counts).toContain(6);
  }, 30_000);
});

describe('while a replica is out of reach of the others', () => {
  beforeAll(async () => {
    // It is told of no other, and no agent of the configuration is called so: they cannot find each other.
    const alone = new TemporalReplicas(client.temporal, 'cadre');
    const operations = [{ type: 'gCounter', name: 'seen', by: 2 } as const];
    await alone.remember('hermit', {
      version: MESSAGE_VERSION,
      id: 'one',
      task: 'one',
      decisions: [],
      operations,
    });
    await until(async () =>
      (await client.checkKnowledge()).replicas.some(({ member }) => member === 'hermit'),
    );
  }, 30_000);

  test('--check is 1, and says who lacks how much of whom', async () => {
    const [ended, asJson] = await Promise.all([
      run('knowledge', '--check'),
      run('knowledge', '--check', '--json'),
    ]);
    sane(ended);
    expect([ended.code, asJson.code]).toEqual([1, 1]);
    expect(ended.stdout).toMatch(
      /^! 0 of (\d) replicas agree, hermit lacks \d+ operations, judge lacks 2 operations, scout/,
    );
    expect(ended.stdout).toMatch(/^ {2}REPLICA +LACKS\n/m);
    expect(ended.stdout).toMatch(/^ {2}judge +2 operations of hermit$/m);
    expect(ended.stdout).toMatch(/^ {2}hermit .*\d+ operations? of judge/m);
    const { agree, replicas } = json(asJson) as unknown as KnowledgeCheck;
    expect(agree).toBe(false);
    expect(replicas.find(({ member }) => member === 'judge')?.lacks).toEqual({ hermit: 2 });
  });

  test('a run waits for them no longer than 2 s, after its result and not in its time, and ends well', async () => {
    const file = cli.folder.write('third.json', JSON.stringify({ steps: [judges('free')] }));
    const began = Date.now();
    const third = cli.start(['run', 'a goal', '--id', 'third', '--plan', file, '--json']);
    await third.says(/✓ done in/);
    const done = Date.now() - began;
    const ended = await third.ended;
    expect(ended.code).toBe(0);
    const { elapsed, knowledge } = json(ended) as unknown as {
      elapsed: number;
      knowledge: KnowledgeCheck & { waited: number };
    };
    expect(elapsed).toBeLessThanOrEqual(done);
    expect(knowledge.agree).toBe(false);
    expect(knowledge.waited).toBeGreaterThan(1000);
    expect(knowledge.waited).toBeLessThan(3000);
    expect(ended.stderr).toMatch(
      /\n! 0 of \d replicas agree, hermit lacks .* \(see `cadre knowledge --check`\)\n$/,
    );
  }, 30_000);
});

test('a watch stays with its replica, one of an agent called watch says that it has none; all end with 0 at Ctrl-C', async () => {
  const named = cli.start(['knowledge', '--watch', '--agent', 'watch']);
  await named.says(/nothing is known: there is no replica/);
  for (const one of [named, watching, watchingJson]) one.kill('SIGINT');
  const ended = await Promise.all([named.ended, watching.ended, watchingJson.ended]);
  expect(ended.map(({ code }) => code)).toEqual([0, 0, 0]);
  for (const one of ended) sane(one);
  // The hermit is listed before it, and knows less.
  const members = jsonLines<Partial<KnowledgeStanding>>(watchingJson.stdout).flatMap(
    ({ member }) => member ?? [],
  );
  expect(new Set(members).size).toBe(1);
  expect(members).not.toContain('hermit');
}, 30_000);

test('looking needs no worker; without one, replicas to which something has come do not agree', async () => {
  worker.kill('SIGKILL');
  await worker.ended;
  const onward = cli.start(['knowledge', 'watch', 'judge']);
  await onward.says(/verdict \(lwwRegister\) {2}"free" by judge/);
  const message = { version: MESSAGE_VERSION, id: 'later', task: 'later', decisions: [], operations: [] };
  await client.temporal.workflow.getHandle('cadre.agent.judge').signal('remember', message);
  const [shown, checked] = await Promise.all([run('knowledge', '--json'), run('knowledge', '--check')]);
  expect([shown.code, checked.code]).toEqual([0, 1]);
  expect(jsonLines<Partial<KnowledgeStanding>>(shown.stdout)[0]?.crdts).not.toEqual([]);
  sane(checked);
  expect(checked.stdout).toMatch(/judge .*what has come since/);
  onward.kill('SIGINT');
  expect((await onward.ended).code).toBe(0);
}, 60_000);
