import { Worker } from '@temporalio/worker';
import { createLeaderActivities } from '../../src/activities/leadership';
import type { AnyAgent } from '../../src/activities/define-agent';
import { LEADER_WORK, type LeaderWork, leaderQueue } from '../../src/core/names';
import type { ServerCadre } from './server-cadre';

/** One attempt at a piece of the leader's work, as a task asks for it. */
export interface AskedWork {
  readonly work: LeaderWork;
  /** The highest term that the task has seen. */
  readonly seen: number;
  /** Does the work as the leader of `term` does. */
  readonly normally: (term: number) => Promise<object>;
}

export interface LeaderScript {
  /** The agents that the leader knows of at the time. */
  readonly agents: () => readonly AnyAgent[];
  /** How many poll a queue. Default: one each. */
  readonly pollers?: (queue: string) => number;
  /** What the leader does when it is asked; what is returned or thrown goes to the task. */
  readonly answer: (asked: AskedWork) => Promise<unknown>;
}

/**
 * Serves the leader's queue of a cadre that has no leader, as the script says. Returns what ends it; call that before
 * the cadre's `close`.
 */
export async function scriptLeader(
  { client, connection }: ServerCadre,
  { agents, pollers = () => 1, answer }: LeaderScript,
): Promise<() => Promise<void>> {
  const activitiesOf = (term: number) =>
    createLeaderActivities({
      cadre: client.cadre,
      agents: agents(),
      artifacts: client.artifacts,
      queueStatus: async (queue) => ({ pollers: pollers(queue) }),
      term: () => ({ term, held: () => true, over: new AbortController().signal }),
    });
  const activity = (work: LeaderWork) => (envelope: { term: number }, request: object) => {
    const normally = (term: number): Promise<object> => {
      const normal = activitiesOf(term)[work] as (of: object, request: object) => Promise<object>;
      return normal(envelope, request);
    };
    return answer({ work, seen: envelope.term, normally });
  };
  const worker = await Worker.create({
    connection,
    taskQueue: leaderQueue(client.cadre),
    activities: Object.fromEntries(LEADER_WORK.map((work) => [work, activity(work)])),
  });
  const running = worker.run();
  return async () => {
    worker.shutdown();
    await running;
  };
}
