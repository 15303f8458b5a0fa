import type { AggregateOutcome, AggregateRequest } from '../../core/leader-work';
import { AGGREGATE_STEP } from '../../core/names';
import { INLINE_MAXIMUM_BYTES } from '../../core/stored';
import { loadAll, store } from '../../storage/stored-values';
import { type LeaderActivity, type LeaderDependencies, leaderActivity } from './leader-activity';

/**
 * Makes the activity that makes the result: the cadre's `aggregator` does where there is one, from the outputs of the
 * final steps; else these are the result as they are.
 */
export function aggregateActivity(
  dependencies: LeaderDependencies,
): LeaderActivity<AggregateRequest, AggregateOutcome> {
  const { artifacts } = dependencies;
  return leaderActivity(
    dependencies,
    'make the result',
    async ({ goal, outputs }: AggregateRequest, desk) => {
      if (!desk.has('aggregator')) return { by: 'leader' };
      const { output } = await desk.ask('aggregator', { goal, outputs: await loadAll(artifacts, outputs) });
      const stored = await store(artifacts, output ?? null, INLINE_MAXIMUM_BYTES);
      return { by: 'aggregator', outputs: { [AGGREGATE_STEP]: stored } };
    },
  );
}
