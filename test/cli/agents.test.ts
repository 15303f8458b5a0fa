// cadre agents and cadre agent as a user types them, against a real server with real processes.
import { TemporalReplicas } from '../../src/client/agents';
import type { AgentStanding } from '../../src/client/agent-standing';
import type { CadreClient } from '../../src/client/cadre-client';
import type { DatedDecision } from '../../src/core/agent/agent-state';
import { MESSAGE_VERSION } from '../../src/core/agent/agent-messages';
import { pickPort } from '../../src/workers/server';
import { step } from '../support/agents';
import { type CliProcess, type Ended, jsonLines, sane, until } from '../support/cli';
import { memorySource } from '../support/cli-memory';
import { CliStage } from '../support/cli-stage';

let cli: CliStage;
let client: CadreClient;
let worker: CliProcess;

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', memorySource());
  client = await cli.client();
}, 60_000);

afterAll(() => cli.close());

const run = (...args: string[]): Promise<Ended> => cli.run(args);
const decisionsOf = async (agent: string): Promise<DatedDecision[]> => {
  const decisions: DatedDecision[] = [];
  for await (const decision of client.agentDecisions(agent)) decisions.push(decision);
  return decisions;
};

describe('what cannot be meant is refused with 2 before anything is sent:', () => {
  test.each<[string, string[], RegExp]>([
    ['a name that cannot be one', ['Judge'], /the agent name to match .*, got "Judge"/],
    ['an unknown verb', ['judge', 'forget'], /Allowed choices are decisions, leave/],
    ['a time for what is no list', ['judge', '--since', '2h'], /--since to be given with `decisions`/],
    ['a time in words', ['judge', 'decisions', '--since', 'yesterday'], /--since .* such as 30m, 2h or 7d/],
  ])('%s', async (_what, args, message) => {
    const nowhere = `127.0.0.1:${await pickPort([])}`;
    const ended = await run('agent', ...args, '--address', nowhere);
    sane(ended);
    expect(ended.code).toBe(2);
    expect(`${ended.stdout}${ended.stderr}`).toMatch(message);
  });
});

describe('before any task', () => {
  test('nobody remembers anything, and the list says who would', async () => {
    const [ended, value] = await Promise.all([run('agents'), cli.json(['agents'])]);
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^No agent of "cadre" remembers anything yet: a task tells its agents/);
    expect(ended.stdout).toMatch(
      /^ {2}NOT TOLD YET\n {2}scout\n {2}judge\n {2}watch\n {2}spare\n {2}person$/m,
    );
    expect(value).toEqual({
      agents: [],
      configured: [
        { agent: 'scout', replicas: 2 },
        { agent: 'judge', replicas: 1 },
        { agent: 'watch', replicas: 1 },
        { agent: 'spare', replicas: 1 },
        { agent: 'person', replicas: 1 },
      ],
    });
  });

  test('one of the configuration has no replica, which is no failure', async () => {
    const [shown, listed, left, value] = await Promise.all([
      run('agent', 'spare'),
      run('agent', 'spare', 'decisions'),
      run('agent', 'spare', 'leave'),
      cli.json(['agent', 'spare']),
    ]);
    for (const ended of [shown, listed, left]) {
      sane(ended);
      expect(ended.code).toBe(0);
      expect(ended.stdout).toMatch(/^spare has no replica: no task has told it yet/);
    }
    expect(value).toEqual({ agent: 'spare', decisions: [], decided: 0, remembered: 0, replicas: [] });
  });

  test('one that nobody has is not found, whatever is asked of it', async () => {
    const verbs = [[], ['decisions'], ['leave', '--json']];
    const [shown, listed, left] = await Promise.all(verbs.map((verb) => run('agent', 'juge', ...verb)));
    for (const ended of [shown, listed]) {
      if (ended === undefined) throw new Error('did not run');
      sane(ended);
      expect(ended.code).toBe(1);
      expect(ended.stdout).toMatch(
        /The agent "juge" .*; there are: judge, person, scout, spare, watch\n {2}→ .*cadre agents/,
      );
    }
    expect(left?.code).toBe(1);
    expect(jsonLines(left?.stdout ?? '')).toMatchObject([{ error: { type: 'AgentNotFound' } }]);
  });
});

describe('once tasks have told them', () => {
  let second: number;

  beforeAll(async () => {
    worker = await cli.worker();
    const scouts = step('a', 'scout', { input: { facts: ['the bridge is shut', 'the ferry runs'] } });
    const judges = step('b', 'judge', { input: { verdict: 'guilty' } });
    await client.start({ goal: 'one', plan: { steps: [scouts, judges] } }, { id: 'one' });
    await client.task('one').result();
    await until(async () => (await decisionsOf('judge')).length === 1);
    second = ((await decisionsOf('judge'))[0]?.at ?? 0) + 1;
    await client.start({ goal: 'two', plan: { steps: [judges] } }, { id: 'two' });
    await client.task('two').result();
    // Which of its replicas an agent's tasks are told to follows from their run ids: both are to be here.
    const replicas = new TemporalReplicas(client.temporal, 'cadre', ['judge']);
    const decision = { type: 'chosen', rationale: 'by \u001b[31mhand', task: 'three', step: 'c' };
    for (const member of ['scout', 'scout.1']) {
      await replicas.remember(member, {
        version: MESSAGE_VERSION,
        id: member,
        task: 'three',
        decisions: [decision],
        operations: [],
      });
    }
    await until(async () => (await client.agents()).flatMap((one) => one.replicas).length === 3);
    await until(async () => (await client.checkKnowledge()).agree);
  }, 60_000);

  test('the list has what each remembers, knows and decided, and who has not been told', async () => {
    const [ended, value] = await Promise.all([run('agents'), cli.json(['agents'])]);
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^✓ 2 agents of cadre remember what tasks told$/m);
    expect(ended.stdout).toMatch(/AGENT +TASKS +DECISIONS +LAST TOLD \(UTC\) +REPLICAS +KNOWS\n/);
    expect(ended.stdout).toMatch(/^ {2}judge +2 +2 +[\d:T-]{19} +1 +8 entries, 1\.\d KiB$/m);
    expect(ended.stdout).toMatch(/^ {2}scout +3 +3 +[\d:T-]{19} +2 +8 entries, 1\.\d KiB$/m);
    expect(ended.stdout).toMatch(/NOT TOLD YET\n {2}watch\n {2}spare\n/);
    const { agents } = value as unknown as { agents: AgentStanding[] };
    expect(agents.map(({ agent }) => agent)).toEqual(['judge', 'scout']);
    expect(agents[1]).toMatchObject({
      remembered: 3,
      decided: 3,
      replicas: [{ member: 'scout' }, { member: 'scout.1' }],
    });
    expect(agents[1]).not.toHaveProperty('decisions');
  });

  test('one shows its last decisions, newest first, and each replica', async () => {
    const [ended, value] = await Promise.all([run('agent', 'scout'), cli.json(['agent', 'scout'])]);
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^scout {2}3 tasks remembered, 3 decisions, 2 replicas$/m);
    expect(ended.stdout).toMatch(/DECIDED \(UTC\) +TYPE +TASK +STEP +WHY\n/);
    const types = [...ended.stdout.matchAll(/^ {2}[\d:T-]{19} +(\w+) /gm)].map(([, type]) => type);
    expect(types).toEqual(['chosen', 'chosen', 'factsChosen']);
    expect(ended.stdout).toMatch(/factsChosen +one +a +chose 2 facts\n/);
    expect(ended.stdout).toMatch(/^ {2}scout\n {4}tasks +\d, the last at \d\d:\d\d:\d\d UTC\n/m);
    expect(ended.stdout).toMatch(/^ {2}scout\.1\n/m);
    expect(ended.stdout).toMatch(/knowledge +8 entries, 1\.\d KiB of 1\.0 MiB \(0\.\d %\)\n/);
    expect(ended.stdout).toMatch(/version vector +judge:[0-9a-f]{8} \d+, .*scout\.1:[0-9a-f]{8} \d+/);
    expect(ended.stdout).toMatch(/members +judge, scout, scout\.1\n/);
    expect(ended.stdout).toMatch(/refused +none\n +unread +none\n +history +\d+ events in this run\n/);
    expect(ended.stdout).toMatch(/Web UI +http:\S+\/workflows\/cadre\.agent\.scout\.1\n/);
    const standing = value as unknown as AgentStanding;
    expect(standing.decisions.map(({ type }) => type)).toEqual(['factsChosen', 'chosen', 'chosen']);
    expect(standing.replicas[1]).toMatchObject({
      member: 'scout.1',
      workflow: 'cadre.agent.scout.1',
      webUi: expect.stringMatching('/workflows/cadre.agent.scout.1$') as string,
    });
  });

  test('its decisions are listed from the histories, oldest first, one value a line in JSON', async () => {
    const [ended, asJson] = await Promise.all([
      run('agent', 'scout', 'decisions'),
      run('agent', 'scout', 'decisions', '--json'),
    ]);
    sane(ended);
    expect(ended.stdout).toMatch(/^3 decisions of scout$/m);
    const lines = ended.stdout.split('\n').filter((line) => /^ {2}\d/.test(line));
    expect(lines[0]).toMatch(/factsChosen +one +a +chose 2 facts$/);
    expect(lines).toHaveLength(3);
    const decisions = jsonLines<DatedDecision>(asJson.stdout);
    expect(decisions.map(({ type }) => type)).toEqual(['factsChosen', 'chosen', 'chosen']);
    expect(decisions[0]).toMatchObject({
      evidence: ['the bridge is shut', 'the ferry runs'],
      task: 'one',
      step: 'a',
      at: expect.any(Number) as number,
    });
  });

  test('--since leaves out what was decided before, by a time or a duration', async () => {
    const since = async (when: string): Promise<string[]> => {
      const ended = await run('agent', 'judge', 'decisions', '--since', when, '--json');
      expect(ended.code).toBe(0);
      return jsonLines<DatedDecision>(ended.stdout).map(({ task }) => task);
    };
    const all = ['one', 'two'];
    expect(await Promise.all([new Date(second).toISOString(), '1h'].map(since))).toEqual([['two'], all]);
    const none = await run('agent', 'judge', 'decisions', '--since', '1ms');
    sane(none);
    expect(none.stdout).toMatch(/^No decisions of judge since [\d:T-]{19} UTC\n$/);
  });

  test('what a replica refused, and what it cannot read yet, is told', async () => {
    const handle = client.temporal.workflow.getHandle('cadre.agent.judge');
    await handle.signal('remember', { version: MESSAGE_VERSION, id: 5 });
    await handle.signal('remember', { version: 99 });
    await until(async () => (await client.agent('judge')).replicas[0]?.unread === 1);
    const [list, shown] = await Promise.all([run('agents'), run('agent', 'judge')]);
    sane(list);
    sane(shown);
    expect(list.stdout).toMatch(
      /^! judge has refused 1 message and has 1 message of a later version unread: see cadre agent judge$/m,
    );
    expect(shown.stdout).toMatch(
      /refused +1 message, the last:\n +\d\d:\d\d:\d\d UTC Expected `id` to be a text, got 5\n/,
    );
    expect(shown.stdout).toMatch(/unread +1 message of a later version, kept until a worker that knows it/);
  });

  test('one that leaves has told the others, and is listed no more; its decisions can still be read', async () => {
    const ended = await run('agent', 'judge', 'leave', '--json');
    expect(ended.code).toBe(0);
    sane(ended);
    expect(jsonLines(ended.stdout)).toEqual([{ agent: 'judge', left: ['judge'], ended: true }]);
    expect(ended.stderr).toMatch(
      /Asked judge to tell the others what judge knows, and to leave\.\n✓ judge has left cadre/,
    );
    const [list, shown, known, decisions] = await Promise.all([
      run('agents'),
      run('agent', 'judge'),
      run('knowledge', 'judge'),
      run('agent', 'judge', 'decisions'),
    ]);
    expect(list.stdout).not.toMatch(/^ {2}judge +2/m);
    expect(list.stdout).toMatch(/NOT TOLD YET\n {2}judge\n/);
    expect(shown.stdout).toMatch(/^judge has no replica/);
    expect(known.stdout).toMatch(/^judge has no replica/);
    expect(decisions.stdout).toMatch(/^2 decisions of judge$/m);
    await until(async () =>
      (await client.agent('scout')).replicas.every(({ members }) => !members.includes('judge')),
    );
    expect((await client.knowledge('scout')).crdts.map(({ name }) => name)).toContain('verdict');
  });

  test('the last one is told that nobody has what it knew', async () => {
    const ended = await run('agent', 'scout', 'leave');
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^Asked scout, scout\.1 to tell the others/m);
    expect(ended.stdout).toMatch(
      /^! scout has left cadre, and knew of no other replica: what it knew stands in its history only/m,
    );
  });
});

test('looking needs no worker; one that is to leave does so once there is one', async () => {
  await client.start(
    { goal: 'last', plan: { steps: [step('b', 'judge', { input: { verdict: 'free' } })] } },
    { id: 'last' },
  );
  await client.task('last').result();
  await until(async () => (await client.agents()).length === 1);
  worker.kill('SIGKILL');
  await worker.ended;
  const [list, left, decisions] = await Promise.all([
    run('agents', '--json'),
    run('agent', 'judge', 'leave'),
    run('agent', 'judge', 'decisions', '--json'),
  ]);
  expect([list.code, left.code, decisions.code]).toEqual([0, 0, 0]);
  expect(jsonLines(list.stdout)).toMatchObject([{ agents: [{ agent: 'judge' }] }]);
  sane(left);
  expect(left.stdout).toMatch(/judge has not told all of them yet: .* takes a worker/);
  expect(jsonLines<DatedDecision>(decisions.stdout).map(({ task }) => task)).toEqual(['one', 'two', 'last']);
}, 60_000);
