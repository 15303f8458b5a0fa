// Records a history of every shape a task can take, for test/replay. Run it (`npm run record-histories`) when a workflow
// gains a shape; after a release an old recording is never replaced, since it is the proof that old tasks still replay.
const { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { build, installDependencies } = require('./prepare');

const ROOT = join(__dirname, '..');
const FOLDER = join(ROOT, 'test', 'replay', 'histories');

async function main() {
  await installDependencies();
  await build();
  process.chdir(ROOT);
  const { defineAgent } = require('../dist');
  const { CadreClient, connect, FileArtifactStore } = require('../dist/client');
  const { CadreWorker, embeddedAgents } = require('../dist/workers');
  const { fetchServerBinary, pickPort, startEmbeddedServer } = require('../dist/workers/server');
  const { cacheFolder } = require('../dist/storage/folders');
  const { installRuntime } = require('../dist/workers/runtime');
  const { NativeConnection } = require('@temporalio/worker');
  const { ApplicationFailure } = require('@temporalio/common');
  const { z } = require('zod');

  const agent = (name, act, policy = {}, skills = []) =>
    defineAgent({ name, description: name, skills, input: z.unknown(), output: z.unknown(), policy, act });
  const embeddedPlanner = embeddedAgents.find(({ name }) => name === 'planner');
  const troubles = new Map([
    ['the leader hands over', ApplicationFailure.nonRetryable('stopping', 'HandedBack')],
    ['the planner fails once', new Error('not yet')],
  ]);
  const outages = new Map();
  const QUICK = { window: { calls: 4 }, minimumCalls: 1, cooldown: 300, cooldownMax: 300 };
  const undoing = (compensate) => {
    const { resolvedPolicy } = defineAgent({
      name: 'undoing',
      description: 'undoing',
      input: z.unknown(),
      output: z.unknown(),
      act: () => undefined,
      compensate,
    });
    return { compensate, resolvedPolicy };
  };
  const usage = {
    tokens: 12,
    microUsd: 3,
    calls: 1,
    inputTokens: 10,
    cachedTokens: 0,
    outputTokens: 2,
    unseen: 0,
  };
  const called = ({ calls, step }) =>
    calls.run({
      kind: 'model',
      name: 'test/model',
      request: { step },
      run: async () => 'answered',
      usageOf: () => ({ model: 'test/model', ...usage }),
    });
  const agents = [
    ...embeddedAgents.filter(({ name }) => name !== 'planner'),
    {
      ...embeddedPlanner,
      act(input, context) {
        const trouble = troubles.get(input.goal);
        troubles.delete(input.goal);
        if (trouble !== undefined) throw trouble;
        return embeddedPlanner.act(input, context);
      },
    },
    agent('yes', () => ({ choice: 'yes', reason: 'it is so' })),
    agent('no', () => 'no'),
    agent('unskilled', () => Promise.reject(ApplicationFailure.nonRetryable('cannot', 'Broken')), {}, [
      'count',
    ]),
    { ...agent('undoable', () => 'done'), ...undoing(() => undefined) },
    {
      ...agent('stuck', () => 'done'),
      ...undoing(() => {
        throw ApplicationFailure.nonRetryable('cannot', 'Broken');
      }),
    },
    agent('skilled', () => 7, {}, ['count']),
    agent('echo', (input) => input),
    agent(
      'flaky',
      (_input, { attempt }) => (attempt < 3 ? Promise.reject(new Error('not yet')) : 'at last'),
      {
        retry: { initialInterval: 10 },
      },
    ),
    agent('broken', () => Promise.reject(ApplicationFailure.nonRetryable('for good', 'Broken'))),
    // What the activity of an agent fails with when its worker is told to stop.
    agent('handed', (_input, { attempt }) =>
      attempt === 1
        ? Promise.reject(
            ApplicationFailure.nonRetryable('stopping', 'HandedBack', {
              attemptsUsed: 1,
              checkpoint: 'kept',
            }),
          )
        : 'done',
    ),
    // Its provider fails twice, and the breaker opens at the first failure.
    agent(
      'guarded',
      (_input, { step }) => {
        const calls = (outages.get(step) ?? 0) + 1;
        outages.set(step, calls);
        if (calls < 3) throw Object.assign(new Error('overloaded'), { status: 529 });
        return 'answered';
      },
      { breaker: QUICK, retry: { initialInterval: 10 } },
    ),
    agent('relied', () => Promise.reject(Object.assign(new Error('overloaded'), { status: 529 })), {
      breaker: QUICK,
      onOpen: { fallback: 'echo' },
      retry: { initialInterval: 10 },
    }),
    agent('local', (input) => input, { local: true }),
    {
      ...agent('caller', (_input, context) => called(context)),
      ...undoing((_undo, context) => called(context)),
    },
    agent('broken-caller', async (_input, context) => {
      await called(context);
      throw ApplicationFailure.nonRetryable('for good', 'Broken');
    }),
    agent('releaser', () => null),
    agent('asker', (_input, { ask }) => ask({ name: 'go', question: 'Shall I?', options: ['yes', 'no'] })),
    agent('hasty', (_input, { ask }) =>
      ask({ name: 'go', question: 'Now?', answerWithin: 1000 }).catch(({ type }) => type),
    ),
    agent('big', () => 'x'.repeat(50_000)),
    agent(
      'slow',
      (_input, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    ),
  ];
  const step = (id, name, more = {}) => ({ id, agent: name, instruction: `do ${id}`, ...more });
  const vote = (id, voters, more = {}) => ({
    id,
    vote: { agents: voters, ...more },
    instruction: `vote on ${id}`,
  });
  const SHAPES = {
    'main-job': { goal: 'How long are backups kept?', docs: 'examples/handbook' },
    retried: { goal: 'retry', plan: { steps: [step('a', 'flaky'), step('b', 'echo', { needs: ['a'] })] } },
    'handed-back': { goal: 'hand back', plan: { steps: [step('a', 'handed')] } },
    failed: {
      goal: 'fail',
      plan: {
        steps: [
          step('a', 'echo', { input: 1 }),
          step('b', 'broken'),
          step('c', 'slow'),
          step('d', 'echo', { needs: ['c'] }),
        ],
      },
    },
    refused: { goal: 'wait for a breaker', plan: { steps: [step('a', 'guarded')] } },
    'fell-back': { goal: 'fall back', plan: { steps: [step('a', 'relied')] } },
    'plan-refused': { goal: 'refuse', plan: { steps: [step('a', 'nobody')] } },
    cancelled: { goal: 'cancel', plan: { steps: [step('a', 'slow'), step('b', 'echo', { needs: ['a'] })] } },
    local: {
      goal: 'local',
      plan: { steps: [step('a', 'local', { input: 7 }), step('b', 'echo', { needs: ['a'] })] },
    },
    // One is answered in the second run, the other not in time.
    asked: {
      goal: 'ask',
      plan: {
        steps: [
          step('a', 'asker'),
          step('b', 'hasty'),
          ...Array.from({ length: 12 }, (_, index) =>
            step(`s${index}`, 'echo', { input: index, needs: index === 0 ? [] : [`s${index - 1}`] }),
          ),
        ],
      },
    },
    'large-output': {
      goal: 'store',
      plan: { steps: [step('a', 'big'), step('b', 'echo', { input: { $output: 'a' } })] },
    },
    'handed-over': { goal: 'the leader hands over', docs: 'examples/handbook' },
    'planner-retried': { goal: 'the planner fails once', docs: 'examples/handbook' },
    reassigned: { goal: 'reassign', plan: { steps: [step('a', 'unskilled')] } },
    'vote-quorum': { goal: 'vote', plan: { steps: [vote('a', ['yes', 'slow', 'yes'])] } },
    'vote-tie': { goal: 'tie', plan: { steps: [vote('a', ['yes', 'no'])] } },
    'vote-time-limit': { goal: 'wait', plan: { steps: [vote('a', ['yes', 'slow'], { timeLimit: 200 })] } },
    calls: {
      goal: 'count what calls cost',
      plan: {
        steps: [
          step('a', 'caller'),
          vote('b', ['caller', 'caller']),
          step('c', 'broken-caller', { needs: ['a', 'b'] }),
        ],
      },
    },
    compensated: {
      goal: 'undo',
      plan: {
        steps: [
          step('a', 'undoable'),
          step('b', 'stuck', { needs: ['a'] }),
          step('c', 'broken', { needs: ['b'] }),
        ],
      },
    },
    'continued-as-new': {
      goal: 'count',
      plan: {
        steps: Array.from({ length: 60 }, (_, index) =>
          step(`s${index}`, 'echo', { input: index, needs: index < 20 ? [] : [`s${index - 20}`] }),
        ),
      },
    },
  };

  // What persons say of each, in order.
  const SAGAS = {
    'saga-approved': {
      input: {
        name: 'pay',
        lock: 'order-42',
        timeLimit: 3_600_000,
        steps: [
          { id: 'a', agent: 'undoable' },
          { id: 'pay', agent: 'echo', kind: 'pivot', input: { of: { $output: 'a' } }, approval: {} },
          { id: 'ship', agent: 'broken' },
        ],
      },
      persons: ['yes', 'retry', 'skip'],
    },
    'saga-undone': {
      input: {
        name: 'undo',
        unwinding: { onFailure: 'goOn' },
        steps: [
          { id: 'a', agent: 'echo', input: 1, compensate: { agent: 'releaser' } },
          { id: 'b', agent: 'stuck', needs: ['a'] },
          { id: 'c', agent: 'undoable', needs: ['a'] },
          { id: 'd', agent: 'echo', needs: ['b', 'c'], approval: { answerWithin: 60_000 } },
        ],
      },
      persons: ['no', 'skip'],
    },
    'saga-time-limit': {
      input: {
        name: 'late',
        timeLimit: 1000,
        steps: [
          { id: 'a', agent: 'undoable' },
          { id: 'b', agent: 'slow' },
        ],
      },
      persons: [],
    },
  };

  installRuntime('ERROR');
  const folder = mkdtempSync(join(tmpdir(), 'cadre-record-'));
  const binary = await fetchServerBinary({ cacheFolder: cacheFolder(), say: console.log });
  const settings = [{ key: 'limit.historyCount.suggestContinueAsNew', value: 90 }];
  const server = await startEmbeddedServer({
    binary,
    port: await pickPort([]),
    logFile: join(folder, 'server.log'),
    settings,
  });
  const temporal = await connect({ address: server.address, namespace: server.namespace, configured: true });
  const connection = await NativeConnection.connect({ address: server.address });
  try {
    const artifacts = new FileArtifactStore(folder);
    const client = new CadreClient(temporal, { artifacts });
    const worker = await CadreWorker.create({ connection, agents, artifacts });
    mkdirSync(FOLDER, { recursive: true });
    await worker.runUntil(async () => {
      for (const [shape, input] of Object.entries(SHAPES)) await record(client, temporal, shape, input);
      for (const [shape, saga] of Object.entries(SAGAS)) await recordSaga(client, temporal, shape, saga);
      await recordResumed(client, temporal);
      await recordForked(client, temporal);
      await recordElection(client, temporal);
      await recordBreaker(client, temporal);
      await recordBudget(client, temporal);
      await recordAgents(client, temporal);
    });
    const own = await CadreWorker.create({
      connection,
      cadre: 'own',
      agents,
      artifacts,
      workflowsPath: join(ROOT, 'test', 'replay', 'own-saga.ts'),
    });
    await own.runUntil(() => recordOwn(new CadreClient(temporal, { cadre: 'own', artifacts }), temporal));
  } finally {
    await connection.close();
    await temporal.connection.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function isRecorded(shape) {
  const recorded = existsSync(join(FOLDER, `${shape}.json`)) && !process.argv.includes('--again');
  if (recorded) console.log(`${shape}: there is one already (--again replaces it; not after a release)`);
  return recorded;
}

async function record(client, temporal, shape, input) {
  if (isRecorded(shape)) return;
  const task = await client.start(input, { id: shape });
  if (shape === 'cancelled') {
    while ((await task.describe()).pending.every(({ kind }) => kind !== 'started'))
      await new Promise((resolve) => setTimeout(resolve, 50));
    await task.cancel();
  }
  if (shape === 'asked') {
    const runs = new Set();
    while (runs.size < 2) {
      for await (const { runId } of task.events()) runs.add(runId);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await task.answer('a', 'yes', { hash: (await task.question('a')).hash, by: 'somebody', note: 'a note' });
  }
  if (shape === 'compensated') {
    while ((await task.describe()).state.phase.kind !== 'needsAttention')
      await new Promise((resolve) => setTimeout(resolve, 50));
    await task.resolve('b', 'retry');
    while ((await task.describe()).state.phase.kind !== 'needsAttention')
      await new Promise((resolve) => setTimeout(resolve, 50));
    await task.resolve('b', 'skip', 'undone by hand');
  }
  await writeRuns(task, temporal, shape);
}

/** The history of each run of a task that is about to end. */
async function writeRuns(task, temporal, shape) {
  await task.result().catch(() => undefined);
  const runs = new Set();
  for await (const { runId } of task.events()) runs.add(runId);
  for (const [index, runId] of [...runs].entries()) {
    const name = index === 0 ? shape : `${shape}-${index + 1}`;
    write(name, await temporal.workflow.getHandle(task.id, runId).fetchHistory());
  }
}

async function recordSaga(client, temporal, shape, { input, persons }) {
  if (isRecorded(shape)) return;
  const task = await client.startSaga(input, { id: shape });
  await attend(task, persons);
  await writeRuns(task, temporal, shape);
  if (input.lock === undefined) return;
  const { lockId } = require('../dist/core/names');
  write('lock', await temporal.workflow.getHandle(lockId(client.cadre, input.lock)).fetchHistory());
}

/** Says what persons say, to whatever is asked. */
async function attend(task, persons) {
  for (const said of persons) {
    const waits = async () => {
      const { state } = await task.describe();
      return ['awaitingApproval', 'needsAttention'].includes(state.phase.kind) ? state : undefined;
    };
    let state = await waits();
    for (; state === undefined; state = await waits())
      await new Promise((resolve) => setTimeout(resolve, 50));
    const { kind, step } = state.phase;
    if (kind === 'needsAttention') await task.resolve(step, said, 'a note');
    else await task.answer(step, said, { hash: state.steps[step].hash, note: 'a note' });
  }
}

/** What goes on with a saga that was terminated. */
async function recordResumed(client, temporal) {
  if (isRecorded('saga-resumed')) return;
  const steps = [
    { id: 'a', agent: 'undoable' },
    { id: 'b', agent: 'undoable', policy: { startToClose: 1000 } },
    { id: 'c', agent: 'slow', policy: { startToClose: 1000 } },
  ];
  const task = await client.startSaga({ name: 'terminated', steps }, { id: 'saga-terminated' });
  while ((await task.describe()).state.steps.c.kind !== 'scheduled')
    await new Promise((resolve) => setTimeout(resolve, 50));
  await temporal.workflow.getHandle(task.id).terminate('to record it');
  await writeRuns(await client.resumeSaga(task.id), temporal, 'saga-resumed');
}

/** A fork that gives a step which failed to an agent of which the plan knew nothing. */
async function recordForked(client, temporal) {
  if (isRecorded('forked')) return;
  const steps = [
    { id: 'a', agent: 'echo', instruction: 'say it' },
    { id: 'b', agent: 'broken', instruction: 'count it', needs: ['a'] },
  ];
  const task = await client.start({ goal: 'to be forked', plan: { steps } }, { id: 'to-be-forked' });
  await task.result().catch(() => undefined);
  let number = 0;
  for await (const event of task.events()) if (event.type === 'stepCompleted') ({ number } = event);
  const { id } = await client.fork(task.id, { at: { number }, overrides: { 'steps.b.agent': 'undoable' } });
  await writeRuns(client.task(id), temporal, 'forked');
}

/** A saga in workflow code, over two runs. */
async function recordOwn(client, temporal) {
  if (isRecorded('own-saga')) return;
  const { workflowId } = await temporal.workflow.start('own', {
    workflowId: 'own-saga',
    taskQueue: client.cadre,
    args: [{}],
  });
  const task = client.task(workflowId);
  await attend(task, ['yes']);
  await writeRuns(task, temporal, 'own-saga');
}

/** A breaker that was opened, probed in vain, probed, tripped, isolated and released; and a run that goes on from it. */
async function recordBreaker(client, temporal) {
  if (isRecorded('breaker')) return;
  const key = 'guarded';
  if ((await client.breaker(key)).opened === 0) {
    await (
      await client.start({ goal: 'open it', plan: { steps: [{ id: 'b', agent: key, instruction: 'b' }] } })
    ).result();
  }
  for (const how of ['trip', 'isolate', 'release', 'trip', 'reset'])
    await client.operateBreaker(key, how, 'a note');
  const { breakerId, breakersQueue } = require('../dist/core/names');
  const id = breakerId(client.cadre, key);
  write('breaker', await temporal.workflow.getHandle(id).fetchHistory());
  const { state } = await client.breaker(key);
  const origin = { kind: 'continuedAsNew', workflowId: id, runId: 'the first' };
  const resumed = await temporal.workflow.start('breaker', {
    workflowId: breakerId(client.cadre, 'resumed'),
    taskQueue: breakersQueue(client.cadre),
    args: [{ snapshot: { key: 'resumed', state }, origin, overrides: {} }],
  });
  await client.operateBreaker('resumed', 'trip', 'a note');
  write('breaker-resumed', await resumed.fetchHistory());
}

/** A task that reaches its budget and goes on with more, its account, and one that goes on in a new run. */
async function recordBudget(client, temporal) {
  if (isRecorded('budget')) return;
  const { budgetId, taskQueue } = require('../dist/core/names');
  const plan = {
    steps: [
      { id: 'a', agent: 'echo', instruction: 'say it', input: 1 },
      { id: 'b', agent: 'echo', instruction: 'say it', input: 2, needs: ['a'] },
    ],
  };
  const budget = { steps: 1, calls: 3, wallTime: '1h' };
  const task = await client.start({ goal: 'to reach its budget', plan, budget }, { id: 'budget-reached' });
  await writeRuns(task, temporal, 'budget-reached');
  await writeRuns(await task.resume({ budget: { steps: 2 } }), temporal, 'budget-raised');
  const [{ account }] = (await task.describe()).state.budget.lines;
  write('budget', await temporal.workflow.getHandle(budgetId(client.cadre, account)).fetchHistory());
  const { state } = await client.budget(account);
  const id = budgetId(client.cadre, 'agent.resumed');
  const origin = { kind: 'continuedAsNew', workflowId: id, runId: 'the first' };
  const resumed = await temporal.workflow.start('budget', {
    workflowId: id,
    taskQueue: taskQueue(client.cadre),
    args: [{ snapshot: { ...state, account: 'agent.resumed' }, origin, overrides: {} }],
  });
  const amount = { tokens: 5, microUsd: 1, calls: 1, steps: 0 };
  const operations = [
    { do: 'reserve', id: 'a', amount },
    { do: 'settle', id: 'a', amount },
    { do: 'reserve', id: 'b', amount: { ...amount, calls: 9 } },
  ];
  const message = { worker: 'a worker', turn: 1, limits: { calls: 3 }, revision: 2, operations };
  await resumed.executeUpdate('exchange', { args: [message] });
  write('budget-resumed', await resumed.fetchHistory());
}

/** An agent that hears of a task, of others, of one that is no more, and what it refuses; and one that leaves. */
async function recordAgents(client, temporal) {
  if (isRecorded('agent')) return;
  const { agentId, taskQueue } = require('../dist/core/names');
  const { readFacts } = require('../dist/client/history-reader');
  const until = async (isSo) => {
    while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const research = temporal.workflow.getHandle(agentId(client.cadre, 'research'));
  const knows = async (member) => (await research.query('agent')).members.includes(member);
  await (await client.start({ goal: 'How long are backups kept?', docs: 'examples/handbook' })).result();
  const ghost = await temporal.workflow.start('agent', {
    workflowId: agentId(client.cadre, 'ghost'),
    taskQueue: taskQueue(client.cadre),
    args: [{ cadre: client.cadre, member: 'ghost', seeds: ['research'] }],
  });
  await until(() => knows('ghost'));
  await ghost.terminate('to record it');
  const operations = [
    { type: 'pnCounter', name: 'count', by: -2 },
    { type: 'orMap', name: 'map', set: '__proto__', value: 1 },
    { type: 'lwwRegister', name: 'register', assign: null, term: 7 },
    { type: 'appendLog', name: 'log', append: [] },
  ];
  const remember = { version: 1, id: 'by hand', task: 'by hand', decisions: [], operations };
  await research.signal('remember', remember);
  await research.signal('remember', remember);
  await research.signal('remember', { ...remember, version: 99 });
  await research.signal('gossip', 'no gossip');
  await research.signal('gossip', { version: 1, cadre: 'another', from: 'x', seen: {}, asks: true });
  await until(async () => !(await knows('ghost')));
  await client.leaveAgent('writer');
  const writer = temporal.workflow.getHandle(agentId(client.cadre, 'writer'));
  await writer.result();
  await until(async () => !(await knows('writer')));
  write('agent-left', await writer.fetchHistory());
  const runs = new Set();
  for await (const { runId } of readFacts(temporal, research.workflowId)) runs.add(runId);
  for (const [index, runId] of [...runs].entries()) {
    const name = index === 0 ? 'agent' : `agent-${index + 1}`;
    write(name, await temporal.workflow.getHandle(research.workflowId, runId).fetchHistory());
  }
}

/** The election of all this, with a term that was resigned; and one that goes on from an earlier run. */
async function recordElection(client, temporal) {
  const { electionId, taskQueue } = require('../dist/core/names');
  const id = electionId(client.cadre);
  if (existsSync(join(FOLDER, 'election.json')) && !process.argv.includes('--again')) return;
  const { term } = await client.resignLeader();
  while ((await client.leader()).term === term || (await client.leader()).leader === undefined)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const election = temporal.workflow.getHandle(id);
  write('election', await election.fetchHistory());
  const snapshot = await election.query('leader');
  const origin = { kind: 'continuedAsNew', workflowId: id, runId: (await election.describe()).runId };
  const resumed = await temporal.workflow.start('election', {
    workflowId: 'resumed.election',
    taskQueue: taskQueue(client.cadre),
    args: [{ snapshot, origin, overrides: {} }],
  });
  while ((await resumed.query('leader')).term === snapshot.term)
    await new Promise((resolve) => setTimeout(resolve, 50));
  await resumed.cancel();
  await resumed.result().catch(() => undefined);
  write('election-resumed', await resumed.fetchHistory());
}

function write(name, history) {
  writeFileSync(join(FOLDER, `${name}.json`), toJson(history));
  console.log(`${name}: ${history.events.length} events`);
}

/** Without what tells of the machine: identities, and stack traces with its paths. */
function toJson(history) {
  const { historyToJSON } = require('@temporalio/common/lib/proto-utils');
  const scrub = (key, value) => {
    if (key === 'stackTrace') return '';
    // Identities, and the sticky queues named after them.
    return typeof value === 'string' && /^\d+@/.test(value) ? 'worker' : value;
  };
  return `${JSON.stringify(JSON.parse(historyToJSON(history)), scrub, 1)}\n`;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
