/**
 * Undoes what a task did, in the reverse order of the starts. Nothing stops it: it runs outside of what a cancel
 * reaches, and a compensation that fails for good waits for a person.
 */
import {
  ActivityCancellationType,
  CancellationScope,
  condition,
  proxyActivities,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { Envelope } from '../core/envelope';
import { crossingFailure, failureInfo } from '../core/failure-info';
import { CadreError, type FailureInfo, isHandedBack } from '../core/failures';
import { NEEDS_ATTENTION, agentQueue, compensateActivityName } from '../core/names';
import type { Step } from '../core/plan';
import { type StackEntry, type StepOutcome, nextToUndo } from '../core/saga';
import type { Stored } from '../core/stored';
import { type CompensateRequest, type StepInputs, stepSummary } from '../core/task-activities';
import { type TaskState, agentOf, planStep, stepState } from '../core/task-events';
import { type Resolving, readResolving } from '../core/task-resolving';
import { retryPolicy } from './retry-policy';
import type { TaskRecord } from './task-record';

type CompensateActivities = Record<string, (envelope: Envelope, request: CompensateRequest) => Promise<void>>;

export class Unwinding {
  private resolution: Resolving | undefined;

  /** `inputsOf`: what a step's `act` was sent. */
  constructor(
    private readonly task: TaskRecord,
    private readonly inputsOf: (step: Step) => StepInputs,
  ) {}

  /** Resolves when all is undone, or skipped. */
  async execute(reason: FailureInfo): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      for (;;) {
        const { stack = [], compensations = [] } = this.task.state;
        const entry = nextToUndo(stack, compensations);
        if (entry === undefined) return;
        await this.undo(entry, reason);
      }
    });
  }

  /** Throws InputInvalid unless `candidate` is a resolution, NotParked unless its step waits for one. */
  check(candidate: unknown): Resolving {
    try {
      const resolving = readResolving(candidate);
      const { phase } = this.task.state;
      if (phase.kind === 'needsAttention' && phase.step === resolving.step && this.resolution === undefined) {
        return resolving;
      }
      throw new CadreError(
        'NotParked',
        `The step "${resolving.step}" does not wait for a person: ${phase.kind}`,
      );
    } catch (error) {
      throw crossingFailure(error);
    }
  }

  /** Says what is to become of the compensation that failed. */
  resolve(candidate: unknown): Resolving {
    this.resolution = this.check(candidate);
    this.task.record({ type: 'compensationResolved', ...this.resolution });
    return this.resolution;
  }

  private async undo({ step, agent }: StackEntry, reason: FailureInfo): Promise<void> {
    const planned = planStep(this.task.state, step) ?? { id: step, agent, instruction: '' };
    const { outcome, output } = outcomeOf(this.task.state, planned, agent);
    this.task.record({ type: 'compensationScheduled', step, agent, outcome });
    const request: CompensateRequest = {
      ...this.inputsOf(planned),
      outcome,
      ...(output === undefined ? {} : { output }),
      reason,
    };
    try {
      await this.schedule({ step, agent }, request);
      this.task.record({ type: 'compensated', step, agent });
    } catch (error) {
      const failure = failureInfo(error);
      if (isHandedBack(failure)) return;
      this.task.record({ type: 'compensationFailed', step, agent, failure });
      upsertMemo({ [NEEDS_ATTENTION]: step });
      await condition(() => this.resolution !== undefined);
      upsertMemo({ [NEEDS_ATTENTION]: null });
      this.resolution = undefined;
    }
  }

  private schedule({ step, agent }: StackEntry, request: CompensateRequest): Promise<void> {
    const policy = this.task.state.policies[agent];
    if (policy?.compensation === undefined) return Promise.resolve();
    const { startToClose, heartbeatTimeout, retry } = policy.compensation;
    const name = compensateActivityName(agent);
    const activities = proxyActivities<CompensateActivities>({
      taskQueue: agentQueue(workflowInfo().taskQueue, policy),
      activityId: `${step}/undo`,
      startToCloseTimeout: startToClose,
      heartbeatTimeout,
      retry: retryPolicy(retry),
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      summary: stepSummary({ id: step, instruction: `undo ${request.instruction}` }),
    });
    return (activities[name] as CompensateActivities[string])(this.task.envelope(step, 'undo'), request);
  }
}

/** An agent that put out the step's output did it; of any other nobody knows. */
function outcomeOf(state: TaskState, step: Step, agent: string): { outcome: StepOutcome; output?: Stored } {
  const now = stepState(state, step.id);
  return agentOf(state, step) === agent && now.kind === 'completed'
    ? { outcome: 'completed', output: now.output }
    : { outcome: 'unknown' };
}
