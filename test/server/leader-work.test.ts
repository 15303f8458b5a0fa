// What a task has its leader do, on a real server. The leader is the test's own, so that it can be made to fail.
import { ApplicationFailure } from '@temporalio/common';
import type { AnyAgent } from '../../src/activities/define-agent';
import { TaskFailedError } from '../../src/client/task-handle';
import { type LeaderWork, MAIN } from '../../src/core/names';
import type { Plan, Step } from '../../src/core/plan';
import type { TaskEvent } from '../../src/core/task-events';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { agent, step } from '../support/agents';
import { scriptLeader } from '../support/scripted-leader';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';
import { logOf } from '../support/team-processes';

const TERM = 7;
const never = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  );
const fails = (what: string) => () => {
  throw ApplicationFailure.nonRetryable(what, 'Broken');
};
const agents: readonly AnyAgent[] = [
  agent('yes', () => ({ choice: 'yes', reason: 'it is so' })),
  agent('no', () => 'no'),
  agent('mute', (_input, { signal }) => never(signal)),
  agent('spoiled', fails('no opinion')),
  agent('echo', (input) => input),
  agent('cannot', fails('cannot'), { skills: ['count', 'add'] }),
  agent('can', (_input, { term }) => `done in term ${term}`, { skills: ['count'] }),
  agent('cannot-either', fails('cannot either'), { skills: ['count', 'add'] }),
  agent('alone', fails('alone'), { skills: ['swim'] }),
  agent('nor-i', fails('nor I'), { skills: ['dive'] }),
  agent('nor-we', fails('nor we'), { skills: ['dive'] }),
  agent('nor-they', fails('nor they'), { skills: ['dive'] }),
  agent('nor-anyone', fails('nor anyone'), { skills: ['dive'] }),
  agent('away', (input) => input, { pool: 'nowhere', skills: ['write'], policy: { scheduleToStart: 200 } }),
  agent('here', () => 'written', { skills: ['write'] }),
];
/** The agents that only the leader knows of, in the test at hand. */
let leaders: AnyAgent[] = [];
/** What the next activities of the leader do instead of its work. */
let instead: Partial<Record<LeaderWork, ((normally: () => Promise<unknown>) => Promise<unknown>)[]>> = {};
let cadre: ServerCadre;
let stop: () => Promise<void>;

beforeAll(async () => {
  cadre = await startServerCadre(agents, { roles: ['workflows', 'agents'], serve: [MAIN] });
  stop = await scriptLeader(cadre, {
    agents: () => [...agents, ...leaders],
    pollers: (queue) => (queue.endsWith('nowhere') ? 0 : 1),
    answer({ work, normally }) {
      const inItsTerm = (): Promise<unknown> => normally(TERM);
      return instead[work]?.shift()?.(inItsTerm) ?? inItsTerm();
    },
  });
}, 60_000);

afterAll(async () => {
  await stop();
  await cadre.close();
});

beforeEach(() => {
  leaders = [];
  instead = {};
});

async function run(steps: readonly Step[], planned = false) {
  const plan: Plan = { steps };
  const task = await cadre.client.start({ goal: 'a goal', ...(planned ? {} : { plan }) });
  const result = await task.result().catch((error: unknown) => error);
  const events = await logOf(task);
  const told = await cadre.client.temporal.workflow.getHandle(task.id).query<{ state: unknown }>('state');
  expect((await task.describe()).state).toEqual(told.state);
  return { result, events, task, of: typesOf(events) };
}

const typesOf =
  (events: readonly LoggedTaskEvent[]) =>
  <Type extends TaskEvent['type']>(type: Type) =>
    events.filter((event): event is LoggedTaskEvent & { type: Type } => event.type === type);

const vote = (id: string, voters: string[], more: object = {}): Step => ({
  id,
  instruction: `vote on ${id}`,
  vote: { agents: voters, ...more },
});

describe('a vote', () => {
  test('is decided by a quorum at once, the rest is withdrawn, and each ballot stands in the log', async () => {
    const steps = [vote('a', ['yes', 'mute', 'yes']), step('b', 'echo', { input: { $output: 'a' } })];
    const { result, of, task } = await run(steps);
    const tally = [{ choice: 'yes', ballots: 2 }];
    expect(result).toEqual({ b: { choice: 'yes', by: 'quorum', term: TERM, tally, voters: 3 } });
    expect(
      of('ballotCast').map(({ voter, agent: name, choice, reason }) => [voter, name, choice, reason]),
    ).toEqual(
      expect.arrayContaining([
        [1, 'yes', 'yes', 'it is so'],
        [3, 'yes', 'yes', 'it is so'],
      ]),
    );
    expect(of('ballotWithdrawn')).toMatchObject([{ voter: 2, agent: 'mute' }]);
    expect(of('arbitrationRequested')).toEqual([]);
    expect((await task.describe()).state.steps['a']).toMatchObject({ kind: 'completed' });
  });

  test.each([
    ['a tie', ['yes', 'no'], {}, 'tie', 'yes', /earliest voter's/],
    ['no quorum', ['no', 'no', 'yes'], { quorum: 'unanimous' }, 'noQuorum', 'no', /most ballots: 2 ballots/],
    [
      'the time limit',
      ['no', 'mute', 'mute'],
      { timeLimit: 300 },
      'timeLimit',
      'no',
      /most ballots: 1 ballot/,
    ],
    ['a spoiled ballot', ['spoiled', 'no'], {}, 'noQuorum', 'no', /most ballots/],
    ['an answer that was no choice', ['no', 'yes'], { choices: ['yes', 'maybe'] }, 'noQuorum', 'yes', /most/],
  ] as const)(
    'with %s goes to the leader, whose decision is told as such',
    async (_what, voters, more, why, choice, reason) => {
      const { result, of } = await run([vote('a', [...voters], more)]);
      expect(of('arbitrationRequested')).toMatchObject([{ step: 'a', why, term: TERM }]);
      expect(result).toMatchObject({ a: { choice, by: 'leader', term: TERM, voters: voters.length } });
      expect(of('voteDecided')[0]?.outcome.reason).toMatch(reason);
    },
  );

  test('that nobody answers fails the task, and says so', async () => {
    const { result, of } = await run([vote('a', ['spoiled', 'spoiled'])]);
    expect(result).toBeInstanceOf(TaskFailedError);
    expect(result).toMatchObject({
      type: 'StepFailed',
      details: { failed: { failure: { type: 'VoteUndecided' } } },
    });
    expect(of('ballotSpoiled').map(({ failure }) => failure.message)).toEqual(['no opinion', 'no opinion']);
  });

  test("without a quorum is decided by the cadre's arbiter where there is one", async () => {
    leaders = [
      agent('arbiter', (request) => ({
        choice: 'no',
        reason: `of ${Object.keys(request as object).length}`,
      })),
    ];
    const { result } = await run([vote('a', ['yes', 'no'], { choices: ['yes', 'no'] })]);
    expect(result).toMatchObject({ a: { choice: 'no', by: 'leader', reason: 'of 5' } });
  });
});

describe('a step that fails for good', () => {
  test('goes to the agent that shares most skills, in its term', async () => {
    const { result, of } = await run([step('a', 'cannot-either')]);
    expect(result).toEqual({ a: `done in term ${TERM}` });
    expect(of('assigned').map(({ agent: name, term, by }) => [name, term, by])).toEqual([
      ['cannot', TERM, 'leader'],
      ['can', TERM, 'leader'],
    ]);
    expect(of('stepFailed').map(({ failure }) => failure.message)).toEqual(['cannot either', 'cannot']);
  });

  test('is given to two others at most', async () => {
    const { result, of } = await run([step('a', 'nor-i')]);
    expect(of('assigned')).toHaveLength(2);
    expect(of('stepFailed')).toHaveLength(3);
    expect(result).toMatchObject({ type: 'StepFailed' });
  });

  test('stays failed where nobody else has its skills, and the log says so', async () => {
    const { result, of } = await run([step('a', 'alone')]);
    expect(of('notAssigned')).toMatchObject([{ step: 'a', reason: 'no other agent has a skill of alone' }]);
    expect(result).toMatchObject({ type: 'StepFailed', message: 'Step "a" (alone) failed: alone' });
  });

  test("goes to whom the cadre's assigner names", async () => {
    leaders = [agent('assigner', () => ({ agent: 'echo', reason: 'it never fails' }))];
    const { of } = await run([step('a', 'alone', { input: 1 })]);
    expect(of('assigned')).toMatchObject([{ agent: 'echo', by: 'assigner', reason: 'it never fails' }]);
  });

  test('is one that no worker took in time, or whose agent the worker does not know', async () => {
    const { result } = await run([step('a', 'away')]);
    expect(result).toEqual({ a: 'written' });
    leaders = [agent('ghost', () => 1, { skills: ['count'] })];
    const { of } = await run([step('a', 'ghost')]);
    expect(of('stepFailed')[0]?.failure).toMatchObject({ type: 'AgentUnknown' });
    expect(of('assigned')[0]).toMatchObject({ agent: 'cannot' });
  });
});

describe("the leader's work", () => {
  const planner = agent('planner', () => ({ steps: [step('a', 'echo', { input: 1 })] }));

  test('that is handed back, or whose leader was lost, is asked for again without counting', async () => {
    leaders = [planner];
    const handedBack = async () => {
      throw ApplicationFailure.nonRetryable('stopping', 'HandedBack');
    };
    const frozen = (normally: () => Promise<unknown>) =>
      new Promise((resolve) => setTimeout(() => resolve(normally()), 2000));
    instead = { plan: [...Array.from({ length: 6 }, () => handedBack), frozen] };
    const { result, of } = await run([], true);
    expect(result).toEqual({ a: 1 });
    expect(of('leaderWorkReturned').map(({ why }) => why)).toEqual([
      ...Array.from({ length: 6 }, () => 'handedBack'),
      'heartbeatLost',
    ]);
    expect(of('planned')).toMatchObject([{ by: 'planner', term: TERM }]);
  }, 30_000);

  test('of a lower term than the task has seen is discarded and done anew', async () => {
    const stale = async (normally: () => Promise<unknown>) => ({
      ...((await normally()) as object),
      term: TERM - 1,
    });
    instead = { aggregate: [stale, stale] };
    const { result, of, task } = await run([step('a', 'echo', { input: 1 })]);
    expect(result).toEqual({ a: 1 });
    expect(of('leaderWorkReturned')).toMatchObject([
      { work: 'aggregate', why: 'staleTerm' },
      { work: 'aggregate', why: 'staleTerm' },
    ]);
    expect(of('aggregated')).toMatchObject([{ term: TERM }]);
    expect((await task.describe()).state.aggregated).toEqual({ by: 'leader', term: TERM });
  });

  test('is the result, where the cadre has an aggregator', async () => {
    leaders = [agent('aggregator', (input) => ({ all: (input as { outputs: unknown }).outputs }))];
    const { result, of } = await run([step('a', 'echo', { input: 1 }), step('b', 'echo', { input: 2 })]);
    expect(result).toEqual({ aggregate: { all: { a: 1, b: 2 } } });
    expect(of('aggregated')).toMatchObject([{ by: 'aggregator', term: TERM }]);
  });

  test('that fails is tried again, and then fails the task', async () => {
    leaders = [planner];
    const broken = async () => {
      throw new Error('not yet');
    };
    instead = { plan: [broken] };
    const { result, of } = await run([], true);
    expect(result).toEqual({ a: 1 });
    expect(of('planFailed')).toMatchObject([{ failure: { message: 'not yet' } }]);
    instead = { plan: [async () => Promise.reject(ApplicationFailure.nonRetryable('never', 'Broken'))] };
    expect((await run([], true)).result).toMatchObject({ type: 'Broken', message: 'never' });
  });
});
