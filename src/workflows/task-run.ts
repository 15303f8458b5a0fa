/**
 * One run of a task. Owns the order of things: plan, then each step when its needs are done, then the result.
 * What a step does is the activities'; what an event means is `task-events.ts`'s.
 *
 * 1. Every change of state is an event, recorded where history gets the same fact.
 * 2. At most {@link STEPS_IN_FLIGHT} steps are scheduled at once, so that what one workflow task sends stays
 *    under Temporal's 4 MB.
 * 3. After a failure, a cancel or the suggestion to continue as new no step starts; those in flight are
 *    waited for (cancelled first, in the former two cases).
 */
import {
  ActivityCancellationType,
  type ActivityOptions,
  type LocalActivityOptions,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import type { Envelope } from '../core/envelope';
import { crossingFailure, failureDetails, failureInfo } from '../core/failure-info';
import { CadreError, type FailureInfo, isHandedBack } from '../core/failures';
import { Frontier } from '../core/frontier';
import { PLAN_STEP, agentQueue } from '../core/names';
import { oneLine } from '../core/one-line';
import { type Plan, type Step, inlineMaximumBytes, stepNeeds } from '../core/plan';
import type { ResolvedPolicy } from '../core/policy';
import type { Resume } from '../core/resume';
import type { Stored } from '../core/stored';
import {
  type ActOutcome,
  type ActRequest,
  type HandedBack,
  type PlanOutcome,
  type PlanRequest,
  SUMMARY_MAXIMUM_LENGTH,
  actEvents,
  planEvents,
  readHandedBack,
  stepSummary,
} from '../core/task-activities';
import { taskDetails } from '../core/task-details';
import {
  INITIAL_TASK_STATE,
  type TaskEvent,
  type TaskResult,
  type TaskState,
  evolve,
  resultOf,
  stepState,
  withdrawStep,
} from '../core/task-events';
import { parseTaskInput } from '../core/task-input';
import { startEvent, taskRoot } from '../core/task-projection';

const STEPS_IN_FLIGHT = 100;

type PlanActivities = { plan(envelope: Envelope, request: PlanRequest): Promise<PlanOutcome> };
type AgentActivities = Record<string, (envelope: Envelope, request: ActRequest) => Promise<ActOutcome>>;

export class TaskRun {
  private current: TaskState = INITIAL_TASK_STATE;
  private inFlight = 0;
  private failed: { step: Step; failure: FailureInfo } | undefined;

  get state(): TaskState {
    return this.current;
  }

  /** Carries the task to its end. Returns its result, continues as new, or throws what ends the workflow. */
  async execute(start: unknown): Promise<TaskResult> {
    try {
      const given = this.begin(start);
      const plan = this.current.plan ?? (await this.makePlan(given));
      await this.runSteps(plan);
    } catch (error) {
      throw this.end(error);
    }
    if (this.unfinished()) return this.continueAsNew();
    this.record({ type: 'taskCompleted' });
    return resultOf(this.current);
  }

  /** Returns the caller's own plan where there is one. */
  private begin(start: unknown): Plan | undefined {
    CancellationScope.current().cancelRequested.catch(() => this.record({ type: 'cancelRequested' }));
    const { workflowId, firstExecutionRunId } = workflowInfo();
    const event = startEvent(start, taskRoot(workflowId, firstExecutionRunId));
    this.record(event);
    return event.type === 'taskResumed' ? undefined : parseTaskInput(start).plan;
  }

  private async makePlan(given: Plan | undefined): Promise<Plan> {
    const { goal, docs, term } = this.current;
    const summary = given === undefined ? `planner: ${goal}` : 'check the given plan';
    const { plan: requestPlan } = proxyActivities<PlanActivities>({
      activityId: PLAN_STEP,
      startToCloseTimeout: '10 minutes',
      heartbeatTimeout: '10 seconds',
      retry: { maximumAttempts: 5, initialInterval: '1 second', maximumInterval: '30 seconds' },
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      summary: oneLine(summary, SUMMARY_MAXIMUM_LENGTH),
    });
    const request: PlanRequest = {
      goal,
      ...(docs === undefined ? {} : { docs }),
      ...(given === undefined ? {} : { plan: given }),
    };
    for (;;) {
      this.record({ type: 'planRequested', term });
      try {
        const outcome = await requestPlan(this.envelope(PLAN_STEP, 'plan'), request);
        for (const event of planEvents(outcome, term)) this.record(event);
        return outcome.plan;
      } catch (error) {
        const failure = failureInfo(error);
        if (isHandedBack(failure)) continue;
        if (!isCancellation(error)) this.record({ type: 'planFailed', failure });
        throw error;
      }
    }
  }

  private async runSteps(plan: Plan): Promise<void> {
    const frontier = new Frontier(plan, this.current);
    const steps = new Map(plan.steps.map((step) => [step.id, step]));
    const inlineMaximum = inlineMaximumBytes(plan);
    const scope = new CancellationScope();
    await scope.run(async () => {
      for (;;) {
        while (this.mayStart(scope)) {
          const step = steps.get(frontier.take() ?? '');
          if (step === undefined) break;
          this.inFlight += 1;
          void this.runStep(step, inlineMaximum).then(() => {
            this.inFlight -= 1;
            if (stepState(this.current, step.id).kind === 'completed') frontier.complete(step.id);
            if (this.failed !== undefined) scope.cancel();
          });
        }
        if (this.inFlight === 0) return;
        const before = this.inFlight;
        await CancellationScope.nonCancellable(() => condition(() => this.inFlight < before));
      }
    });
    if (scope.consideredCancelled && this.failed === undefined) await scope.cancelRequested;
    if (this.failed !== undefined) throw this.stepFailure(this.failed);
  }

  private mayStart(scope: CancellationScope): boolean {
    return (
      this.inFlight < STEPS_IN_FLIGHT &&
      this.failed === undefined &&
      !scope.consideredCancelled &&
      !workflowInfo().continueAsNewSuggested
    );
  }

  /** Never rejects: how the step ended is in the state. */
  private async runStep(step: Step, inlineMaximum: number, handedBack?: HandedBack): Promise<void> {
    this.record({ type: 'stepScheduled', step: step.id, agent: step.agent, term: this.current.term });
    const { historyLength } = workflowInfo();
    try {
      const outcome = await this.act(step, inlineMaximum, handedBack);
      for (const event of actEvents(step.id, outcome)) this.record(event);
    } catch (error) {
      if (isHandedBack(failureInfo(error))) {
        this.record({ type: 'stepHandedBack', step: step.id });
        return this.runStep(step, inlineMaximum, readHandedBack(failureDetails(error)));
      }
      if (!isCancellation(error)) {
        const failure = failureInfo(error);
        this.failed ??= { step, failure };
        this.record({ type: 'stepFailed', step: step.id, failure });
      } else if (workflowInfo().historyLength === historyLength) {
        // Cancelled in the workflow task that scheduled it: Temporal never heard of it, so neither does the state.
        this.current = withdrawStep(this.current, step.id);
      } else {
        this.record({ type: 'stepCancelled', step: step.id });
      }
    }
  }

  private act(step: Step, inlineMaximum: number, handedBack: HandedBack | undefined): Promise<ActOutcome> {
    const policy = this.current.policies[step.agent];
    if (policy === undefined) throw new CadreError('AgentUnknown', `No policy for the agent "${step.agent}"`);
    const summary = stepSummary(step);
    const attemptsUsed = handedBack?.attemptsUsed ?? 0;
    const agents = policy.local
      ? proxyLocalActivities<AgentActivities>({ ...localOptions(policy, attemptsUsed), summary })
      : proxyActivities<AgentActivities>({
          ...activityOptions(policy, attemptsUsed),
          activityId: step.id,
          summary,
        });
    const outputs: Record<string, Stored> = {};
    for (const need of stepNeeds(step)) {
      const state = stepState(this.current, need);
      if (state.kind === 'completed') outputs[need] = state.output;
    }
    const { goal } = this.current;
    const { instruction, input } = step;
    const request: ActRequest = {
      goal,
      instruction,
      ...(input === undefined ? {} : { input }),
      outputs,
      inlineMaximum,
      ...(handedBack === undefined ? {} : { handedBack }),
    };
    return (agents[step.agent] as AgentActivities[string])(this.envelope(step.id, 'act'), request);
  }

  private envelope(step: string, kind: Envelope['kind']): Envelope {
    return { root: this.current.root, step, kind, term: this.current.term, version: 1 };
  }

  private stepFailure({ step, failure }: { step: Step; failure: FailureInfo }): CadreError {
    const steps = this.current.plan?.steps ?? [];
    const ids = (kind: string) =>
      steps.filter(({ id }) => stepState(this.current, id).kind === kind).map(({ id }) => id);
    return new CadreError('StepFailed', `Step "${step.id}" (${step.agent}) failed: ${failure.message}`, {
      details: {
        failed: { step: step.id, agent: step.agent, failure },
        finished: ids('completed'),
        cancelled: ids('cancelled'),
        notStarted: ids('waiting'),
      },
    });
  }

  /** Records how the task ends, and returns what to throw for it. */
  private end(error: unknown): unknown {
    if (isCancellation(error)) {
      this.record({ type: 'taskCancelled' });
      return error;
    }
    const thrown = crossingFailure(error);
    this.record({ type: 'taskFailed', failure: failureInfo(thrown) });
    return thrown;
  }

  private unfinished(): boolean {
    return Object.values(this.current.steps).some((step) => step.kind !== 'completed');
  }

  private continueAsNew(): Promise<never> {
    const { workflowId, runId } = workflowInfo();
    this.record({ type: 'continuedAsNew' });
    const resume: Resume<TaskState> = {
      snapshot: this.current,
      origin: { kind: 'continuedAsNew', workflowId, runId },
      overrides: {},
    };
    return continueAsNew<(start: Resume<TaskState>) => Promise<TaskResult>>(resume);
  }

  private record(event: TaskEvent): void {
    this.current = evolve(this.current, event);
    setCurrentDetails(taskDetails(this.current));
  }
}

function activityOptions(policy: ResolvedPolicy, attemptsUsed: number): ActivityOptions {
  return {
    ...(policy.pool === undefined ? {} : { taskQueue: agentQueue(workflowInfo().taskQueue, policy) }),
    ...localOptions(policy, attemptsUsed),
    heartbeatTimeout: policy.heartbeatTimeout,
  };
}

function localOptions(policy: ResolvedPolicy, attemptsUsed: number): LocalActivityOptions {
  const { maximumAttempts, ...retry } = policy.retry;
  return {
    startToCloseTimeout: policy.startToClose,
    ...(policy.scheduleToClose === undefined ? {} : { scheduleToCloseTimeout: policy.scheduleToClose }),
    retry: {
      ...retry,
      ...(maximumAttempts === 0 ? {} : { maximumAttempts: Math.max(1, maximumAttempts - attemptsUsed) }),
    },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  };
}
