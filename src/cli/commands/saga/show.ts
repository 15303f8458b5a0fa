import type { Command } from 'commander';
import type { PendingStep, TaskDescription } from '../../../client/task-handle';
import { oneLine } from '../../../core/one-line';
import { type Rung, sagaLadder } from '../../../core/saga-ladder';
import { standWords } from '../../../core/task-details';
import { type TaskState, isOpen, stepState } from '../../../core/task-state';
import type { LoggedTaskEvent } from '../../../core/task-projection';
import { type CommonFlags, withCommonOptions } from '../../connection-options';
import type { Execute } from '../../execute';
import { EXIT } from '../../exit';
import { webUiLink } from '../../links';
import { type Output, duration, limit, stamp } from '../../output';
import { writeQuestions } from '../../questions';
import { writeResume } from '../../resume-words';
import { openSession } from '../../session';

const CELL_MAXIMUM_LENGTH = 60;
const HEADINGS = ['STATE', 'ATTEMPTS', 'TIME', 'KEY'];

export function sagaShowCommand(saga: Command, execute: Execute): void {
  withCommonOptions(
    saga
      .command('show')
      .description('each step as it was done, and as it was undone')
      .argument('<id>', "the task's or saga's id"),
  ).action((id: string, flags: CommonFlags) => execute(flags, (output) => show(id, flags, output)));
}

async function show(id: string, flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const task = session.client.task(id);
    const events: LoggedTaskEvent[] = [];
    for await (const event of task.events()) events.push(event);
    const description = await task.describe();
    const { state, pending, resumedAs } = description;
    const { up, down } = sagaLadder(events);
    const ladder = [...up, ...down].map((rung) => withPending(rung, pending));
    const link = webUiLink(session.at, id);
    const { phase, options, deadline, locked = false, steps, stack = [], compensations = [] } = state;
    output.value({
      task: id,
      name: state.goal,
      phase,
      ...options,
      ...(deadline === undefined ? {} : { deadline }),
      ...(options?.lock === undefined ? {} : { lockHeld: locked && isOpen(phase) }),
      steps,
      ladder,
      stack,
      compensations,
      ...(resumedAs === undefined ? {} : { resumedAs }),
      ...(link === undefined ? {} : { webUi: link }),
    });
    if (!output.json) writeLadder(description, ladder, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function writeLadder(description: TaskDescription, ladder: readonly Rung[], output: Output): void {
  const { id, state } = description;
  output.line(`${output.paint('bold', id)}  ${standWords(state)}`);
  for (const [what, text] of factsOf(state)) output.line(`  ${what.padEnd(10)}  ${text}`);
  const rows = (wanted: Rung['direction']): string[][] =>
    ladder.filter(({ direction }) => direction === wanted).map(rowOf);
  const [begun, undone] = [rows('up'), rows('down')];
  if (begun.length === 0) output.line('  no step was begun');
  else output.table([['DONE', 'AGENT', 'KIND', ...HEADINGS], ...begun]);
  if (undone.length > 0) output.table([['UNDONE', 'AGENT', ...HEADINGS], ...undone]);
  const waiting = (state.plan?.steps ?? []).filter((step) => stepState(state, step.id).kind === 'waiting');
  const notBegun = waiting
    .map((step) => step.id)
    .filter((step) => !ladder.some((rung) => rung.step === step));
  if (notBegun.length > 0) {
    output.line();
    output.line(`  not begun: ${notBegun.join(', ')}`);
  }
  writeQuestions(id, state, output);
  writeResume(description, output);
}

/** What it is for, and what of it is not in its steps. */
function factsOf({ goal, options = {}, locked, deadline, phase }: TaskState): [string, string][] {
  const { lock, timeLimit } = options;
  const held = locked && isOpen(phase) ? ', held' : '';
  const until = deadline === undefined ? '' : `, until ${stamp(deadline)} UTC`;
  return [
    ...(goal === '' ? [] : [['name', goal] satisfies [string, string]]),
    ...(lock === undefined ? [] : [['lock', `${lock}${held}`] satisfies [string, string]]),
    ...(timeLimit === undefined
      ? []
      : [['time limit', `${limit(timeLimit)}${until}`] satisfies [string, string]]),
  ];
}

/** History has the attempts of an activity only once it has ended; until then the server says. */
function withPending(rung: Rung, pending: readonly PendingStep[]): Rung {
  const activity = rung.direction === 'up' ? rung.step : `${rung.step}/undo`;
  const found = pending.find(({ step }) => step === activity);
  if (rung.state !== 'running' || found === undefined) return rung;
  return { ...rung, attempts: Math.max(rung.attempts, found.attempt) };
}

function rowOf(rung: Rung): string[] {
  const { direction, step, agent, kind, attempts, startedAt, endedAt, key } = rung;
  const time = startedAt === undefined ? '' : duration((endedAt ?? Date.now()) - startedAt);
  return [
    `${direction === 'up' ? '↑' : '↓'} ${step}`,
    agent,
    ...(direction === 'up' ? [kind === 'pivot' ? 'PIVOT' : (kind ?? '-')] : []),
    stateWords(rung),
    attempts === 0 ? '-' : String(attempts),
    time === '' ? '-' : time,
    key ?? '-',
  ];
}

function stateWords({ state, outcome, failure, note }: Rung): string {
  if (state === 'skipped') return `skipped: ${oneLine(note ?? '', CELL_MAXIMUM_LENGTH)}`;
  if (state === 'awaitingApproval') return 'waits for approval';
  if (state === 'asking') return 'asks a person';
  if (failure !== undefined && (state === 'failed' || state === 'parked')) {
    return `${state}: ${oneLine(failure.message, CELL_MAXIMUM_LENGTH)}`;
  }
  return `${state}${outcome === 'unknown' ? ', whether or not it happened' : ''}`;
}
