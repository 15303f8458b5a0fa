import { CancellationScope, condition, isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import { type Refusal, afterRefusal, isRefusal, readRefusal, refusalTimer } from '../core/breaker/refusal';
import { failureDetails, failureInfo } from '../core/failure-info';
import { type FailureInfo, isHandedBack } from '../core/failures';
import {
  type ArbitrateOutcome,
  type ArbitrateRequest,
  arbitrateEvents,
  ballotEvent,
  quorumEvents,
} from '../core/leader-work';
import type { VoteStep } from '../core/plan';
import { type ActOutcome, type HandedBack, readHandedBack } from '../core/task-activities';
import { ballotRefusal, onOpenOf } from '../core/task-fold';
import { policyOf, stepState } from '../core/task-state';
import { VOTE_TIME_LIMIT, ballotStep, verdictOf, voteTimer } from '../core/vote';
import { onLeader } from './on-leader';
import type { TaskRecord } from './task-record';

/** Asks one voter. */
export type AskVoter = (agent: string, voter: number, handedBack?: HandedBack) => Promise<ActOutcome>;

/**
 * One vote. Every answer is recorded as it comes; a quorum decides at once, and what is still out is withdrawn. Without
 * one, at the time limit or when all have answered, the leader decides.
 */
export class VoteRun {
  private closed = 0;

  constructor(
    private readonly task: TaskRecord,
    private readonly step: VoteStep,
    private readonly ask: AskVoter,
  ) {}

  /**
   * Resolves when no ballot is out any more. `decided` is called as soon as the step has its output, `undecidable` with
   * what the leader fails with.
   */
  async execute(decided: () => void, undecidable: (failure: FailureInfo) => void): Promise<void> {
    const { agents } = this.step.vote;
    const before = this.task.state;
    const { historyLength } = workflowInfo();
    const poll = new CancellationScope();
    const ballots = poll.run(() => Promise.all(agents.map((agent, index) => this.ballot(agent, index + 1))));
    void poll.run(() => this.limit());
    const open = (): boolean => this.kind() === 'voting' && this.closed < agents.length;
    await CancellationScope.nonCancellable(() => condition(() => !open()));
    const cancelled = poll.consideredCancelled;
    if (cancelled && workflowInfo().historyLength === historyLength) {
      this.task.restore(this.step.id, before);
    }
    poll.cancel();
    try {
      if (!cancelled) await this.arbitrate();
      if (this.kind() === 'completed') decided();
    } catch (error) {
      if (!isCancellation(error)) undecidable(failureInfo(error));
    }
    await CancellationScope.nonCancellable(() => ballots);
  }

  private kind(): string {
    return stepState(this.task.state, this.step.id).kind;
  }

  /** Never rejects. */
  private async ballot(agent: string, voter: number, handedBack?: HandedBack): Promise<void> {
    const step = this.step.id;
    const { term } = this.task.state;
    this.task.record({ type: 'ballotRequested', step, voter, agent, term });
    const { historyLength } = workflowInfo();
    try {
      const outcome = await this.ask(agent, voter, handedBack);
      this.task.record(ballotEvent({ step, voter }, agent, outcome, this.task.state));
    } catch (error) {
      const failure = failureInfo(error);
      if (isHandedBack(failure)) {
        if (this.kind() === 'voting' && !CancellationScope.current().consideredCancelled) {
          return this.ballot(agent, voter, readHandedBack(failureDetails(error)));
        }
        this.closed += 1;
        return;
      }
      if (isRefusal(failure)) {
        const details = failureDetails(error);
        const event = ballotRefusal(this.task.state, { step, voter }, agent, failure, details);
        this.task.record(event);
        if (event.type === 'ballotRefused') return this.heldBallot(agent, voter, readRefusal(details));
      } else if (!isCancellation(error)) {
        this.task.record({ type: 'ballotSpoiled', step, voter, agent, failure });
      } else if (workflowInfo().historyLength > historyLength) {
        // Else it was cancelled in the workflow task that asked for it: Temporal never heard of it.
        this.task.record({ type: 'ballotWithdrawn', step, voter, agent });
      }
    }
    for (const event of quorumEvents(step, this.task.state)) this.task.record(event);
    this.closed += 1;
  }

  /** Goes to the fallback, or waits for the breaker unless the vote is over before. */
  private async heldBallot(agent: string, voter: number, refusal: Refusal): Promise<void> {
    const { why, retryAfter } = refusal;
    const onOpen = onOpenOf(this.task.state, agent, { why });
    const open = (): boolean => this.kind() === 'voting' && !CancellationScope.current().consideredCancelled;
    if (typeof onOpen === 'object' && policyOf(this.task.state, onOpen.fallback) !== undefined) {
      if (open()) return this.ballot(onOpen.fallback, voter);
    } else {
      const summary = refusalTimer(ballotStep(this.step.id, voter), refusal);
      await sleep(retryAfter, { summary }).catch(() => undefined);
      if (open()) return this.ballot(agent, voter, afterRefusal(refusal));
    }
    this.closed += 1;
  }

  private async limit(): Promise<void> {
    const step = this.step.id;
    try {
      await sleep(this.step.vote.timeLimit ?? VOTE_TIME_LIMIT, { summary: voteTimer(step) });
    } catch {
      return;
    }
    if (this.kind() === 'voting') this.task.record({ type: 'voteTimedOut', step });
  }

  private async arbitrate(): Promise<void> {
    const { id: step, instruction, vote } = this.step;
    const before = stepState(this.task.state, step);
    if (before.kind !== 'voting' && before.kind !== 'arbitrating') return;
    const { ballots } = before;
    const verdict = verdictOf(vote, ballots, vote.agents.length - ballots.length);
    const why =
      before.kind === 'arbitrating' ? before.why : verdict.kind === 'undecided' ? verdict.why : 'noQuorum';
    const request: ArbitrateRequest = {
      goal: this.task.state.goal,
      instruction,
      ballots,
      ...(vote.choices === undefined ? {} : { choices: vote.choices }),
      why,
    };
    await onLeader<ArbitrateRequest, ArbitrateOutcome>(this.task, {
      work: 'arbitrate',
      step,
      activityId: `${step}/arbitrate`,
      summary: `${step}: ${instruction}`,
      request,
      requested: (term) => ({ type: 'arbitrationRequested', step, why, term }),
      succeeded: (outcome, state) => arbitrateEvents(step, outcome, state),
      failed: (failure) => ({ type: 'arbitrationFailed', step, failure }),
      cancelled: { type: 'stepCancelled', step },
    });
  }
}
