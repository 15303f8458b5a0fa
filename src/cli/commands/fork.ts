import type { Command } from 'commander';
import type { Forked } from '../../client/fork';
import { TaskFailedError } from '../../client/task-handle';
import { inputInvalid } from '../../core/failures';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { follow, withTeam, writeTask } from '../follow';
import { webUiLink } from '../links';
import { logFrom, writeProblems } from '../log-source';
import { type Output, count } from '../output';
import { parsePoint } from '../point';
import { reportError } from '../report-error';
import type { Session } from '../session';

interface ForkFlags extends CommonFlags {
  readonly at: string;
  readonly set?: readonly string[];
  readonly agent?: readonly string[];
  readonly detach?: boolean;
  readonly follow?: boolean;
  readonly worker: boolean;
}

export function forkCommand(program: Command, execute: Execute): void {
  const fork = program
    .command('fork')
    .description('go on from an earlier point of a task, in a task of its own; the other is untouched')
    .argument('<id>', "the task's id, or a file of `cadre export`")
    .option('--at <point>', 'the event after which it goes on: its number, a time, or `last`', 'last')
    .option('--set <path=value>', 'change it: `goal`, or `steps.<id>.<field>` (repeatable)', collect)
    .option('--agent <step=agent>', 'give a step to another agent (repeatable)', collect)
    .option('--follow', 'print every event as it happens, and what models say as they say it')
    .option('--detach', 'start it, print its id, and do not wait')
    .option('--no-worker', 'leave the work to workers that run elsewhere');
  withCommonOptions(fork).action((id: string, flags: ForkFlags) =>
    execute(flags, (output) => {
      const overrides = overridesOf(flags);
      return withTeam(flags, output, (session, signal) =>
        run(id, session, { flags, overrides, output, signal }),
      );
    }),
  );
}

interface Run {
  readonly flags: ForkFlags;
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly output: Output;
  readonly signal: AbortSignal;
}

async function run(id: string, session: Session, { flags, overrides, output, signal }: Run): Promise<number> {
  const at = parsePoint('--at', flags.at, Date.now());
  const { log, problems } = await logFrom(id, session);
  const forked = await session.client.fork(log, { at, overrides });
  writeProblems(problems(), output);
  const task = session.client.task(forked.id);
  const link = webUiLink(session.at, task.id);
  output.line(`  forks   ${forked.of}, after event ${forked.number}`);
  writeTask(task, link, output);
  for (const line of sharedLines(forked)) output.line(line);
  const of = { fork: { of: forked.of, number: forked.number, shared: forked.shared } };
  const code = await follow(task, flags, link, output, signal);
  if (code !== undefined) return code;
  const webUi = link === undefined ? {} : { webUi: link };
  try {
    const outputs = await task.result();
    output.line(`${output.paint('green', '✓')} ${task.id} is completed: cadre state ${task.id}`);
    output.value({ task: task.id, ...of, status: 'completed', outputs, ...webUi });
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof TaskFailedError)) throw error;
    return reportError(error, output, { task: task.id, ...of, status: 'failed' });
  }
}

/** What is shared, and which effects there may have been before. */
function sharedLines({ of, shared, sharedEffects, begunBefore }: Forked): string[] {
  const lines = [
    `  shares  ${shared.length === 0 ? 'no step' : `${count(shared.length, 'step')}: ${shared.join(', ')}`}`,
  ];
  if (sharedEffects.length > 0) {
    lines.push(
      `  ! what ${sharedEffects.join(', ')} did stands, and is ${of}'s: the fork neither repeats nor undoes it`,
    );
  }
  if (begunBefore.length > 0) {
    lines.push(
      `  ! ${begunBefore.join(', ')} had begun in ${of} and may have had an effect: it runs again, under another idempotency key`,
    );
  }
  return lines;
}

function overridesOf({ set = [], agent = [] }: ForkFlags): Record<string, unknown> {
  const pairs = [
    ...set.map((text): [string, unknown] => {
      const [path, value] = pairOf('--set', text);
      return [path, valueOf(value)];
    }),
    ...agent.map((text): [string, unknown] => {
      const [step, name] = pairOf('--agent', text);
      return [`steps.${step}.agent`, name];
    }),
  ];
  return Object.fromEntries(pairs);
}

function pairOf(option: string, text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw inputInvalid(option, 'of the form name=value', text);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** JSON where it is, else the text. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
