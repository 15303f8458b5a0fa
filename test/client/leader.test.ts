// Who leads as the client reads it: real elections, whose terms are taken by workers that do what the test says.
import { Context, heartbeat } from '@temporalio/activity';
import {
  type Client,
  type WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { CadreClient } from '../../src/client/cadre-client';
import { connect } from '../../src/client/connection';
import type { LeaderReport } from '../../src/client/leader';
import {
  type Announcement,
  type ElectionState,
  LEASE_RENEWAL_INTERVAL,
  type Resignation,
} from '../../src/core/election';
import type { Envelope } from '../../src/core/envelope';
import { ANNOUNCE_SIGNAL, RESIGN_UPDATE, candidatesQueue, electionId, taskQueue } from '../../src/core/names';
import { PREBUILT_BUNDLE } from '../../src/workers/build-id';
import { ensureElection } from '../../src/workers/leadership/ensure-election';
import { installRuntime } from '../../src/workers/runtime';
import { until } from '../support/cli';
import { type DevServer, startDevServer } from '../support/dev-server';

type Lead = (envelope: Envelope) => Promise<void>;

let server: DevServer;
let temporal: Client;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  installRuntime('ERROR');
  server = await startDevServer();
  const { address, namespace } = server;
  temporal = await connect({ address, namespace, configured: true });
}, 60_000);

afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

afterAll(async () => {
  await temporal.connection.close();
  await server.stop();
});

/** Runs what `options` say until the test is over, or what is returned is called. */
async function run(
  options: Omit<Parameters<typeof Worker.create>[0], 'connection'>,
): Promise<() => Promise<void>> {
  // Workers of one connection may not share a queue.
  const connection = await NativeConnection.connect({ address: server.address });
  const worker = await Worker.create({
    shutdownGraceTime: 0,
    shutdownForceTime: 100,
    ...options,
    connection,
  });
  const ended = worker
    .run()
    .catch(() => undefined)
    .then(() => connection.close());
  const stop = async (): Promise<void> => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await ended;
  };
  stops.push(stop);
  return stop;
}

function runElections(cadre: string): Promise<() => Promise<void>> {
  return run({
    taskQueue: taskQueue(cadre),
    workflowBundle: { codePath: PREBUILT_BUNDLE },
    stickyQueueScheduleToStartTimeout: 1000,
  });
}

/** Has the election of `cadre` run; stopped by what is returned. */
async function hostElection(cadre: string): Promise<() => Promise<void>> {
  const stop = await runElections(cadre);
  await ensureElection(temporal, cadre);
  return stop;
}

/** Has `identity` stand in `cadre`; whoever is given a term does `lead` with it. */
function stand(cadre: string, identity: string, lead: Lead): Promise<() => Promise<void>> {
  return run({
    identity,
    taskQueue: candidatesQueue(cadre),
    activities: { lead },
    maxConcurrentActivityTaskExecutions: 1,
  });
}

/** Holds the term until it is asked for it back, without a word to the election. */
const holdTerm: Lead = async () => {
  const { cancelled } = Context.current();
  const renewing = setInterval(() => heartbeat(), LEASE_RENEWAL_INTERVAL);
  try {
    await cancelled;
  } finally {
    clearInterval(renewing);
  }
};

/** Holds the term likewise, and is known to the election as `identity`. */
function announced(cadre: string, identity: string): Lead {
  return async (envelope) => {
    const { term } = envelope;
    await temporal.workflow.getHandle(electionId(cadre)).signal(ANNOUNCE_SIGNAL, { term, identity });
    await holdTerm(envelope);
  };
}

async function leads(client: CadreClient, identity: string, after = 0): Promise<LeaderReport> {
  let report = await client.leader();
  await until(async () => {
    report = await client.leader();
    return report.leader?.identity === identity && report.term > after;
  });
  return report;
}

/** Whom the election of `cadre` would ask to resign. */
async function asked(cadre: string): Promise<string | undefined> {
  const state = await temporal.workflow.getHandle(electionId(cadre)).query<ElectionState>('leader');
  return state.leader?.identity;
}

function makeClient(cadre: string): CadreClient {
  return new CadreClient(temporal, { cadre });
}

/** A client to which `happens` between the description of a workflow and its history. */
function beforeHistory(client: Client, happens: () => Promise<void>): Client {
  const { workflowService } = client;
  const service = Object.create(workflowService, {
    getWorkflowExecutionHistory: {
      value: async (request: Parameters<typeof workflowService.getWorkflowExecutionHistory>[0]) => {
        await happens();
        return workflowService.getWorkflowExecutionHistory(request);
      },
    },
  }) as typeof workflowService;
  return Object.create(client, { workflowService: { value: service } }) as Client;
}

/** A client whose updates fail with `error`. */
function failingUpdates(client: Client, error: Error): Client {
  const executeUpdate = (): Promise<never> => Promise.reject(error);
  const getHandle = (id: string): unknown =>
    Object.create(client.workflow.getHandle(id), { executeUpdate: { value: executeUpdate } });
  const workflow: unknown = Object.create(client.workflow, { getHandle: { value: getHandle } });
  return Object.create(client, { workflow: { value: workflow } }) as Client;
}

describe('who leads', () => {
  test('is nobody, in no term, where there is no election', async () => {
    expect(await makeClient('none').leader()).toEqual({
      cadre: 'none',
      election: 'none.election',
      status: 'none',
      term: 0,
      candidates: [],
      past: [],
    });
  });

  test('is whoever has the term, though no announcement came; then come those who stand, in order', async () => {
    const cadre = 'unannounced';
    const client = makeClient(cadre);
    const before = Date.now();
    await stand(cadre, 'holder', holdTerm);
    await hostElection(cadre);
    await leads(client, 'holder');
    await stand(cadre, 'z', holdTerm);
    await stand(cadre, 'a', holdTerm);
    await until(async () => (await client.leader()).candidates.length === 3);
    const { leader, candidates, past } = await client.leader();
    expect(leader?.since).toBeGreaterThanOrEqual(before);
    expect(leader?.since).toBeLessThanOrEqual(Date.now());
    expect(candidates).toMatchObject([
      { identity: 'holder', leads: true },
      { identity: 'a', leads: false },
      { identity: 'z', leads: false },
    ]);
    expect(past).toEqual([]);
  });

  test('is still whoever has the term while it does not renew its lease, with its age', async () => {
    const cadre = 'silent';
    const client = makeClient(cadre);
    await stand(cadre, 'silent', () => Context.current().cancelled);
    await hostElection(cadre);
    const { term } = await leads(client, 'silent');
    await until(async () => Number((await client.leader()).candidates[0]?.age) > 2 * LEASE_RENEWAL_INTERVAL);
    expect(await client.leader()).toMatchObject({ term, leader: { identity: 'silent' } });
    await until(async () => (await client.leader()).past[0]?.term === term);
    expect((await client.leader()).past[0]).toMatchObject({ term, how: 'lostHeartbeat' });
  });

  test('is told with the term it leads in, where the next one begins meanwhile', async () => {
    const cadre = 'meanwhile';
    const client = makeClient(cadre);
    let end = (): void => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    const stop = await stand(cadre, 'first', () => over);
    await hostElection(cadre);
    const { term } = await leads(client, 'first');
    const nextTerm = async (): Promise<void> => {
      end();
      await until(async () => (await client.leader()).term > term);
    };
    const report = await new CadreClient(beforeHistory(temporal, nextTerm), { cadre }).leader();
    await stop();
    expect(report).toMatchObject({ term, leader: { identity: 'first' }, past: [] });
  });

  test('is nobody while the term is paused by hand before somebody takes it', async () => {
    const cadre = 'paused';
    await hostElection(cadre);
    const pending = async (): Promise<string | undefined> => {
      const { raw } = await temporal.workflow.getHandle(electionId(cadre)).describe();
      return raw.pendingActivities?.[0]?.activityId ?? undefined;
    };
    await until(async () => (await pending()) !== undefined);
    await temporal.workflowService.pauseActivity({
      namespace: server.namespace,
      execution: { workflowId: electionId(cadre) },
      id: (await pending()) ?? '',
      identity: 'somebody',
    });
    const { status, leader, candidates } = await makeClient(cadre).leader();
    expect({ status, leader, candidates }).toEqual({ status: 'running', leader: undefined, candidates: [] });
  });

  test('is nobody after the election was terminated, which keeps its last term and those before', async () => {
    const cadre = 'terminated';
    const client = makeClient(cadre);
    await stand(cadre, 'holder', announced(cadre, 'holder'));
    await hostElection(cadre);
    const { term } = await leads(client, 'holder');
    await until(() => client.resignLeader().then(Boolean, () => false));
    await leads(client, 'holder', term);
    await temporal.workflow.getHandle(electionId(cadre)).terminate();
    const { status, leader, ...rest } = await client.leader();
    expect([status, leader]).toEqual(['none', undefined]);
    expect(rest).toMatchObject({ term: term + 1, past: [{ term, leader: 'holder', how: 'resigned' }] });
  });
});

test('watching tells at first, then only of changes, and ends with its signal', async () => {
  const cadre = 'watched';
  const client = makeClient(cadre);
  const watching = new AbortController();
  const seen: LeaderReport[] = [];
  const ended = (async () => {
    const { signal } = watching;
    for await (const report of client.watchLeader({ signal, interval: 20 })) seen.push(report);
  })();
  await until(() => seen.length === 1);
  await hostElection(cadre);
  await until(() => seen.at(-1)?.status === 'running');
  const stop = await stand(cadre, 'holder', holdTerm);
  await until(() => seen.at(-1)?.leader?.identity === 'holder');
  await stop();
  await until(() => seen.at(-1)?.leader === undefined);
  watching.abort();
  await ended;
  const told = seen.map(({ status, term, leader }) => JSON.stringify([status, term, leader?.identity]));
  expect(seen[0]).toMatchObject({ status: 'none', term: 0 });
  expect(told.filter((one, index) => one === told[index - 1])).toEqual([]);
});

describe('a request to resign', () => {
  test('is refused as NoLeader where there is no election, and while nobody holds the term', async () => {
    const cadre = 'nobody';
    const client = makeClient(cadre);
    const refused = (message: RegExp): Record<string, unknown> => ({
      type: 'NoLeader',
      message: expect.stringMatching(message) as string,
    });
    await expect(client.resignLeader()).rejects.toMatchObject(refused(/it has no election/));
    await hostElection(cadre);
    await expect(client.resignLeader()).rejects.toMatchObject(
      refused(/^Nobody leads "nobody": term \d+ is not held/),
    );
  });

  test('is refused as NoLeader, and cancels no term, where it is meant for another or came too late', async () => {
    const cadre = 'meant';
    await stand(cadre, 'holder', announced(cadre, 'holder'));
    await hostElection(cadre);
    const { term } = await leads(makeClient(cadre), 'holder');
    await until(async () => (await asked(cadre)) === 'holder');
    const request = (resignation: Resignation): Promise<unknown> =>
      temporal.workflow
        .getHandle(electionId(cadre))
        .executeUpdate<Announcement, [Resignation]>(RESIGN_UPDATE, { args: [resignation] })
        .catch((error: WorkflowUpdateFailedError) => error.cause);
    expect(await request({ term: term - 1 })).toMatchObject({ type: 'NoLeader' });
    expect(await request({ term, until: Date.now() - 60_000 })).toMatchObject({ type: 'NoLeader' });
    expect(await makeClient(cadre).leader()).toMatchObject({ term, leader: { identity: 'holder' } });
    expect(await request({ term, until: Date.now() + 60_000 })).toEqual({ term, identity: 'holder' });
  });

  test('that no worker passes on is NoLeader', async () => {
    const cadre = 'late';
    const client = makeClient(cadre);
    await stand(cadre, 'holder', announced(cadre, 'holder'));
    const stop = await hostElection(cadre);
    await leads(client, 'holder');
    await stop();
    await expect(client.resignLeader()).rejects.toMatchObject({
      type: 'NoLeader',
      message: expect.stringMatching(/No worker .* of "late" has passed the request on/) as string,
    });
  });

  test('that the server gives up at the deadline, before the client does, is NoLeader too', async () => {
    const cadre = 'given-up';
    await stand(cadre, 'holder', holdTerm);
    await hostElection(cadre);
    await leads(makeClient(cadre), 'holder');
    const client = new CadreClient(
      failingUpdates(temporal, new WorkflowUpdateRPCTimeoutOrCancelledError('Call cancelled')),
      { cadre },
    );
    await expect(client.resignLeader()).rejects.toMatchObject({
      type: 'NoLeader',
      message: expect.stringMatching(/has passed the request on/) as string,
    });
  });

  test('that the server refuses for a reason of its own is refused for that reason', async () => {
    const cadre = 'forbidden';
    await stand(cadre, 'holder', holdTerm);
    await hostElection(cadre);
    await leads(makeClient(cadre), 'holder');
    const reason = new Error('7 PERMISSION_DENIED: not you');
    const refused = new CadreClient(
      failingUpdates(temporal, Object.assign(reason, { details: '', metadata: {} })),
      { cadre },
    );
    await expect(refused.resignLeader()).rejects.toBe(reason);
  });

  test('to a server that is gone is ServerUnreachable', async () => {
    const other = await startDevServer();
    const { address, namespace } = other;
    const far = await connect({ address, namespace, configured: true });
    try {
      await ensureElection(far, 'far');
      other.kill();
      const client = new CadreClient(far, { cadre: 'far' });
      await expect(client.resignLeader()).rejects.toMatchObject({ type: 'ServerUnreachable' });
    } finally {
      await far.connection.close();
      await other.stop();
    }
  }, 30_000);
});
