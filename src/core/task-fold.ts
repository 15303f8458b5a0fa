/**
 * The fold of a task's events: how each changes the state.
 *
 * 1. `evolve` is pure, and a state survives JSON unchanged.
 * 2. What a workflow records and what its history projects to fold to the same state at every workflow-task boundary.
 */
import type { GivenAnswer } from './asking';
import { type Refusal, isBrief, readRefusal } from './breaker/refusal';
import type { Decision } from './decision';
import { type FailureInfo, type FailureType, isFailureType } from './failures';
import { assertNever } from './json';
import type { AgentStep } from './plan';
import type { OnOpen } from './policy';
import {
  type Compensation,
  type StackEntry,
  type StackedEntry,
  type StepOutcome,
  dropEntry,
  neverBegan,
  pushEntry,
  sameEntry,
  withCompensation,
} from './saga';
import type { Stored } from './stored';
import { type PinOutcome, handedBackOf } from './task-activities';
import type { TaskEvent } from './task-events';
import {
  type StepState,
  type TaskPhase,
  type TaskState,
  INITIAL_TASK_STATE,
  agentOf,
  answersTo,
  assignmentOf,
  goesForward,
  isUndoable,
  isUnsettled,
  isUnwinding,
  mayBeCancelled,
  pivotPassed,
  planStep,
  policyOf,
  resolutionsOf,
  stepState,
  undoStep,
} from './task-state';
import { usageReport } from './task-usage';
import type { CastBallot, Undecided } from './vote';

/** The state after `event`. */
export function evolve(state: TaskState, event: TaskEvent): TaskState {
  const next = follow(state, event);
  const report = usageReport(state, event);
  return report === undefined ? next : { ...next, usage: put(next.usage, report.key, report.usage) };
}

function follow(state: TaskState, event: TaskEvent): TaskState {
  switch (event.type) {
    case 'taskStarted':
      return started(event);
    case 'taskResumed':
      return resumed(event);
    case 'pinned':
      // What was pinned first stays so.
      return pinned(state, event);
    case 'stepAdded':
      return added(state, event.step);
    case 'lockAcquired':
      return { ...state, locked: true };
    case 'approvalRequested': {
      const { step, hash } = event;
      return attended(withStep(state, step, { kind: 'awaitingApproval', hash }));
    }
    case 'approvalAnswered':
    case 'approvalWithdrawn':
      return attended(withStep(state, event.step, { kind: 'waiting' }));
    case 'questionAsked':
      return questionAsked(state, event);
    case 'questionAnswered': {
      const { step, name, hash, answer, by, note, at } = event;
      return answered(state, step, { kind: 'answered', name, hash, answer, by, note, at });
    }
    case 'questionExpired': {
      const asked = stepState(state, event.step);
      if (asked.kind !== 'asking') return state;
      const { name, hash } = asked;
      return answered(state, event.step, { kind: 'expired', name, hash });
    }
    case 'questionWithdrawn':
      return attended(withStep(state, event.step, { kind: 'waiting' }));
    case 'stepParked': {
      const { step, failure } = event;
      return attended(withStep(withAttempt(state, step, failure), step, { kind: 'parked', failure }));
    }
    case 'stepResolved':
      return stepResolved(state, event);
    case 'planned':
      return {
        ...withTerm(state, event.term),
        phase: state.phase.kind === 'planning' ? { kind: 'running' } : state.phase,
        plan: event.plan,
        policies: event.policies,
        plannedBy: event.by,
        ...(event.decisions === undefined ? {} : { planDecisions: event.decisions }),
        steps: Object.fromEntries(event.plan.steps.map((step) => [step.id, { kind: 'waiting' }])),
      };
    case 'stepScheduled':
      return withStep(onStack(withTerm(state, event.term), event), event.step, { kind: 'scheduled' });
    case 'decisionsRecorded':
      return withDecisions(state, event.step, event.decisions);
    case 'stepCompleted': {
      const before = stepState(state, event.step);
      const decisions = before.kind === 'scheduled' ? before.decisions : undefined;
      return completed(state, event.step, {
        kind: 'completed',
        output: event.output,
        ...(decisions === undefined ? {} : { decisions }),
        ...(event.knowledge === undefined ? {} : { knowledge: event.knowledge }),
      });
    }
    case 'assigned':
      return assigned(state, event);
    case 'ballotRequested':
      return stepState(state, event.step).kind !== 'waiting'
        ? withTerm(state, event.term)
        : withStep(withTerm(state, event.term), event.step, {
            kind: 'voting',
            ballots: [],
            spoiled: 0,
            withdrawn: 0,
          });
    case 'ballotCast':
      return withBallot(state, event);
    case 'ballotSpoiled':
      return withVote(state, event.step, (vote) => ({ ...vote, spoiled: vote.spoiled + 1 }));
    case 'ballotWithdrawn':
      return withVote(state, event.step, (vote) => ({ ...vote, withdrawn: vote.withdrawn + 1 }));
    case 'voteTimedOut':
      return withArbitration(state, event.step, 'timeLimit');
    case 'arbitrationRequested':
      return withArbitration(withTerm(state, event.term), event.step, event.why);
    case 'arbitrationFailed':
      return withArbitration(state, event.step, 'noQuorum', event.failure);
    case 'voteDecided':
      return withTerm(state, event.outcome.term);
    case 'aggregateRequested':
      return state.phase.kind === 'running' ? { ...state, phase: { kind: 'aggregating' } } : state;
    case 'aggregated': {
      // An event of the log has more fields than it says here.
      const { term, by, outputs, decisions } = event;
      const aggregated = {
        term,
        by,
        ...(outputs === undefined ? {} : { outputs }),
        ...(decisions === undefined ? {} : { decisions }),
      };
      return { ...withTerm(state, term), aggregated };
    }
    case 'stepFailed':
      return stepFailed(state, event.step, event.failure);
    case 'compensationScheduled': {
      const { step, agent, outcome } = event;
      return attended(undoing(state, { step, agent, outcome, kind: 'running' }));
    }
    case 'compensated':
      return undoing(state, { ...compensationOf(state, event), kind: 'undone' });
    case 'compensationFailed': {
      const { failure } = event;
      return attended(undoing(state, { ...compensationOf(state, event), kind: 'failed', failure }));
    }
    case 'compensationResolved':
      return resolved(state, event);
    case 'stepRefused':
      return stepRefused(state, event);
    case 'stepFellBack':
      return fellBack(state, event);
    case 'stepHandedBack':
      return withStep(withAttempt(state, event.step), event.step, { kind: 'waiting' });
    case 'stepCancelled':
      return withStep(state, event.step, { kind: 'cancelled' });
    case 'remembered':
      return { ...state, remembered: true };
    case 'cancelRequested':
    case 'timeLimitReached':
      return mayBeCancelled(state) ? { ...state, phase: { kind: 'cancelling' } } : state;
    case 'taskCompleted':
      return { ...state, phase: { kind: 'completed' } };
    case 'taskFailed':
      return {
        ...state,
        phase: { kind: state.compensations === undefined ? 'failed' : 'compensated', failure: event.failure },
      };
    case 'taskCancelled':
      return { ...state, phase: { kind: 'cancelled' } };
    case 'taskTerminated':
      return { ...state, phase: { kind: 'terminated', how: event.how } };
    case 'ballotRefused':
    case 'planRequested':
    case 'planFailed':
    case 'lockRequested':
    case 'lockRefused':
    case 'compensationStarted':
    case 'approvalTimedOut':
    case 'leaderWorkReturned':
    case 'assignRequested':
    case 'notAssigned':
    case 'assignFailed':
    case 'aggregateFailed':
    case 'rememberFailed':
    case 'stepStarted':
    case 'stepRetried':
    case 'continuedAsNew':
      return state;
    default:
      return assertNever(event);
  }
}

/** The state with one step as it was `before`; not an event, since history never heard of what came after. */
export function restoreStep(state: TaskState, step: string, before: TaskState): TaskState {
  const was = before.stack ?? [];
  const stack = (state.stack ?? []).filter(
    (entry) => entry.step !== step || was.some((one) => sameEntry(one, entry)),
  );
  const restored = withStack(state, stack);
  if (planStep(before, step) === undefined) return withoutStep(restored, step);
  return withStep(restored, step, stepState(before, step));
}

/** The state without a step that was just added. */
function withoutStep(state: TaskState, step: string): TaskState {
  const { [step]: _gone, ...steps } = state.steps;
  const left = (state.plan?.steps ?? []).filter(({ id }) => id !== step);
  const { plan: _plan, own: _own, ...rest } = state;
  return left.length === 0 ? { ...rest, steps } : { ...state, plan: { steps: left }, steps };
}

/** The state after all of `events`, in order. */
export function foldTask(events: Iterable<TaskEvent>, from: TaskState = INITIAL_TASK_STATE): TaskState {
  const fold = new TaskFold(from);
  for (const event of events) fold.next(event);
  return fold.state;
}

/**
 * Folds many events as `evolve` does, in a time that does not grow with the steps of the plan: what it has made itself,
 * and has shown to nobody, it changes where it is.
 */
export class TaskFold {
  private own = new WeakSet<object>();

  constructor(private current: TaskState = INITIAL_TASK_STATE) {}

  /** The state after all events so far; no later event changes it. */
  get state(): TaskState {
    this.own = new WeakSet();
    return this.current;
  }

  /** The state until the next event: for looking at, not for keeping. */
  get passing(): TaskState {
    return this.current;
  }

  next(event: TaskEvent): void {
    changeable = this.own;
    try {
      this.current = evolve(this.current, event);
    } finally {
      changeable = undefined;
    }
  }
}

/** Records that the fold at hand may change where they are; undefined but within `TaskFold.next`. */
let changeable: WeakSet<object> | undefined;

/** `record` with one field more or other. */
function put<Value>(
  record: Readonly<Record<string, Value>> | undefined,
  key: string,
  value: Value,
): Readonly<Record<string, Value>> {
  if (record !== undefined && changeable?.has(record) && key !== '__proto__') {
    (record as Record<string, Value>)[key] = value;
    return record;
  }
  const changed = { ...record, [key]: value };
  changeable?.add(changed);
  return changed;
}

function started(event: TaskEvent & { type: 'taskStarted' }): TaskState {
  const { root, goal, docs, options, deadline, budget } = event;
  return {
    ...INITIAL_TASK_STATE,
    root,
    goal,
    ...(docs === undefined ? {} : { docs }),
    ...(options === undefined ? {} : { options }),
    ...(deadline === undefined ? {} : { deadline }),
    ...(budget === undefined ? {} : { budget }),
  };
}

function resumed({ origin, snapshot }: TaskEvent & { type: 'taskResumed' }): TaskState {
  if (origin.kind === 'terminated') return afterTerminate(snapshot);
  if (origin.kind !== 'forked') return snapshot;
  // What the original's calls came to is the original's.
  const { usage: _original, ...forked } = snapshot;
  return forked;
}

function pinned(state: TaskState, { policies, options, deadline }: PinOutcome): TaskState {
  return {
    ...state,
    policies: { ...policies, ...state.policies },
    ...(options === undefined ? {} : { options }),
    ...(deadline === undefined ? {} : { deadline }),
  };
}

function added(state: TaskState, step: AgentStep): TaskState {
  const steps = [...(state.plan?.steps ?? []), step];
  const phase: TaskPhase = state.phase.kind === 'planning' ? { kind: 'running' } : state.phase;
  return withStep({ ...state, own: true, phase, plan: { steps } }, step.id, { kind: 'waiting' });
}

/** Of what a step of workflow code failed with so much stands in the state; history has it all. */
const OWN_MESSAGE_LENGTH = 400;

function stepFailed(state: TaskState, step: string, failure: FailureInfo): TaskState {
  const next = withAttempt(state, step, failure);
  const failed = withStep(next.attempted?.[step] === true ? next : offStack(next, step), step, {
    kind: 'failed',
    // Workflow code may go on without many of them.
    failure: state.own ? { ...failure, message: failure.message.slice(0, OWN_MESSAGE_LENGTH) } : failure,
  });
  // Nobody can answer any more where its time was over.
  return failed.phase.kind === 'awaitingApproval' ? attended(failed) : failed;
}

function stepRefused(state: TaskState, event: TaskEvent & { type: 'stepRefused' }): TaskState {
  // An event of the log has more fields than it says here.
  const { step, breaker, why, retryAfter, waited, began } = event;
  return withStep(notDone(state, event), step, {
    kind: 'refused',
    breaker,
    why,
    retryAfter,
    ...handedBackOf(event),
    ...(waited === undefined ? {} : { waited }),
    ...(began === undefined ? {} : { began }),
  });
}

function questionAsked(state: TaskState, event: TaskEvent & { type: 'questionAsked' }): TaskState {
  // An event of the log has more fields than it says here.
  const { step, name, question, options, about, from, hash, until } = event;
  return attended(
    withStep(withAttempt(state, step), step, {
      kind: 'asking',
      name,
      question,
      ...(options === undefined ? {} : { options }),
      ...(about === undefined ? {} : { about }),
      ...(from === undefined ? {} : { from }),
      hash,
      ...(until === undefined ? {} : { until }),
      ...handedBackOf(event),
    }),
  );
}

/** The step waits to be tried again, with that answer to its question and what its last attempt left. */
function answered(state: TaskState, step: string, given: GivenAnswer): TaskState {
  const answers = put(state.answers, step, [...answersTo(state, step), given]);
  const asked = stepState(state, step);
  const left = asked.kind === 'asking' ? { handedBack: handedBackOf(asked) } : {};
  return attended(withStep({ ...state, answers }, step, { kind: 'waiting', ...left }));
}

/** The state without those answers to `step` that `isLeft` does not keep. */
function withAnswers(state: TaskState, step: string, isLeft: (given: GivenAnswer) => boolean): TaskState {
  if (answersTo(state, step).length === 0) return state;
  const { [step]: given = [], ...others } = state.answers ?? {};
  const left = given.filter(isLeft);
  const answers = left.length === 0 ? others : { ...others, [step]: left };
  const { answers: _before, ...rest } = state;
  return Object.keys(answers).length === 0 ? rest : { ...rest, answers };
}

/** A step that was refused is off the stack, unless an attempt of it has begun. */
function notDone(state: TaskState, { step, began }: { step: string; began?: true }): TaskState {
  const next = began ? withAttempt(state, step) : state;
  return next.attempted?.[step] === true ? next : offStack(next, step);
}

/** What the agent that had the step may have done of it stays on the stack. */
function fellBack(state: TaskState, event: TaskEvent & { type: 'stepFellBack' }): TaskState {
  const { step, agent } = event;
  const { fellBack: count = 0 } = assignmentOf(state, step) ?? {};
  return givenTo(notDone(state, event), step, agent, count + 1);
}

/**
 * What a step's refusal by the breaker of `agent` leaves: it waits, goes to the fallback, or fails. The same for the
 * workflow and the log. A pivot that may have happened stays with its agent, and what is paced, or not decided, is only early.
 */
export function refusalEvents(
  state: TaskState,
  step: string,
  agent: string,
  failure: FailureInfo,
  details: unknown,
): TaskEvent[] {
  const refusal = readRefusal(details);
  const wait: TaskEvent = { type: 'stepRefused', step, agent, ...refusal };
  const onOpen = onOpenOf(state, agent, refusal);
  if (onOpen === 'wait') return [wait];
  const begun = refusal.began === true || state.attempted?.[step] === true;
  if (onOpen === 'fail') {
    return [failureEvent(state, step, refusal.began ? { ...failure, began: true } : failure)];
  }
  const stays = planStep(state, step)?.kind === 'pivot' && begun;
  if (stays || policyOf(state, onOpen.fallback) === undefined) return [wait];
  return [{ type: 'stepFellBack', step, agent: onOpen.fallback, from: agent, ...refusal }];
}

/** What a ballot's refusal leaves: it waits, or goes to the fallback, or is spoiled. */
export function ballotRefusal(
  state: TaskState,
  ballot: { readonly step: string; readonly voter: number },
  agent: string,
  failure: FailureInfo,
  details: unknown,
): TaskEvent {
  const { breaker, why, retryAfter } = readRefusal(details);
  return onOpenOf(state, agent, { why }) === 'fail'
    ? { type: 'ballotSpoiled', ...ballot, agent, failure }
    : { type: 'ballotRefused', ...ballot, agent, breaker, why, retryAfter };
}

/** What becomes of a call of `agent` that was refused so. */
export function onOpenOf(state: TaskState, agent: string, { why }: Pick<Refusal, 'why'>): OnOpen {
  return isBrief(why) ? 'wait' : (policyOf(state, agent)?.breaker?.onOpen ?? 'wait');
}

/** Remembers that an attempt of `step` has begun, unless `failure` says that it never did. */
function withAttempt(state: TaskState, step: string, failure?: FailureInfo): TaskState {
  const refused = REFUSALS.some((type) => type === failure?.type);
  if (refused || (failure !== undefined && neverBegan(failure))) return state;
  return { ...state, attempted: put(state.attempted, step, true) };
}

/** The phase that follows from what waits for a person, where something does. */
function attended(state: TaskState): TaskState {
  const failed = state.compensations?.find(({ kind }) => kind === 'failed');
  if (failed?.kind === 'failed') {
    const { step, failure } = failed;
    return { ...state, phase: { kind: 'needsAttention', step, failure } };
  }
  if (isUnwinding(state)) return { ...state, phase: { kind: 'compensating' } };
  const steps = Object.entries(state.steps);
  for (const [step, now] of steps) {
    if (now.kind === 'parked') {
      return { ...state, phase: { kind: 'needsAttention', step, failure: now.failure } };
    }
  }
  if (state.phase.kind === 'cancelling') return state;
  const [step, asks] = steps.find(([, { kind }]) => kind === 'awaitingApproval' || kind === 'asking') ?? [];
  if (step === undefined || asks === undefined) return { ...state, phase: { kind: 'running' } };
  return { ...state, phase: { kind: asks.kind === 'asking' ? 'awaitingAnswer' : 'awaitingApproval', step } };
}

/**
 * A pivot that is done leaves nothing to undo but what was given up before, and a cancel that came while it ran comes to
 * nothing.
 */
function completed(state: TaskState, step: string, end: StepState & { kind: 'completed' }): TaskState {
  const next = withAnswers(withStep(state, step, end), step, () => false);
  if (planStep(state, step)?.kind !== 'pivot') return next;
  const phase: TaskPhase = next.phase.kind === 'cancelling' ? { kind: 'running' } : next.phase;
  const givenUp = (next.stack ?? []).filter((entry) => stepState(next, entry.step).kind !== 'completed');
  return withStack({ ...next, phase }, givenUp);
}

function stepResolved(state: TaskState, event: TaskEvent & { type: 'stepResolved' }): TaskState {
  const { step, how, note } = event;
  if (stepState(state, step).kind !== 'parked') return state;
  const parked = stepState(state, step);
  if (how === 'fail' && parked.kind === 'parked') {
    return attended(withStep(state, step, { kind: 'failed', failure: parked.failure }));
  }
  if (how === 'skip') {
    return attended(completed(state, step, { kind: 'completed', output: { value: null }, skipped: note }));
  }
  // What nobody answered in time may be asked anew.
  const again = withAnswers(resolvedOnceMore(state, step), step, ({ kind }) => kind === 'answered');
  return attended(withStep(again, step, { kind: 'waiting' }));
}

function resolvedOnceMore(state: TaskState, step: string): TaskState {
  return { ...state, resolutions: put(state.resolutions, step, resolutionsOf(state, step) + 1) };
}

/** What a failure of `step` leaves: it fails, or is parked where it must not; the same for the workflow and the log. */
export function failureEvent(state: TaskState, step: string, failure: FailureInfo): TaskEvent {
  return { type: mustPark(state, step, failure) ? 'stepParked' : 'stepFailed', step, failure };
}

/**
 * A step that is retryable never fails the task. A pivot does where it surely had no effect; else neither direction is
 * safe. Nor is it for any step whose effect is neither recorded nor to be found out.
 */
function mustPark(state: TaskState, step: string, failure: FailureInfo): boolean {
  if (failure.type === ('OutcomeUnknown' satisfies FailureType)) return true;
  const refused = REFUSALS.some((type) => type === failure.type);
  if (refused) return goesForward(state);
  const kind = pivotPassed(state) ? 'retryable' : planStep(state, step)?.kind;
  if (kind === 'retryable') return true;
  if (kind !== 'pivot') return false;
  if (neverBegan(failure)) return state.attempted?.[step] === true;
  // What is final by Cadre's own word (such as an output that its schema refuses) comes after the agent has acted.
  return failure.final !== true || isFailureType(failure.type);
}

/** A step that a person did not allow. */
const REFUSALS: readonly FailureType[] = ['ApprovalRefused', 'ApprovalTimedOut'];

/**
 * Where a terminated execution is gone on with. What was in flight may have happened: it is undone as unknown; after
 * the pivot it is done again; a pivot itself is for a person to say. A compensation that had not ended is done again.
 */
function afterTerminate(state: TaskState): TaskState {
  const forward = goesForward(state);
  const cut = state.plan?.steps.find(({ id, kind }) => kind === 'pivot' && isUnsettled(state, id));
  const steps = Object.entries(state.steps).map(([id, step]): [string, StepState] => {
    if (id === cut?.id) {
      return [id, step.kind === 'parked' ? step : { kind: 'parked', failure: CUT_OFF }];
    }
    // What its attempts have left is for the next one.
    if (!IN_FLIGHT.includes(step.kind) || (forward && HELD.includes(step.kind))) return [id, step];
    const again = forward || step.kind === 'awaitingApproval' || HELD.includes(step.kind);
    return [id, again ? { kind: 'waiting' } : { kind: 'cancelled' }];
  });
  const compensations = state.compensations?.map((one): Compensation => {
    const { step, agent, outcome } = one;
    return one.kind === 'running' || one.kind === 'failed' ? { step, agent, outcome, kind: 'retry' } : one;
  });
  const { deadline: _over, ...kept } = state;
  const next: TaskState = {
    ...kept,
    phase: { kind: forward ? 'running' : 'compensating' },
    steps: Object.fromEntries(steps),
    ...(compensations === undefined ? {} : { compensations }),
    ...(cut === undefined ? {} : { attempted: { ...kept.attempted, [cut.id]: true } }),
  };
  return forward ? attended(next) : next;
}

const IN_FLIGHT: readonly StepState['kind'][] = [
  'scheduled',
  'voting',
  'arbitrating',
  'awaitingApproval',
  'asking',
  'refused',
  'parked',
];
/** Of an attempt that ended, and left something for the next one. */
const HELD: readonly StepState['kind'][] = ['asking', 'refused'];
const CUT_OFF: FailureInfo = { type: 'Terminated', message: 'It was running when the task was terminated' };

function onStack(state: TaskState, { step, agent }: StackEntry): TaskState {
  if (!isUndoable(state, { step, agent })) return state;
  const inFlight = (other: string): boolean => stepState(state, other).kind === 'scheduled';
  return withStack(state, pushEntry(state.stack ?? [], { step, agent }, inFlight));
}

/** Without the entry of who has the step now. */
function offStack(state: TaskState, step: string): TaskState {
  const planned = planStep(state, step);
  const agent = planned === undefined ? undefined : agentOf(state, planned);
  return agent === undefined ? state : withStack(state, dropEntry(state.stack ?? [], { step, agent }));
}

function withStack(state: TaskState, stack: readonly StackedEntry[]): TaskState {
  const { stack: _before, ...rest } = state;
  return stack.length === 0 ? rest : { ...rest, stack };
}

function undoing(state: TaskState, change: Compensation): TaskState {
  return { ...state, compensations: withCompensation(state.compensations ?? [], change) };
}

function compensationOf(state: TaskState, entry: StackEntry): StackEntry & { outcome: StepOutcome } {
  const { step, agent } = entry;
  const known = state.compensations?.find((one) => sameEntry(one, entry));
  return { step, agent, outcome: known?.outcome ?? 'unknown' };
}

/** `retry`: the compensation is begun anew; `skip`: the unwinding goes on without it. */
function resolved(state: TaskState, event: TaskEvent & { type: 'compensationResolved' }): TaskState {
  const { step, how, note } = event;
  const failed = state.compensations?.find((one) => one.step === step && one.kind === 'failed');
  if (failed?.kind !== 'failed') return state;
  const { agent, outcome, failure } = failed;
  if (how !== 'retry') {
    return attended(undoing(state, { step, agent, outcome, kind: 'skipped', failure, note }));
  }
  return attended(undoing(resolvedOnceMore(state, undoStep(step)), { step, agent, outcome, kind: 'retry' }));
}

function withTerm(state: TaskState, term: number): TaskState {
  return term > state.term ? { ...state, term } : state;
}

function assigned(state: TaskState, event: TaskEvent & { type: 'assigned' }): TaskState {
  const { step, agent, policy, term } = event;
  // What was pinned with the plan stays so.
  const known = { ...withTerm(state, term), policies: { [agent]: policy, ...state.policies } };
  return givenTo(known, step, agent, assignmentOf(state, step)?.fellBack ?? 0);
}

/** The step waits for `agent` to begin it. */
function givenTo(state: TaskState, step: string, agent: string, count: number): TaskState {
  const planned = planStep(state, step)?.agent;
  const last = assignmentOf(state, step);
  const before = last === undefined ? [planned ?? ''] : [...last.before, last.agent];
  const assignment = { agent, before, ...(count === 0 ? {} : { fellBack: count }) };
  const given: TaskState = { ...state, assignments: put(state.assignments, step, assignment) };
  const { [step]: _begun, ...attempted } = given.attempted ?? {};
  const { attempted: _before, ...rest } = given;
  // Whether the agent that has it now will have begun is another matter.
  const anew: TaskState = Object.keys(attempted).length === 0 ? rest : { ...rest, attempted };
  return withStep(anew, step, { kind: 'waiting' });
}

function withBallot(state: TaskState, event: TaskEvent & { type: 'ballotCast' }): TaskState {
  const { step, voter, agent, choice, reason } = event;
  const ballot: CastBallot = { voter, agent, choice, ...(reason === undefined ? {} : { reason }) };
  return withVote(state, step, (vote) => ({ ...vote, ballots: [...vote.ballots, ballot] }));
}

/** A vote of which every ballot is in or out, and one was withdrawn, is cancelled. */
function withVote(
  state: TaskState,
  step: string,
  change: (before: StepState & { kind: 'voting' }) => StepState & { kind: 'voting' },
): TaskState {
  const before = stepState(state, step);
  if (before.kind !== 'voting') return state;
  const vote = change(before);
  const closed = vote.ballots.length + vote.spoiled + vote.withdrawn;
  const voters = planStep(state, step)?.vote?.agents.length ?? 0;
  const cancelled = vote.withdrawn > 0 && closed >= voters;
  return withStep(state, step, cancelled ? { kind: 'cancelled' } : vote);
}

function withArbitration(state: TaskState, step: string, why: Undecided, failure?: FailureInfo): TaskState {
  const before = stepState(state, step);
  if (before.kind !== 'voting' && before.kind !== 'arbitrating') return state;
  const { ballots } = before;
  return withStep(state, step, {
    kind: 'arbitrating',
    ballots,
    why: before.kind === 'arbitrating' ? before.why : why,
    ...(failure === undefined ? {} : { failure }),
  });
}

function withStep(state: TaskState, step: string, next: StepState): TaskState {
  return { ...state, steps: put(state.steps, step, next) };
}

function withDecisions(state: TaskState, step: string, decisions: Stored<readonly Decision[]>): TaskState {
  const before = stepState(state, step);
  return before.kind === 'scheduled' ? withStep(state, step, { ...before, decisions }) : state;
}
