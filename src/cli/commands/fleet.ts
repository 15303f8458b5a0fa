/** `cadre state --fleet`: the whole cadre at one time. */
import type { AgentAt, BreakerAt, FleetCut, TaskAt } from '../../client/fleet';
import { BREAKER_WORDS, whyWords } from '../../core/breaker/details';
import { inputInvalid } from '../../core/failures';
import type { SignalCount } from '../../core/log/fleet';
import { oneLine } from '../../core/one-line';
import { standWords } from '../../core/task-details';
import type { CommonFlags } from '../connection-options';
import { EXIT } from '../exit';
import { type Output, count, stamp } from '../output';
import { openSession } from '../session';
import { parseWhen } from '../when';

export interface FleetFlags extends CommonFlags {
  /** A time as `parseWhen` takes it, or `last` for now. Default now. */
  readonly at?: string;
}

const CELL_MAXIMUM_LENGTH = 60;
/** How many pairs of workflows are listed; `--json` has all. */
const PAIRS_SHOWN = 10;

/** Shows the cut at `--at`. Throws InputInvalid for what is no time, or is to come; ServerUnreachable. */
export async function fleetState({ at = 'last', ...flags }: FleetFlags, output: Output): Promise<number> {
  const time = timeOf(at);
  const session = await openSession(flags);
  try {
    const cut = await session.client.fleetAt(time);
    output.value(cut);
    if (!output.json) write(cut, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** A number is that of an event of one log, and says nothing of a fleet. */
function timeOf(at: string): number | undefined {
  if (at === 'last') return undefined;
  if (/^\d+$/.test(at))
    throw inputInvalid('--at', 'with --fleet a time, since each log has its own numbers', at);
  return parseWhen('--at', at, Date.now());
}

function write(cut: FleetCut, output: Output): void {
  const { cadre, time, election, agents, breakers, tasks } = cut;
  output.line(`${output.paint('bold', cadre)} at ${new Date(time).toISOString().replace('Z', ' UTC')}`);
  output.line(`  leader    ${leaderWords(election)}`);
  output.line(
    `  open      ${tasks.length === 0 ? 'nothing' : count(tasks.length, 'task or saga', 'tasks and sagas')}`,
  );
  if (tasks.length > 0)
    output.table([['TASK', 'STATE', 'STEPS', 'LAST EVENT', 'GOAL'], ...tasks.map(taskRow)]);
  if (agents.length > 0) {
    output.table([['REPLICA', 'TASKS', 'DECISIONS', 'KNOWS', 'VERSION VECTOR'], ...agents.map(agentRow)]);
  }
  if (breakers.length > 0) {
    output.table([
      ['BREAKER', 'STATE', 'SINCE (UTC)', 'WHY'],
      ...breakers.map((breaker) => breakerRow(breaker, time)),
    ]);
  }
  output.line();
  writeSignals(cut, output);
  writeReach(cut, output);
}

function leaderWords(election: FleetCut['election']): string {
  if (election === undefined) return 'nobody: there was no election';
  const { leader, term } = election;
  return leader === undefined
    ? `nobody held term ${term}`
    : `${leader.identity} in term ${term}, since ${stamp(leader.since)}`;
}

function taskRow({ id, number, time, state }: TaskAt): string[] {
  const steps = state.plan?.steps.length ?? 0;
  const done = Object.values(state.steps).filter(({ kind }) => kind === 'completed').length;
  return [
    id,
    standWords(state),
    steps === 0 ? '–' : `${done} of ${steps}`,
    `${number}, ${stamp(time)}`,
    oneLine(state.goal, CELL_MAXIMUM_LENGTH),
  ];
}

function agentRow({ report, busy }: AgentAt): string[] {
  const { member, remembered, decided, entries, versionVector } = report;
  const vector = Object.entries(versionVector).map(([writer, counter]) => `${writer} ${counter}`);
  const known = vector.length === 0 ? 'empty' : oneLine(vector.join(', '), 2 * CELL_MAXIMUM_LENGTH);
  return [
    member,
    String(remembered),
    String(decided),
    count(entries, 'entry', 'entries'),
    `${known}${busy ? '; more had come to it' : ''}`,
  ];
}

function breakerRow({ key, state }: BreakerAt, time: number): string[] {
  const { phase } = state;
  const since = phase.since === 0 ? undefined : phase.since;
  return [key, BREAKER_WORDS[phase.kind], stamp(since), oneLine(whyWords(state, time), CELL_MAXIMUM_LENGTH)];
}

function writeSignals({ notCausal, inFlight, unknown }: FleetCut, output: Output): void {
  if (notCausal.length === 0) {
    output.line(`${output.paint('green', '✓')} causal: nobody had received a signal that was not sent yet`);
  } else {
    const pairs = count(notCausal.length, 'pair', 'pairs');
    output.line(
      `${output.paint('yellow', '!')} not causal between ${pairs} of workflows: the receiver is ahead of the sender`,
    );
    writePairs(notCausal, output, 'received before they were sent');
  }
  const signals = inFlight.reduce((sum, pair) => sum + pair.signals, 0);
  if (signals > 0) {
    output.line(`  in flight: ${count(signals, 'signal')}, sent and not received yet`);
    writePairs(inFlight, output, 'in flight');
  }
  if (unknown.length > 0) {
    output.line(
      `  not known between ${count(unknown.length, 'pair')} of workflows, of which earlier runs are gone`,
    );
  }
}

function writePairs(pairs: readonly SignalCount[], output: Output, what: string): void {
  for (const { from, to, signals } of pairs.slice(0, PAIRS_SHOWN)) {
    output.line(`    ${from} → ${to}: ${count(signals, 'signal')} ${what}`);
  }
  if (pairs.length > PAIRS_SHOWN)
    output.line(`    and ${pairs.length - PAIRS_SHOWN} more pairs (--json has all)`);
}

function writeReach({ reach, unread }: FleetCut, output: Output): void {
  const { from, complete, shortened } = reach;
  const back = from === undefined ? 'the server does not say how far' : `to ${stamp(from)} UTC`;
  output.line(
    complete
      ? `  reaches back ${back}; what began in the last second may be missing from a cut of now`
      : `${output.paint('yellow', '!')} what ended before ${stamp(from)} UTC is forgotten: this cut lacks what was open then and has ended since`,
  );
  if (shortened.length > 0) {
    output.line(`  earlier runs are gone of ${oneLine(shortened.join(', '), 2 * CELL_MAXIMUM_LENGTH)}`);
  }
  for (const { workflow, why } of unread)
    output.line(`${output.paint('red', '?')} ${workflow}: ${oneLine(why, 120)}`);
}
