/** Cadre as it is in `dist`: its embedded server, its client, and workers with all roles and default settings. */
const { randomUUID } = require('node:crypto');
const { join } = require('node:path');
const { CadreClient, FileArtifactStore, TaskFailedError, connect } = require('../../../dist/client');
const { TemporalReplicas } = require('../../../dist/client/agents');
const { FAN_OUT, KEYS, PAYLOAD, check, drive, failureOf, settledAt } = require('../driver');
const { Workers, startServer } = require('../children');

const STEPS = ['a', 'b', 'c'];
const threeSteps = sagaOf(['step', 'step', 'step']);
const failingSteps = sagaOf(['step', 'step', 'refuse']);
/** The agent whose replica is the entity of W4. */
const MEMBER = 'counter';

drive(async ({ folder, workers: count, onDisk }) => {
  const server = await startServer({ folder, ours: true, onDisk });
  const workers = new Workers(
    require.resolve('./worker'),
    { address: server.address },
    { CADRE_DATA: folder },
  );
  for (let at = 0; at < count; at += 1) await workers.add();
  const to = { address: server.address, namespace: 'default', configured: true };
  const artifacts = new FileArtifactStore(join(folder, 'artifacts'));
  const client = new CadreClient(await connect(to, 20_000), { artifacts });
  const last = {};
  const saga = async (work, input, id) => (last[work] = await client.startSaga(input, { id }));
  const checkUndone = onceOnly(async (task) => {
    const { state } = await task.describe();
    check('W3 ended as', state.phase.kind, 'compensated');
    check('W3 undid', (state.compensations ?? []).map(({ step }) => step).join(), 'b,a');
  });
  return {
    versions: {
      server: `Temporal ${server.version}`,
      sdk: `cadre ${require('../../../package.json').version}, @temporalio ${require('@temporalio/client/package.json').version}`,
      durability: server.durability,
    },
    processes: () => ({ server: [server.pid], worker: workers.pids }),
    works: {
      W1: async (id) => check('W1', (await (await saga('W1', threeSteps, id)).result()).c, PAYLOAD),
      W2: async (id) => {
        const task = (last.W2 = await client.start({ goal: 'goal' }, { id }));
        check('W2', Object.values(await task.result())[0], FAN_OUT);
      },
      W3: async (id) => {
        const task = await saga('W3', failingSteps, id);
        const failure = await failureOf(task.result());
        check('W3', failure instanceof TaskFailedError && failure.type, 'StepFailed');
        await checkUndone(task);
      },
    },
    entity: await entity(client),
    slow: async (id, file) => {
      const steps = [1, 2, 3].map((number) => ({
        id: `step-${number}`,
        agent: 'slow',
        input: { run: id, number, file },
      }));
      await (await client.startSaga({ name: 'slow steps', steps }, { id })).result();
    },
    addWorker: () => workers.add(),
    facts: async (work) => (await last[work].describe()).history,
    cannot: {},
    async stop() {
      await workers.stop();
      await client.close();
      await server.stop();
    },
  };
});

function sagaOf(agents) {
  const steps = agents.map((agent, at) => ({
    id: STEPS[at],
    agent,
    input: at === 0 ? PAYLOAD : { $output: STEPS[at - 1] },
  }));
  return { name: 'three steps', steps };
}

/** A run that ended as failed was undone; that it says so is read from its history, which the others have in their result. */
function onceOnly(look) {
  let looked;
  return (task) => (looked ??= look(task));
}

/** One replica of an agent; a message is what a task lets it remember, with one operation. */
async function entity(client) {
  const replicas = new TemporalReplicas(client.temporal, client.cadre, [MEMBER]);
  await replicas.ensure(MEMBER);
  const session = randomUUID();
  return {
    kind: 'signal',
    send: (number) => {
      const id = `${session}-${number}`;
      const operations = [{ type: 'gCounter', name: `key-${number % KEYS}`, by: 1 }];
      return replicas.remember(MEMBER, { version: 1, id, task: id, decisions: [], operations });
    },
    settled: (total) =>
      settledAt(total, async () => {
        const { crdts } = await client.knowledge(MEMBER);
        return crdts.reduce((sum, { value }) => sum + value, 0);
      }),
  };
}
