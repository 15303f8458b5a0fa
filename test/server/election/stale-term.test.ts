// A leader's work that comes back in a lower term than the task has seen meanwhile; on a real server.
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { AgentContext } from '../../../src/activities/agent-context';
import { createLeaderActivities } from '../../../src/activities/leadership';
import { CadreClient } from '../../../src/client/cadre-client';
import { leaderQueue } from '../../../src/core/names';
import { FileArtifactStore } from '../../../src/storage/artifact-store';
import { CadreWorker } from '../../../src/workers/cadre-worker';
import { installRuntime } from '../../../src/workers/runtime';
import { agent, step } from '../../support/agents';
import { type DevServer, startDevServer } from '../../support/dev-server';
import { logOf } from '../../support/team-processes';
import { TemporaryFolder } from '../../support/temporary-folder';

const CADRE = 'stale';
const LOWER = 5;
const HIGHER = 7;
const folder = new TemporaryFolder();
let server: DevServer;
let client: CadreClient;
let connection: NativeConnection;

beforeAll(async () => {
  installRuntime('ERROR');
  server = await startDevServer();
  const artifacts = new FileArtifactStore(folder.path);
  client = await CadreClient.connect({ address: server.address, cadre: CADRE, artifacts });
  connection = await NativeConnection.connect({ address: server.address });
}, 60_000);

afterAll(async () => {
  await client.close();
  await connection.close();
  await server.stop();
  folder.remove();
});

/** Something that a test waits for, and brings about. */
function happening(): { readonly happened: Promise<void>; readonly happen: () => void } {
  let happen = (): void => undefined;
  const happened = new Promise<void>((resolve) => (happen = resolve));
  return { happened, happen };
}

test('what is decided in a lower term than the task has seen is discarded, and asked for again', async () => {
  let term = LOWER;
  const asked = happening();
  const higher = happening();
  const fail = async (_input: unknown, context: AgentContext): Promise<never> => {
    if (context.step === 'later') await asked.happened;
    throw ApplicationFailure.nonRetryable(context.step);
  };
  const decidedIn: [string, number][] = [];
  const assign = async (_input: unknown, context: AgentContext): Promise<{ agent: string }> => {
    decidedIn.push([context.step, context.term]);
    if (context.term === LOWER) {
      term = HIGHER;
      asked.happen();
      await higher.happened;
    }
    return { agent: 'helper' };
  };
  const agents = [
    agent('broken', fail),
    agent('helper', (_input, context) => context.step),
    agent('assigner', assign),
  ];
  const { artifacts } = client;
  const leader = await Worker.create({
    connection,
    taskQueue: leaderQueue(CADRE),
    activities: createLeaderActivities({
      cadre: CADRE,
      agents,
      artifacts,
      queueStatus: async () => ({}),
      term: () => ({ term, held: () => true, over: new AbortController().signal }),
    }),
  });
  const workers = await CadreWorker.create({
    connection,
    cadre: CADRE,
    agents,
    artifacts,
    roles: ['workflows', 'agents'],
  });
  await workers.runUntil(() =>
    leader.runUntil(async () => {
      const plan = { steps: [step('first', 'broken'), step('later', 'broken')] };
      const task = await client.start({ goal: 'assign anew', plan });
      for await (const event of task.events({ follow: true })) {
        if (event.type === 'assigned' && event.step === 'later') higher.happen();
      }
      expect(await task.result()).toEqual({ first: 'first', later: 'later' });
      expect(decidedIn).toEqual([
        ['first', LOWER],
        ['later', HIGHER],
        ['first', HIGHER],
      ]);
      const log = await logOf(task);
      expect(log.filter(({ type }) => type === 'leaderWorkReturned')).toMatchObject([
        { work: 'assign', why: 'staleTerm' },
      ]);
      expect(log.filter(({ type }) => type === 'assigned')).toMatchObject([
        { step: 'later', term: HIGHER },
        { step: 'first', term: HIGHER },
      ]);
    }),
  );
}, 40_000);
