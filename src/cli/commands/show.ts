import type { Command } from 'commander';
import type { PendingStep, TaskDescription, TaskHandle } from '../../client/task-handle';
import { CadreError, fixFor } from '../../core/failures';
import { assertNever } from '../../core/json';
import { REFUSAL_WORDS, waitsFor } from '../../core/breaker/refusal';
import { oneLine } from '../../core/one-line';
import { shortHash, standWords } from '../../core/task-details';
import { type StepState, type TaskState, actorOf, isOpen, stepState } from '../../core/task-state';
import { usageOf } from '../../core/task-usage';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { webUiLink } from '../links';
import { writeEvents } from '../log-words';
import { type Output, count, duration, size, stamp, table } from '../output';
import { writeResume } from '../resume-words';
import { writeQuestions } from '../questions';
import { type Session, openSession } from '../session';
import { usageWords } from '../usage-words';

const CELL_MAXIMUM_LENGTH = 60;

interface ShowFlags extends CommonFlags {
  readonly step?: string;
  readonly events?: boolean;
}

export function showCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('show')
      .description('where a task stands: its steps, what they wait for, what they put out')
      .argument('<id>', "the task's id")
      .option('--step <id>', 'print the output of this step')
      .option('--events', 'print the events of its log, as `cadre log` does'),
  ).action((id: string, flags: ShowFlags) => execute(flags, (output) => show(id, flags, output)));
}

async function show(id: string, flags: ShowFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const task = session.client.task(id);
    if (flags.step !== undefined) await showStep(task, flags.step, output);
    else if (flags.events) await showEvents(task, output);
    else await showTask(session, task, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

async function showStep(task: TaskHandle, step: string, output: Output): Promise<void> {
  const outputs = await task.outputs();
  if (!Object.hasOwn(outputs, step)) {
    const finished = Object.keys(outputs).join(', ') || 'none';
    throw new CadreError(
      'InputInvalid',
      `Step "${step}" of ${task.id} has no output (finished steps: ${finished})`,
    );
  }
  const value = outputs[step];
  output.value({ step, output: value });
  if (!output.json) output.line(typeof value === 'string' ? value : JSON.stringify(value, null, 2));
}

async function showEvents(task: TaskHandle, output: Output): Promise<void> {
  await writeEvents(task.events(), () => true, output);
}

async function showTask(session: Session, task: TaskHandle, output: Output): Promise<void> {
  const description = await task.describe();
  output.value(description);
  if (output.json) return;
  const { state, startedAt, endedAt, history } = description;
  const link = webUiLink(session.at, task.id);
  output.line(`${output.paint('bold', task.id)}  ${standWords(state)}`);
  const facts = [
    ['goal', state.goal],
    ...(state.docs === undefined ? [] : [['docs', state.docs]]),
    ['started', `${stamp(startedAt)} UTC`],
    [isOpen(state.phase) ? 'running' : 'took', duration((endedAt ?? Date.now()) - startedAt)],
    [
      'history',
      `${count(history.events, 'event')}, ${size(history.bytes)}; ${description.events} in the log`,
    ],
    ...(state.usage === undefined ? [] : [['models', usageWords(usageOf(state))]]),
    ...(link === undefined ? [] : [['Web UI', link]]),
  ];
  for (const line of table(facts)) output.line(`  ${line}`);
  output.line();
  for (const line of stepLines(description)) output.line(`  ${line}`);
  writeQuestions(task.id, state, output);
  writeResume(description, output);
  const { phase } = state;
  if (state.compensations !== undefined) {
    output.line();
    const undone = state.compensations.filter(({ kind }) => kind === 'undone').length;
    output.line(
      `  undone: ${undone} of ${count(state.stack?.length ?? 0, 'step')} (cadre saga show ${description.id})`,
    );
  }
  if (phase.kind === 'failed' || phase.kind === 'compensated') {
    const fix =
      failedStepFix(task.id, state) ??
      fixFor(phase.failure.type, { task: task.id, short: phase.failure.short });
    output.line();
    output.line(`${output.paint('red', '✗')} ${phase.failure.message}`);
    if (fix !== undefined) output.line(`  → ${fix}`);
  }
}

/** What to do about the failure of the step that ended the task, where we know. */
function failedStepFix(task: string, { steps }: TaskState): string | undefined {
  for (const [id, step] of Object.entries(steps)) {
    const failure = step.kind === 'failed' || step.kind === 'arbitrating' ? step.failure : undefined;
    if (failure !== undefined) return fixFor(failure.type, { task, step: id, short: failure.short });
  }
  return undefined;
}

function stepLines({ state, pending, events, refusedUntil }: TaskDescription): string[] {
  const waiting = new Map(pending.map((step) => [step.step, step]));
  if (state.plan === undefined) {
    const planning = waiting.get('plan');
    if (planning !== undefined) return [`plan: ${leaderWords(planning)}`];
    if (!isOpen(state.phase)) return ['no plan'];
    // The log begins with the task's start; what follows is a worker's.
    return events > 1
      ? ['plan: is asked of the leader again in a moment']
      : ['no plan yet: no worker has taken the task; start one with `cadre worker`'];
  }
  const rows = state.plan.steps.map((step) => {
    const { id, instruction } = step;
    const now = stepState(state, id);
    const words =
      now.kind === 'refused' && isOpen(state.phase)
        ? refusedWords(now, refusedUntil[id])
        : stepWords(now, id, waiting);
    return [id, actorOf(state, step), words, oneLine(instruction, CELL_MAXIMUM_LENGTH)];
  });
  const aggregating = waiting.get('aggregate');
  return [
    ...table([['STEP', 'AGENT', 'STATE', 'INSTRUCTION'], ...rows]),
    ...(aggregating === undefined ? [] : [`result: ${leaderWords(aggregating)}`]),
  ];
}

function stepWords(step: StepState, id: string, waiting: ReadonlyMap<string, PendingStep>): string {
  const leader = waiting.get(`${id}/assign`) ?? waiting.get(`${id}/arbitrate`);
  if (leader !== undefined) return `${stateWords(step)}; ${leaderWords(leader)}`;
  const pending = waiting.get(id);
  return pending === undefined ? stateWords(step) : pendingWords(pending);
}

/** Why its agent may not ask yet, and how long it waits. */
function refusedWords(refused: StepState & { kind: 'refused' }, until = Date.now()): string {
  const left = duration(Math.max(0, until - Date.now()));
  return `waits ${left} for ${waitsFor(refused)}: ${REFUSAL_WORDS[refused.why]}`;
}

/** Where the leader's work stands: who has it, or that nobody leads. */
function leaderWords({ kind, worker, since }: PendingStep): string {
  const age = duration(Math.max(0, Date.now() - since));
  return kind === 'started'
    ? `with the leader ${worker ?? ''} for ${age}`
    : `waits for a leader, ${age} (see \`cadre leader\`)`;
}

/** Where a step stands, in words that fit a table. */
export function stateWords(step: StepState): string {
  switch (step.kind) {
    case 'completed':
      return `completed, ${size('value' in step.output ? JSON.stringify(step.output.value).length : step.output.bytes)}`;
    case 'failed':
    case 'parked':
      return `${step.kind}: ${oneLine(step.failure.message, CELL_MAXIMUM_LENGTH)}`;
    case 'awaitingApproval':
      return `waits for approval of its input ${shortHash(step.hash)}`;
    case 'asking':
      return `asks: ${oneLine(step.question, CELL_MAXIMUM_LENGTH)}`;
    case 'voting':
      return `voting: ${step.ballots.length} cast`;
    case 'arbitrating':
      return step.failure === undefined
        ? `undecided (${step.why})`
        : `undecided: ${oneLine(step.failure.message, CELL_MAXIMUM_LENGTH)}`;
    case 'refused':
      return `waited for the breaker ${step.breaker}`;
    case 'waiting':
    case 'scheduled':
    case 'cancelled':
      return step.kind;
    default:
      return assertNever(step);
  }
}

function pendingWords({ kind, attempt, worker, since, lastFailure }: PendingStep): string {
  const age = duration(Math.max(0, Date.now() - since));
  const again =
    attempt > 1
      ? `, attempt ${attempt}${lastFailure === undefined ? '' : ` after: ${oneLine(lastFailure, CELL_MAXIMUM_LENGTH)}`}`
      : '';
  return kind === 'started'
    ? `running for ${age} on ${worker ?? 'a worker'}${again}`
    : `waits for a worker, ${age}${again}`;
}
