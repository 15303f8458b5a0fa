import { CadreError } from '../../core/failures';
import { isRecord } from '../../core/json';
import type { ArbitrateOutcome, ArbitrateRequest } from '../../core/leader-work';
import { ballotOf, tallyOf } from '../../core/vote';
import { type LeaderActivity, type LeaderDependencies, leaderActivity } from './leader-activity';

type Choice = Omit<ArbitrateOutcome, 'term' | 'decisions'>;

/**
 * Makes the activity that decides a vote without a quorum: the cadre's `arbiter` does where there is one, else the
 * answer with most ballots stands, among equals the one of the earliest voter.
 */
export function arbitrateActivity(
  dependencies: LeaderDependencies,
): LeaderActivity<ArbitrateRequest, ArbitrateOutcome> {
  return leaderActivity(dependencies, 'decide the vote', async (request: ArbitrateRequest, desk) =>
    desk.has('arbiter')
      ? arbitersChoice((await desk.ask('arbiter', request)).output, request)
      : plurality(request),
  );
}

/** What an `arbiter` puts out: `{ choice, reason? }`. */
function arbitersChoice(output: unknown, { choices }: ArbitrateRequest): Choice {
  if (!isRecord(output) || !('choice' in output)) {
    const got = JSON.stringify(output)?.slice(0, 80) ?? 'nothing';
    throw new CadreError('AgentOutputInvalid', `Expected the arbiter to return { choice }, got ${got}`);
  }
  const { choice, reason = 'the arbiter gave no reason' } = ballotOf(output, choices);
  return { choice, by: 'arbiter', reason };
}

function plurality({ ballots, why }: ArbitrateRequest): Choice {
  const [first, second] = tallyOf(ballots);
  if (first === undefined) {
    throw new CadreError('VoteUndecided', `No voter gave an answer that counts (${why})`);
  }
  const tied = second?.ballots === first.ballots;
  const votes = first.ballots === 1 ? '1 ballot' : `${first.ballots} ballots`;
  return {
    choice: first.choice,
    by: 'leader',
    reason: tied ? `${votes} each, and the earliest voter's` : `most ballots: ${votes}`,
  };
}
