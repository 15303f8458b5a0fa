// Pure of servers: the leader's activities in the SDK's mock of a worker.
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { AnyAgent } from '../../src/activities/define-agent';
import { type LeaderTerm, createLeaderActivities } from '../../src/activities/leadership';
import type { LeaderDependencies } from '../../src/activities/leadership/leader-activity';
import type { Envelope } from '../../src/core/envelope';
import { CadreError } from '../../src/core/failures';
import type { ArbitrateRequest, AssignRequest } from '../../src/core/leader-work';
import type { LeaderWork } from '../../src/core/names';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { agent, step } from '../support/agents';
import { TemporaryFolder } from '../support/temporary-folder';

const TERM = 7;
const folder = new TemporaryFolder();
const artifacts = new FileArtifactStore(folder.path);

afterAll(() => folder.remove());

const leading = (more: Partial<LeaderTerm> = {}): LeaderTerm => ({
  term: TERM,
  held: () => true,
  over: new AbortController().signal,
  ...more,
});

interface Desk {
  readonly agents?: readonly AnyAgent[];
  readonly lead?: LeaderTerm | undefined;
  /** Of the task, as its envelope has it. */
  readonly seen?: number;
  readonly backlogs?: Readonly<Record<string, { pollers: number; backlog?: number }>>;
  readonly environment?: MockActivityEnvironment;
  readonly breakers?: LeaderDependencies['breakers'];
}

/** What the activity ends with: its outcome, or what it throws. */
async function end(work: LeaderWork, request: object, desk: Desk = {}): Promise<unknown> {
  const { agents = [], seen = 0, backlogs = {}, environment = new MockActivityEnvironment() } = desk;
  const lead = 'lead' in desk ? desk.lead : leading();
  const activities = createLeaderActivities({
    cadre: 'cadre',
    agents,
    artifacts,
    queueStatus: async (queue) => backlogs[queue] ?? {},
    term: () => lead,
    breakers: desk.breakers,
  });
  const envelope: Envelope = { root: 'task-1/run-1', step: work, kind: work, term: seen, version: 1 };
  const activity = activities[work] as (of: Envelope, request: object) => Promise<unknown>;
  return environment.run(activity, envelope, { goal: 'a goal', ...request }).catch((error: unknown) => error);
}

const handedBack = { type: 'HandedBack', nonRetryable: true, details: [{ attemptsUsed: 0 }] };
const plan = { steps: [step('a', 'echo')] };
const echo = agent('echo', (input) => input);

describe('a leader', () => {
  test('gives its term with what it made', async () => {
    expect(await end('plan', { plan }, { agents: [echo], seen: TERM })).toMatchObject({
      plan,
      by: 'caller',
      term: TERM,
    });
  });

  test.each([
    ['does not lead any more', { lead: undefined }],
    ['does not hold its term any more', { lead: leading({ held: () => false }) }],
    ['leads in a lower term than the task has seen', { seen: TERM + 1 }],
  ])('that %s gives the work back, and asks no agent', async (_what, desk) => {
    let asked = 0;
    const planner = agent('planner', () => {
      asked += 1;
      return plan;
    });
    expect(await end('plan', {}, { agents: [planner, echo], ...desk })).toMatchObject(handedBack);
    expect(asked).toBe(0);
  });

  test('that was paused past its lease while it planned gives the work back', async () => {
    let held = true;
    const planner = agent('planner', () => {
      held = false;
      return plan;
    });
    const lead = leading({ held: () => held });
    expect(await end('plan', {}, { agents: [planner, echo], lead })).toMatchObject(handedBack);
  });

  test('whose term ends gives the work back at once, and its agent hears of it though it does not end', async () => {
    const over = new AbortController();
    let heard = false;
    const planner = agent('planner', (_input, { signal }) => {
      signal.addEventListener('abort', () => (heard = true));
      over.abort();
      return new Promise(() => undefined);
    });
    const lead = leading({ over: over.signal });
    expect(await end('plan', {}, { agents: [planner, echo], lead })).toMatchObject(handedBack);
    expect(heard).toBe(true);
  });

  test('whose agent fails as the term ends counts no failure', async () => {
    const over = new AbortController();
    const planner = agent('planner', () => {
      over.abort();
      throw ApplicationFailure.nonRetryable('no', 'Broken');
    });
    expect(await end('plan', {}, { agents: [planner], lead: leading({ over: over.signal }) })).toMatchObject(
      handedBack,
    );
  });

  test('that a task cancels ends as cancelled, whether or not its agent listens', async () => {
    const environment = new MockActivityEnvironment();
    const planner = agent('planner', () => {
      environment.cancel('CANCELLED');
      return new Promise(() => undefined);
    });
    const error = await end('plan', {}, { agents: [planner], environment });
    expect(error).toMatchObject({ name: 'CancelledFailure' });
  });

  test('has its agents act in its own term, not in the one that the task has seen', async () => {
    const planner = agent('planner', (_input, { term, decide }) => {
      decide({ type: 'planned', rationale: `in term ${term}` });
      return plan;
    });
    expect(await end('plan', {}, { agents: [planner, echo], seen: 3 })).toMatchObject({
      term: TERM,
      decisions: { value: [{ type: 'planned', rationale: `in term ${TERM}` }] },
    });
  });
});

describe('planning', () => {
  test('without a plan or a planner fails for good, and says so', async () => {
    expect(await end('plan', {})).toMatchObject({
      type: 'AgentUnknown',
      nonRetryable: true,
      message: 'The task has no plan, and no agent is named "planner"',
    });
  });

  test('pins the policies of every agent and voter, each once', async () => {
    const voters = { id: 'v', instruction: 'vote', vote: { agents: ['yes', 'no', 'yes'] } };
    const agents = [echo, agent('yes', () => 1), agent('no', () => 0), agent('other', () => 0)];
    const outcome = await end('plan', { plan: { steps: [...plan.steps, voters] } }, { agents });
    expect(Object.keys((outcome as { policies: object }).policies).sort()).toEqual(['echo', 'no', 'yes']);
  });

  test.each(['planner', 'assigner', 'arbiter', 'aggregator'])(
    'gives no step and no ballot to the leader\'s "%s"',
    async (name) => {
      const agents = [echo, agent(name, () => plan)];
      const vote = { id: 'v', instruction: 'vote', vote: { agents: ['echo', name] } };
      expect(await end('plan', { plan: { steps: [step('a', name)] } }, { agents })).toMatchObject({
        type: 'AgentUnknown',
      });
      expect(await end('plan', { plan: { steps: [vote] } }, { agents })).toMatchObject({
        type: 'AgentUnknown',
      });
    },
  );

  test('shows the planner who there is, in which pool, and how busy', async () => {
    let roster: unknown;
    const planner = agent('planner', (input) => {
      ({ roster } = input as { roster: unknown });
      return plan;
    });
    const pooled = agent('pooled', () => 1, { pool: 'big', skills: ['read'] });
    const backlogs = { cadre: { pollers: 2, backlog: 5 }, 'cadre.pool.big': { pollers: 0 } };
    await end('plan', {}, { agents: [planner, echo, pooled], backlogs });
    expect(roster).toMatchObject({
      agents: [
        { name: 'echo', queue: { name: 'cadre', pollers: 2, backlog: 5 } },
        { name: 'pooled', skills: ['read'], pool: 'big', queue: { name: 'cadre.pool.big', pollers: 0 } },
      ],
    });
  });
});

describe("a leader's agent with a fallback", () => {
  const failing = (error: unknown): AnyAgent =>
    agent(
      'planner',
      () => {
        throw error;
      },
      { policy: { breaker: { key: 'a model' }, onOpen: { fallback: 'plain-planner' } } },
    );
  const plain = agent('plain-planner', () => plan);
  const planned = (error: unknown, more: object = {}, desk: Desk = {}): Promise<unknown> =>
    end('plan', more, { agents: [failing(error), plain, echo], ...desk });
  const refusing = (why: string): LeaderDependencies['breakers'] =>
    ({
      notClosed: () => Promise.resolve([]),
      guardOf: ({ name }: AnyAgent) =>
        name === 'planner'
          ? {
              key: 'a model',
              fails: false,
              breaker: { admit: () => ({ kind: 'refused', why, retryAfter: 9 }) },
            }
          : undefined,
    }) as never;

  test('that fails for good gives way to it, and the decision says why', async () => {
    expect(await planned(new CadreError('ModelOutputInvalid', 'no plan'))).toMatchObject({
      plan,
      by: 'plain-planner',
      decisions: {
        value: [
          {
            type: 'fellBack',
            rationale: 'plain-planner instead of planner: no plan',
            evidence: { type: 'ModelOutputInvalid' },
          },
        ],
      },
    });
  });

  test('that may succeed yet is asked again, and gives way when it is not', async () => {
    expect(await planned(new Error('busy'))).toMatchObject({ message: 'busy', nonRetryable: false });
    expect(await planned(new Error('busy'), { last: true })).toMatchObject({ by: 'plain-planner' });
  });

  test('does not give way where its budget is used up', async () => {
    const failure = new CadreError('BudgetReached', 'no tokens left');
    expect(await planned(failure, { last: true })).toMatchObject({ type: 'BudgetReached' });
  });

  test('fails with its own failure where the fallback fails too', async () => {
    const broken = agent('plain-planner', () => {
      throw new Error('neither');
    });
    const failure = new CadreError('ModelRefused', 'no such model');
    expect(await end('plan', {}, { agents: [failing(failure), broken] })).toMatchObject({
      type: 'ModelRefused',
      nonRetryable: true,
    });
  });

  test.each(['open', 'halfOpen', 'isolated'])('gives way while its breaker is %s', async (why) => {
    expect(await planned(new Error('not called'), {}, { breakers: refusing(why) })).toMatchObject({
      by: 'plain-planner',
      decisions: { value: [{ type: 'fellBack', evidence: { type: 'BreakerOpen' } }] },
    });
  });

  test.each([
    ['paced', 'Paced'],
    ['failing', 'BreakerOpen'],
  ])('waits where its breaker says %s', async (why, type) => {
    expect(await planned(new Error('not called'), {}, { breakers: refusing(why) })).toMatchObject({ type });
  });

  test('keeps it to itself: no plan may name it', async () => {
    const agents = [failing(new Error('not called')), plain, echo];
    expect(await end('plan', { plan: { steps: [step('a', 'plain-planner')] } }, { agents })).toMatchObject({
      type: 'AgentUnknown',
    });
  });
});

describe('assigning', () => {
  const request = (...tried: string[]): Omit<AssignRequest, 'goal'> => ({
    step: { id: 'a', instruction: 'do a' },
    tried,
    failure: { type: 'Broken', message: 'no' },
  });
  const skilled = (name: string, skills: string[], pool?: string): AnyAgent =>
    agent(name, () => 1, { skills, ...(pool === undefined ? {} : { pool }) });
  const team = [
    skilled('first', ['count', 'add']),
    skilled('one-shared', ['count']),
    skilled('both-shared', ['add', 'count', 'swim']),
    skilled('none-shared', ['swim']),
  ];
  const named = async (desk: Desk, ...tried: string[]) =>
    (await end('assign', request(...tried), desk)) as Record<string, unknown>;

  test('prefers most shared skills, and never names who has tried', async () => {
    expect(await named({ agents: team }, 'first')).toMatchObject({
      agent: 'both-shared',
      by: 'leader',
      term: TERM,
      reason: 'shares add, count with first',
    });
    // Who tried since adds skills of its own to those that are looked for.
    expect(await named({ agents: team }, 'first', 'both-shared')).toMatchObject({ agent: 'one-shared' });
  });

  test('among equals prefers who has workers, then the shorter queue', async () => {
    const agents = [
      skilled('first', ['count']),
      skilled('away', ['count'], 'away'),
      skilled('busy', ['count'], 'busy'),
      skilled('idle', ['count'], 'idle'),
    ];
    const backlogs = {
      'cadre.pool.away': { pollers: 0 },
      'cadre.pool.busy': { pollers: 1, backlog: 9 },
      'cadre.pool.idle': { pollers: 1, backlog: 1 },
    };
    expect(await named({ agents, backlogs }, 'first')).toMatchObject({ agent: 'idle' });
    expect(await named({ agents, backlogs }, 'first', 'idle')).toMatchObject({ agent: 'busy' });
    expect(await named({ agents, backlogs }, 'first', 'idle', 'busy')).toMatchObject({ agent: 'away' });
  });

  test.each([['first'], ['a stranger']])('names nobody where nobody shares a skill with %s', async (name) => {
    const agents = [skilled('first', ['dive']), skilled('other', ['swim']), skilled('plain', [])];
    const outcome = await named({ agents }, name);
    expect(outcome).toEqual({ by: 'leader', reason: `no other agent has a skill of ${name}`, term: TERM });
  });

  test.each([
    [
      { agent: 'echo', reason: 'why not' },
      { agent: 'echo', by: 'assigner', reason: 'why not' },
    ],
    [{ agent: 'echo' }, { agent: 'echo', reason: 'the assigner gave no reason' }],
    [
      { agent: null, reason: 'nobody can' },
      { by: 'assigner', reason: 'nobody can' },
    ],
    [{}, { by: 'assigner', reason: 'the assigner gave no reason' }],
    [{ agent: 'nobody' }, { type: 'AgentOutputInvalid', nonRetryable: true }],
    [{ agent: 'assigner' }, { type: 'AgentOutputInvalid' }],
    [{ agent: 7 }, { type: 'AgentOutputInvalid' }],
  ])('by an assigner that says %j is %j', async (output, expected) => {
    const outcome = await named({ agents: [echo, agent('assigner', () => output)] }, 'first');
    expect(outcome).toMatchObject(expected);
    expect('policy' in outcome).toBe('agent' in expected);
  });
});

describe('deciding a vote', () => {
  const request = (
    choices: readonly unknown[] | undefined,
    ...given: unknown[]
  ): Omit<ArbitrateRequest, 'goal'> => ({
    instruction: 'vote',
    ballots: given.map((choice, index) => ({ voter: index + 1, agent: 'x', choice })),
    ...(choices === undefined ? {} : { choices }),
    why: 'noQuorum',
  });

  test.each([
    [['b', 'a', 'a'], 'a', 'most ballots: 2 ballots'],
    [['b', 'a', 'a', 'b'], 'b', "2 ballots each, and the earliest voter's"],
    [['b', 'a'], 'b', "1 ballot each, and the earliest voter's"],
    [['b'], 'b', 'most ballots: 1 ballot'],
  ])('with the ballots %j chooses %j', async (given, choice, reason) => {
    expect(await end('arbitrate', request(undefined, ...given))).toEqual({
      choice,
      by: 'leader',
      reason,
      term: TERM,
    });
  });

  test('with no ballots fails for good, unless an arbiter decides', async () => {
    expect(await end('arbitrate', request(undefined))).toMatchObject({
      type: 'VoteUndecided',
      nonRetryable: true,
      message: 'No voter gave an answer that counts (noQuorum)',
    });
    const agents = [agent('arbiter', () => ({ choice: 'c' }))];
    expect(await end('arbitrate', request(undefined), { agents })).toMatchObject({
      choice: 'c',
      by: 'arbiter',
    });
  });

  test.each([
    [
      { choice: 'a', reason: 'so' },
      { choice: 'a', by: 'arbiter', reason: 'so', term: TERM },
    ],
    [{ choice: 'a' }, { reason: 'the arbiter gave no reason' }],
    [{ choice: 'c' }, { type: 'AgentOutputInvalid' }],
    ['a', { type: 'AgentOutputInvalid', message: 'Expected the arbiter to return { choice }, got "a"' }],
    [
      undefined,
      { type: 'AgentOutputInvalid', message: 'Expected the arbiter to return { choice }, got nothing' },
    ],
  ])('by an arbiter that says %j is %j', async (output, expected) => {
    const agents = [agent('arbiter', () => output)];
    expect(await end('arbitrate', request(['a', 'b'], 'b'), { agents })).toMatchObject(expected);
  });
});

describe('making the result', () => {
  test('leaves the outputs as they are where there is no aggregator', async () => {
    expect(await end('aggregate', { outputs: { a: { value: 1 } } })).toEqual({ by: 'leader', term: TERM });
  });

  test('has the aggregator see the values of outputs, and stores what is large', async () => {
    const kept = await artifacts.put(Buffer.from(JSON.stringify('kept')));
    let seen: unknown;
    const aggregator = agent('aggregator', (input) => {
      seen = input;
      return 'x'.repeat(100_000);
    });
    const outcome = await end(
      'aggregate',
      { outputs: { a: { value: 1 }, b: kept } },
      { agents: [aggregator] },
    );
    expect(seen).toEqual({ goal: 'a goal', outputs: { a: 1, b: 'kept' } });
    expect(JSON.stringify(outcome).length).toBeLessThan(500);
    expect(outcome).toMatchObject({ by: 'aggregator', outputs: { aggregate: { bytes: 100_002 } } });
  });

  test('takes no answer of an aggregator for null', async () => {
    const outcome = await end(
      'aggregate',
      { outputs: {} },
      { agents: [agent('aggregator', () => undefined)] },
    );
    expect(outcome).toMatchObject({ outputs: { aggregate: { value: null } } });
  });
});
