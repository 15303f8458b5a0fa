import { setHandler, workflowInfo } from '@temporalio/workflow';
import type { ElectionStart, Resignation } from '../core/election';
import { ElectionRun } from './election-run';
import { announceSignal, leaderQuery, resignUpdate } from './messages';

/**
 * Grants the terms of a cadre's leadership, one after the other, for ever. A term is an activity on the candidates'
 * queue: whoever runs it leads until it ends. Start one a cadre, as `<cadre>.election`.
 */
export async function election(start?: ElectionStart): Promise<never> {
  const run = new ElectionRun(start, workflowInfo().startTime.getTime());
  setHandler(announceSignal, (announcement) => run.announce(announcement));
  setHandler(resignUpdate, (resignation?: Resignation) => run.resign(resignation), {
    validator: (resignation?: Resignation) => run.requireLeader(resignation),
    description: 'Asks the leader to hand over',
  });
  setHandler(leaderQuery, () => run.state, {
    description: 'Who leads, in which term, and how earlier terms ended',
  });
  return run.execute();
}
