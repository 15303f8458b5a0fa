import type { Command } from 'commander';
import { readLeader } from '../../client/leader';
import type { Decision } from '../../core/decision';
import { inputInvalid } from '../../core/failures';
import type { TaskMoment } from '../../core/log/point';
import { oneLine } from '../../core/one-line';
import type { Compensation } from '../../core/saga';
import type { Stored } from '../../core/stored';
import { standWords } from '../../core/task-details';
import { type TaskState, actorOf, stepState } from '../../core/task-state';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { type OpenLog, openLog, writeProblems } from '../log-source';
import { type Loaded, artifactsOf, loaded, loadedWords } from '../log-words';
import { type Output, count, stamp, table } from '../output';
import { parsePoint } from '../point';
import { fleetState } from './fleet';
import { stateWords } from './show';

const CELL_MAXIMUM_LENGTH = 120;

interface StateFlags extends CommonFlags {
  readonly at: string;
  readonly fleet?: boolean;
}

export function stateCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('state')
      .description('what a task was at a point of its log; of a file of `cadre export` without a server')
      .argument('[id]', "the task's or saga's id, or a file")
      .option('--at <point>', 'after this event, by its number; at a time; or `last`', 'last')
      .option('--fleet', 'the whole cadre instead of a task: its leader, agents, breakers, tasks and sagas'),
  ).action((id: string | undefined, flags: StateFlags) =>
    execute(flags, (output) => {
      if (flags.fleet && id === undefined) return fleetState(flags, output);
      if (flags.fleet || id === undefined)
        throw inputInvalid('what is shown', 'either a task or, with --fleet, the whole cadre', id);
      return showState(id, flags, output);
    }),
  );
}

/** A task at a point, with what its state only refers to. */
interface Shown {
  readonly id: string;
  readonly moment: TaskMoment;
  /** By step id. */
  readonly outputs: ReadonlyMap<string, Loaded>;
  /** Who decided what: by step id, `plan` or `result`. */
  readonly decisions: ReadonlyMap<string, Loaded>;
  /** Identity of the worker that led in the state's term; undefined where nobody says. */
  readonly leader: string | undefined;
}

async function showState(id: string, flags: StateFlags, output: Output): Promise<number> {
  const point = parsePoint('--at', flags.at, Date.now());
  const opened = await openLog(id, flags);
  try {
    const moment = await opened.log.stateAt(point);
    const { state } = moment;
    const shown: Shown = {
      id: opened.log.id,
      moment,
      outputs: await loadAll(opened, outputsOf(state)),
      decisions: await loadAll(opened, decisionsOf(state)),
      leader: state.term === 0 ? undefined : await leaderOf(opened, state.term),
    };
    output.value(toJson(shown));
    if (!output.json) writeState(shown, output);
    if (typeof point === 'object' && 'number' in point && point.number > moment.number) {
      output.line();
      output.line(`  the log ends with event ${moment.number}`);
    }
    writeProblems(opened.problems(), output);
    return EXIT.done;
  } finally {
    await opened.close();
  }
}

async function loadAll(
  opened: OpenLog,
  stored: ReadonlyMap<string, Stored>,
): Promise<ReadonlyMap<string, Loaded>> {
  const artifacts = artifactsOf(opened);
  const values = new Map<string, Loaded>();
  for (const [name, one] of stored) values.set(name, await loaded(artifacts, one));
  return values;
}

function outputsOf({ steps }: TaskState): Map<string, Stored> {
  const outputs = new Map<string, Stored>();
  for (const [id, step] of Object.entries(steps)) {
    if (step.kind === 'completed') outputs.set(id, step.output);
  }
  return outputs;
}

function decisionsOf({ planDecisions, steps, aggregated }: TaskState): Map<string, Stored> {
  const decisions = new Map<string, Stored>();
  if (planDecisions !== undefined) decisions.set('plan', planDecisions);
  for (const [id, step] of Object.entries(steps)) {
    const made = step.kind === 'completed' || step.kind === 'scheduled' ? step.decisions : undefined;
    if (made !== undefined) decisions.set(id, made);
  }
  if (aggregated?.decisions !== undefined) decisions.set('result', aggregated.decisions);
  return decisions;
}

/** Who led in `term`, as far as the election of the task's cadre still says. */
async function leaderOf({ log, session }: OpenLog, term: number): Promise<string | undefined> {
  if (session === undefined) return undefined;
  const { temporal } = session.client;
  try {
    // A cadre's task queue has its name.
    const { taskQueue } = await temporal.workflow.getHandle(log.id).describe();
    const { term: present, leader, past } = await readLeader(temporal, taskQueue);
    return term === present ? leader?.identity : past.find((one) => one.term === term)?.leader;
  } catch {
    return undefined;
  }
}

function toJson({ id, moment, outputs, decisions, leader }: Shown): Record<string, unknown> {
  const missing = [...outputs, ...decisions].flatMap(([of, one]) =>
    one.kind === 'missing' ? [{ of, artifact: one.artifact, bytes: one.bytes }] : [],
  );
  const values = (all: ReadonlyMap<string, Loaded>): Record<string, unknown> =>
    Object.fromEntries([...all].flatMap(([of, one]) => (one.kind === 'value' ? [[of, one.value]] : [])));
  return {
    id,
    ...moment,
    ...(leader === undefined ? {} : { leader }),
    outputs: values(outputs),
    decisions: values(decisions),
    missing,
  };
}

function writeState({ id, moment, outputs, decisions, leader }: Shown, output: Output): void {
  const { number, time, state } = moment;
  if (number === 0) {
    output.line(`${output.paint('bold', id)}  had not begun`);
    return;
  }
  output.line(`${output.paint('bold', id)}  ${standWords(state)}`);
  for (const line of table(factsOf(state, { number, time, leader }))) output.line(`  ${line}`);
  const { plan } = state;
  if (plan === undefined) output.line('  no plan yet');
  else {
    const steps = plan.steps.map((step) => {
      const { id: name, instruction } = step;
      const words = stateWords(stepState(state, name));
      return [name, actorOf(state, step), words, oneLine(instruction, 60)];
    });
    output.table([['STEP', 'AGENT', 'STATE', 'INSTRUCTION'], ...steps]);
  }
  const outputRows = [...outputs].map(([step, value]) => [step, loadedWords(value, CELL_MAXIMUM_LENGTH)]);
  if (outputRows.length > 0) output.table([['STEP', 'OUTPUT'], ...outputRows]);
  const decided = [...decisions].flatMap(([of, value]) => decisionRows(of, value));
  if (decided.length > 0) output.table([['DECIDED', 'WHAT', 'WHY'], ...decided]);
  writeUndone(state, output);
}

function factsOf(
  state: TaskState,
  { number, time, leader }: { number: number; time: number | undefined; leader: string | undefined },
): string[][] {
  const { goal, plan, plannedBy = 'nobody', term, options, locked, deadline } = state;
  return [
    ['after', `event ${number}, ${stamp(time)} UTC`],
    ['goal', oneLine(goal, CELL_MAXIMUM_LENGTH)],
    ...(plan === undefined ? [] : [['plan', `${count(plan.steps.length, 'step')}, by ${plannedBy}`]]),
    ...(term === 0 ? [] : [['term', `${term}${leader === undefined ? '' : `, led by ${leader}`}`]]),
    ...(options?.lock === undefined ? [] : [['lock', `${options.lock}${locked ? ', held' : ''}`]]),
    ...(deadline === undefined ? [] : [['time limit', `until ${stamp(deadline)} UTC`]]),
  ];
}

function decisionRows(of: string, value: Loaded): string[][] {
  if (value.kind === 'missing') return [[of, '–', loadedWords(value, CELL_MAXIMUM_LENGTH)]];
  return (value.value as readonly Decision[]).map(({ type, rationale }) => [
    of,
    type,
    oneLine(rationale, CELL_MAXIMUM_LENGTH),
  ]);
}

function writeUndone({ compensations }: TaskState, output: Output): void {
  if (compensations === undefined) return;
  const rows = compensations.map((one) => [one.step, one.agent, one.outcome, undoneWords(one)]);
  output.table([['UNDONE', 'AGENT', 'THE STEP HAD', 'STATE'], ...rows]);
}

function undoneWords(one: Compensation): string {
  if (one.kind === 'failed') return `failed: ${oneLine(one.failure.message, 60)}`;
  return one.kind === 'skipped' ? `skipped: ${oneLine(one.note, 60)}` : one.kind;
}
