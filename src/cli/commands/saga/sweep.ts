import type { Command } from 'commander';
import type { SweepReport } from '../../../client/resume';
import { type CommonFlags, withCommonOptions } from '../../connection-options';
import type { Execute } from '../../execute';
import { EXIT } from '../../exit';
import type { Output } from '../../output';
import { openSession } from '../../session';

export function sagaSweepCommand(saga: Command, execute: Execute): void {
  const sweep = saga
    .command('sweep')
    .description('resume all that was terminated or timed out before it was undone, and free stale keys');
  withCommonOptions(sweep).action((flags: CommonFlags) =>
    execute(flags, async (output) => {
      const session = await openSession(flags);
      try {
        const report = await session.client.sweepSagas();
        output.value(report);
        write(report, output);
        return hasFailed(report) ? EXIT.failed : EXIT.done;
      } finally {
        await session.close();
      }
    }),
  );
}

function write({ executions, locks, locksFailure }: SweepReport, output: Output): void {
  const bad = output.paint('red', '✗');
  const good = output.paint('green', '✓');
  const counts = { resumed: 0, resumedBefore: 0, nothingToResume: 0, failed: 0 };
  for (const one of executions) {
    counts[one.kind] += 1;
    if (one.kind === 'resumed') output.line(`${good} ${one.id} goes on in ${one.as}`);
    if (one.kind === 'failed') output.line(`${bad} ${one.id}: ${one.failure.message}`);
  }
  for (const { key, holder } of locks) {
    output.line(`${good} ${key} is free: ${holder.workflowId} has ended`);
  }
  if (locksFailure !== undefined) output.line(`${bad} locks: ${locksFailure.message}`);
  const { resumed, resumedBefore, nothingToResume, failed } = counts;
  output.line(
    `${executions.length} terminated or timed out: ${resumed} resumed now, ${resumedBefore} before, ${nothingToResume} with nothing to undo, ${failed} failed.`,
  );
  if (resumed > 0)
    output.line('  → A worker does the rest: `cadre worker`; see `cadre saga show ID.resume`.');
}

function hasFailed({ executions, locksFailure }: SweepReport): boolean {
  return locksFailure !== undefined || executions.some(({ kind }) => kind === 'failed');
}
