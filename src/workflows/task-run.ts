/**
 * One run of a task. Owns the order of things: plan, then each step when its needs are done, then the result.
 * What a step does is the activities'; what an event means is `task-events.ts`'s.
 *
 * 1. Every change of state is an event, recorded where history gets the same fact.
 * 2. No step starts while {@link STEPS_IN_FLIGHT} activities are out, so that what one workflow task sends stays
 *    under Temporal's 4 MB.
 * 3. After a failure, a cancel or the suggestion to continue as new no step starts; those in flight are
 *    waited for (cancelled first, in the former two cases).
 * 4. Who plans, assigns, decides votes and makes the result is the leader; see `on-leader.ts`.
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
  workflowInfo,
} from '@temporalio/workflow';
import type { Envelope } from '../core/envelope';
import { crossingFailure, failureDetails, failureInfo } from '../core/failure-info';
import { CadreError, type FailureInfo, isCadreError, isHandedBack } from '../core/failures';
import { isRecord } from '../core/json';
import { Frontier } from '../core/frontier';
import {
  type AggregateOutcome,
  type AggregateRequest,
  type AssignOutcome,
  type AssignRequest,
  type PlanOutcome,
  type PlanRequest,
  aggregateEvents,
  assignEvents,
  planEvents,
} from '../core/leader-work';
import { AGGREGATE_STEP, PLAN_STEP, agentQueue } from '../core/names';
import {
  type AgentStep,
  type Plan,
  type Step,
  inlineMaximumBytes,
  stepAgents,
  stepNeeds,
} from '../core/plan';
import type { ResolvedPolicy } from '../core/policy';
import type { Resume } from '../core/resume';
import type { Stored } from '../core/stored';
import {
  type ActOutcome,
  type ActRequest,
  type HandedBack,
  type StepInputs,
  actEvents,
  readHandedBack,
  stepSummary,
} from '../core/task-activities';
import {
  type TaskResult,
  type TaskState,
  agentOf,
  assignmentOf,
  finalOutputs,
  resultOf,
  stepState,
} from '../core/task-events';
import { parseTaskInput } from '../core/task-input';
import { startEvent, taskRoot } from '../core/task-projection';
import { ballotStep } from '../core/vote';
import { onLeader } from './on-leader';
import { retryPolicy } from './retry-policy';
import { TaskRecord } from './task-record';
import { Unwinding } from './unwinding';
import { VoteRun } from './vote-run';

const STEPS_IN_FLIGHT = 100;
/** How often a step that failed for good may be given to yet another agent. */
const ASSIGNMENTS_MAXIMUM = 2;

type AgentActivities = Record<string, (envelope: Envelope, request: ActRequest) => Promise<ActOutcome>>;

/** One agent's part in a step: the whole of it, or a ballot. */
interface Part {
  readonly agent: string;
  /** The envelope's step. */
  readonly id: string;
  readonly ballot?: { readonly choices?: readonly unknown[] };
  readonly handedBack?: HandedBack | undefined;
}

export class TaskRun {
  private readonly task = new TaskRecord();
  /** Undoes what was done; waits for a person where it cannot. */
  readonly unwinding = new Unwinding(this.task, (step) => this.inputsOf(step));
  private inFlight = 0;
  private failed: { step: Step; failure: FailureInfo } | undefined;

  get state(): TaskState {
    return this.task.state;
  }

  /** Carries the task to its end. Returns its result, continues as new, or throws what ends the workflow. */
  async execute(start: unknown): Promise<TaskResult> {
    try {
      const given = this.begin(start);
      if (this.state.plan === undefined) await this.makePlan(given);
      if (this.state.plan !== undefined) await this.runSteps(this.state.plan);
      if (!this.unfinished()) await this.aggregate();
    } catch (error) {
      await this.unwinding.execute(failureInfo(error));
      throw this.end(error);
    }
    if (this.unfinished()) return this.continueAsNew();
    this.task.record({ type: 'taskCompleted' });
    return resultOf(this.state);
  }

  /** Returns the caller's own plan where there is one. */
  private begin(start: unknown): Plan | undefined {
    CancellationScope.current().cancelRequested.catch(() => this.task.record({ type: 'cancelRequested' }));
    const { workflowId, firstExecutionRunId } = workflowInfo();
    const event = startEvent(start, taskRoot(workflowId, firstExecutionRunId));
    this.task.record(event);
    return event.type === 'taskResumed' ? undefined : parseTaskInput(start).plan;
  }

  private async makePlan(given: Plan | undefined): Promise<void> {
    const { goal, docs } = this.state;
    const request: PlanRequest = {
      goal,
      ...(docs === undefined ? {} : { docs }),
      ...(given === undefined ? {} : { plan: given }),
    };
    await onLeader<PlanRequest, PlanOutcome>(this.task, {
      work: 'plan',
      step: PLAN_STEP,
      activityId: PLAN_STEP,
      summary: given === undefined ? `planner: ${goal}` : 'check the given plan',
      request,
      requested: (term) => ({ type: 'planRequested', term }),
      succeeded: planEvents,
      failed: (failure) => ({ type: 'planFailed', failure }),
    });
  }

  private async aggregate(): Promise<void> {
    const { goal } = this.state;
    await onLeader<AggregateRequest, AggregateOutcome>(this.task, {
      work: 'aggregate',
      step: AGGREGATE_STEP,
      activityId: AGGREGATE_STEP,
      summary: 'make the result',
      request: { goal, outputs: finalOutputs(this.state) },
      requested: (term) => ({ type: 'aggregateRequested', term }),
      succeeded: aggregateEvents,
      failed: (failure) => ({ type: 'aggregateFailed', failure }),
    });
  }

  private async runSteps(plan: Plan): Promise<void> {
    const frontier = new Frontier(plan, this.state);
    const steps = new Map(plan.steps.map((step) => [step.id, step]));
    const inlineMaximum = inlineMaximumBytes(plan);
    const scope = new CancellationScope();
    await scope.run(async () => {
      for (;;) {
        while (this.mayStart(scope)) {
          const step = steps.get(frontier.take() ?? '');
          if (step === undefined) break;
          const weight = stepAgents(step).length;
          this.inFlight += weight;
          void this.runStep(step, inlineMaximum, () => frontier.complete(step.id)).then(
            () => (this.inFlight -= weight),
          );
        }
        if (this.inFlight === 0) return;
        const { ready } = frontier;
        const before = this.inFlight;
        await CancellationScope.nonCancellable(() =>
          condition(() => this.inFlight < before || frontier.ready > ready || this.mustStop(scope)),
        );
        if (this.mustStop(scope)) scope.cancel();
      }
    });
    if (scope.consideredCancelled && this.failed === undefined) await scope.cancelRequested;
    if (this.failed !== undefined) throw this.stepFailure(this.failed);
  }

  /** True where a step has failed and the others do not know yet. */
  private mustStop(scope: CancellationScope): boolean {
    return this.failed !== undefined && !scope.consideredCancelled;
  }

  private mayStart(scope: CancellationScope): boolean {
    return (
      this.inFlight < STEPS_IN_FLIGHT &&
      this.failed === undefined &&
      !scope.consideredCancelled &&
      !workflowInfo().continueAsNewSuggested
    );
  }

  /** Never rejects: how the step ended is in the state. `completed` is called as soon as it has its output. */
  private async runStep(step: Step, inlineMaximum: number, completed: () => void): Promise<void> {
    try {
      if (step.vote !== undefined) {
        const { choices } = step.vote;
        const ballot = choices === undefined ? {} : { choices };
        const vote = new VoteRun(this.task, step, (agent, voter, handedBack) =>
          this.act(step, inlineMaximum, { agent, id: ballotStep(step.id, voter), ballot, handedBack }),
        );
        await vote.execute(completed, (failure) => void (this.failed ??= { step, failure }));
      } else {
        await this.runAgent(step, inlineMaximum);
        if (stepState(this.state, step.id).kind === 'completed') completed();
      }
    } catch (error) {
      if (!isCancellation(error)) this.failed ??= { step, failure: failureInfo(error) };
    }
  }

  /** Has agents try the step until one succeeds, it is cancelled, or the leader names no other. */
  private async runAgent(step: AgentStep, inlineMaximum: number): Promise<void> {
    for (;;) {
      const failure = await this.attempt(step, inlineMaximum);
      if (failure === undefined) return;
      if (await this.assignAnew(step, failure)) continue;
      this.failed ??= { step, failure };
      return;
    }
  }

  /** Returns what the step failed with for good; undefined where it was completed or cancelled. */
  private async attempt(
    step: AgentStep,
    inlineMaximum: number,
    handedBack?: HandedBack,
  ): Promise<FailureInfo | undefined> {
    const before = this.state;
    const agent = agentOf(this.state, step) ?? step.agent;
    this.task.record({ type: 'stepScheduled', step: step.id, agent, term: this.state.term });
    const { historyLength } = workflowInfo();
    try {
      const outcome = await this.act(step, inlineMaximum, { agent, id: step.id, handedBack });
      for (const event of actEvents(step.id, outcome)) this.task.record(event);
    } catch (error) {
      const failure = failureInfo(error);
      if (isHandedBack(failure)) {
        this.task.record({ type: 'stepHandedBack', step: step.id });
        return this.attempt(step, inlineMaximum, readHandedBack(failureDetails(error)));
      }
      if (!isCancellation(error)) {
        this.task.record({ type: 'stepFailed', step: step.id, failure });
        return failure;
      }
      // Cancelled in the workflow task that scheduled it: Temporal never heard of it, so neither does the state.
      if (workflowInfo().historyLength === historyLength) this.task.restore(step.id, before);
      else this.task.record({ type: 'stepCancelled', step: step.id });
    }
    return undefined;
  }

  /** True where the leader gave the step to another agent. */
  private async assignAnew(
    { id, instruction, input, agent }: AgentStep,
    failure: FailureInfo,
  ): Promise<boolean> {
    const last = assignmentOf(this.state, id);
    const tried = last === undefined ? [agent] : [...last.before, last.agent];
    if (tried.length > ASSIGNMENTS_MAXIMUM || this.failed !== undefined) return false;
    const step = { id, instruction, ...(input === undefined ? {} : { input }) };
    try {
      await onLeader<AssignRequest, AssignOutcome>(this.task, {
        work: 'assign',
        step: id,
        activityId: `${id}/assign`,
        summary: `${id}: another agent than ${tried.join(', ')}`,
        request: { goal: this.state.goal, step, tried, failure },
        requested: (term) => ({ type: 'assignRequested', step: id, term }),
        succeeded: (outcome, state) => assignEvents(id, outcome, state),
        failed: (reason) => ({ type: 'assignFailed', step: id, failure: reason }),
      });
    } catch (error) {
      if (isCancellation(error) && this.failed === undefined) throw error;
      return false;
    }
    return this.failed === undefined && stepState(this.state, id).kind === 'waiting';
  }

  private act(step: Step, inlineMaximum: number, part: Part): Promise<ActOutcome> {
    const { agent, id, ballot, handedBack } = part;
    const policy = this.state.policies[agent];
    if (policy === undefined) throw new CadreError('AgentUnknown', `No policy for the agent "${agent}"`);
    const summary = stepSummary({ id, instruction: step.instruction });
    const attemptsUsed = handedBack?.attemptsUsed ?? 0;
    const agents = policy.local
      ? proxyLocalActivities<AgentActivities>({ ...localOptions(policy, attemptsUsed), summary })
      : proxyActivities<AgentActivities>({
          ...activityOptions(policy, attemptsUsed),
          activityId: id,
          summary,
        });
    const request: ActRequest = {
      ...this.inputsOf(step),
      inlineMaximum,
      ...(ballot === undefined ? {} : { ballot }),
      ...(handedBack === undefined ? {} : { handedBack }),
    };
    return (agents[agent] as AgentActivities[string])(this.task.envelope(id, 'act'), request);
  }

  /** What a step's agent is sent, to do it or to undo it. */
  private inputsOf(step: Step): StepInputs {
    const { instruction, input } = step;
    const outputs: Record<string, Stored> = {};
    for (const need of stepNeeds(step)) {
      const state = stepState(this.state, need);
      if (state.kind === 'completed') outputs[need] = state.output;
    }
    return { goal: this.state.goal, instruction, ...(input === undefined ? {} : { input }), outputs };
  }

  private stepFailure({ step, failure }: { step: Step; failure: FailureInfo }): CadreError {
    const steps = this.state.plan?.steps ?? [];
    const ids = (kind: string) =>
      steps.filter(({ id }) => stepState(this.state, id).kind === kind).map(({ id }) => id);
    const actor = agentOf(this.state, step) ?? 'vote';
    return new CadreError('StepFailed', `Step "${step.id}" (${actor}) failed: ${failure.message}`, {
      details: {
        failed: { step: step.id, agent: actor, failure },
        finished: ids('completed'),
        cancelled: ids('cancelled'),
        notStarted: ids('waiting'),
      },
    });
  }

  /** Records how the task ends, and returns what to throw for it. */
  private end(error: unknown): unknown {
    if (isCancellation(error)) {
      this.task.record({ type: 'taskCancelled' });
      return error;
    }
    const thrown = crossingFailure(this.withCompensations(error));
    this.task.record({ type: 'taskFailed', failure: failureInfo(thrown) });
    return thrown;
  }

  /** The failure that ends the task, with what became of each compensation. */
  private withCompensations(error: unknown): unknown {
    const { compensations } = this.state;
    if (compensations === undefined || !isCadreError(error)) return error;
    const { type, message, details } = error;
    return new CadreError(type, message, {
      details: { ...(isRecord(details) ? details : {}), compensations },
    });
  }

  private unfinished(): boolean {
    return Object.values(this.state.steps).some((step) => step.kind !== 'completed');
  }

  private continueAsNew(): Promise<never> {
    const { workflowId, runId } = workflowInfo();
    this.task.record({ type: 'continuedAsNew' });
    const resume: Resume<TaskState> = {
      snapshot: this.state,
      origin: { kind: 'continuedAsNew', workflowId, runId },
      overrides: {},
    };
    return continueAsNew<(start: Resume<TaskState>) => Promise<TaskResult>>(resume);
  }
}

function activityOptions(policy: ResolvedPolicy, attemptsUsed: number): ActivityOptions {
  return {
    ...(policy.pool === undefined ? {} : { taskQueue: agentQueue(workflowInfo().taskQueue, policy) }),
    ...localOptions(policy, attemptsUsed),
    heartbeatTimeout: policy.heartbeatTimeout,
    ...(policy.scheduleToStart === undefined ? {} : { scheduleToStartTimeout: policy.scheduleToStart }),
  };
}

function localOptions(policy: ResolvedPolicy, attemptsUsed: number): LocalActivityOptions {
  return {
    startToCloseTimeout: policy.startToClose,
    ...(policy.scheduleToClose === undefined ? {} : { scheduleToCloseTimeout: policy.scheduleToClose }),
    retry: retryPolicy(policy.retry, attemptsUsed),
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  };
}
