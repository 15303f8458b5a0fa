import type { Command } from 'commander';
import { assertNever } from '../../core/json';
import type { Decision } from '../../core/decision';
import type { Reason } from '../../core/log/why';
import { oneLine } from '../../core/one-line';
import type { ResumeOrigin } from '../../core/resume';
import type { Stored } from '../../core/stored';
import type { LoggedTaskEvent } from '../../core/task-projection';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import { whoOf } from '../event-lines';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { openLog, writeProblems } from '../log-source';
import { type Loaded, artifactsOf, eventWords, loaded, loadedWords, valueWords } from '../log-words';
import type { Output } from '../output';

const LINE_MAXIMUM_LENGTH = 160;
/** Deeper ones are told at this depth. */
const INDENTED_MAXIMUM = 16;

export function whyCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('why')
      .description('why a step put out what it did: back through decisions, inputs and plan to the goal')
      .argument('<id>', "the task's or saga's id, or a file of `cadre export`")
      .argument('[step]', "the step's id (default: why the task stands as it does)"),
  ).action((id: string, step: string | undefined, flags: CommonFlags) =>
    execute(flags, (output) => showWhy(id, step, flags, output)),
  );
}

async function showWhy(
  id: string,
  step: string | undefined,
  flags: CommonFlags,
  output: Output,
): Promise<number> {
  const opened = await openLog(id, flags);
  try {
    const artifacts = artifactsOf(opened);
    for (const reason of await opened.log.why(step)) {
      output.value(reason);
      if (output.json) continue;
      const stored = storedIn(reason.event);
      writeReason(reason, stored === undefined ? undefined : await loaded(artifacts, stored), output);
    }
    writeProblems(opened.problems(), output);
    return EXIT.done;
  } finally {
    await opened.close();
  }
}

/** What of an event may be in the artifact store. */
function storedIn(event: LoggedTaskEvent): Stored | undefined {
  if (event.type === 'stepCompleted') return event.output;
  return 'decisions' in event ? event.decisions : undefined;
}

function writeReason({ event, because, depth }: Reason, value: Loaded | undefined, output: Output): void {
  const indent = '  '.repeat(Math.min(depth, INDENTED_MAXIMUM));
  const from = because.length === 0 ? '' : ` ← ${because.map((number) => `#${number}`).join(', ')}`;
  const text = oneLine(reasonWords(event, value), LINE_MAXIMUM_LENGTH);
  output.line(`${indent}#${event.number}${output.paint('dim', from)}  ${whoOf(event)}  ${text}`);
  for (const line of decisionLines(event, value)) output.line(`${indent}      ${line}`);
}

function reasonWords(event: LoggedTaskEvent, value: Loaded | undefined): string {
  const { type } = event;
  if (type === 'taskStarted') return event.goal === '' ? 'begun by workflow code' : `the goal: ${event.goal}`;
  if (type === 'taskResumed') return originWords(event.origin);
  if (type === 'stepScheduled') {
    return `given to ${event.agent}${event.term === 0 ? '' : ` (term ${event.term})`}`;
  }
  if (type === 'decisionsRecorded') return `${event.actor} decided:`;
  if (type === 'stepCompleted' && value !== undefined) {
    return `put out ${loadedWords(value, LINE_MAXIMUM_LENGTH)}`;
  }
  return eventWords(event);
}

function decisionLines(event: LoggedTaskEvent, value: Loaded | undefined): string[] {
  if (value === undefined || event.type === 'stepCompleted') return [];
  if (value.kind === 'missing') return [loadedWords(value, LINE_MAXIMUM_LENGTH)];
  return (value.value as readonly Decision[]).flatMap(({ type, rationale, evidence }) => [
    `${type}: ${oneLine(rationale, LINE_MAXIMUM_LENGTH)}`,
    ...(evidence === undefined ? [] : [`  evidence ${valueWords(evidence, LINE_MAXIMUM_LENGTH)}`]),
  ]);
}

function originWords(origin: ResumeOrigin): string {
  switch (origin.kind) {
    case 'continuedAsNew':
      return `goes on from run ${origin.runId}, which is not in this log`;
    case 'terminated':
      return `goes on from ${origin.workflowId}, which was terminated; why it got there is in its log`;
    case 'raised':
      return `goes on from ${origin.workflowId}, which had reached its budget; why it got there is in its log`;
    case 'forked':
      return `a fork of ${origin.workflowId} at its event ${origin.number}; why it got there is in its log`;
    default:
      return assertNever(origin);
  }
}
