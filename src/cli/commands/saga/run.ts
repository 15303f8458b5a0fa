import type { Command } from 'commander';
import { TaskFailedError, type TaskHandle } from '../../../client/task-handle';
import { validTaskId } from '../../../core/names';
import type { SagaInput } from '../../../core/saga-input';
import { type CommonFlags, withCommonOptions } from '../../connection-options';
import type { Execute } from '../../execute';
import { EXIT } from '../../exit';
import { follow, withTeam, writeTask } from '../../follow';
import { webUiLink } from '../../links';
import { type Output, duration } from '../../output';
import { reportError } from '../../report-error';
import { resumeWords } from '../../resume-words';
import { knownAgents, readSaga } from '../../saga-source';
import type { Session } from '../../session';
import { undoneWords } from '../../undone';

interface RunFlags extends CommonFlags {
  readonly id?: string;
  readonly follow?: boolean;
  readonly detach?: boolean;
  readonly worker: boolean;
}

export function sagaRunCommand(saga: Command, execute: Execute): void {
  withCommonOptions(
    saga
      .command('run')
      .description('carry out the steps of a file: all happen, or what was done is undone')
      .argument('<file>', 'YAML or JSON; see cadre saga check')
      .option('--id <id>', "the saga's id (default: made of its name)")
      .option('--follow', 'print every event as it happens, and what models say as they say it')
      .option('--detach', 'start the saga, print its id, and do not wait')
      .option('--no-worker', 'leave the work to workers that run elsewhere'),
  ).action((file: string, flags: RunFlags) => execute(flags, (output) => run(file, flags, output)));
}

async function run(file: string, flags: RunFlags, output: Output): Promise<number> {
  if (flags.id !== undefined) validTaskId(flags.id);
  const input = await readSaga(file, knownAgents(flags));
  return withTeam(flags, output, (session, signal) => runSaga(session, input, { flags, output, signal }), {
    leader: false,
  });
}

async function runSaga(
  session: Session,
  input: SagaInput,
  { flags, output, signal }: { flags: RunFlags; output: Output; signal: AbortSignal },
): Promise<number> {
  const began = Date.now();
  const saga = await session.client.startSaga(input, flags.id === undefined ? {} : { id: flags.id });
  const link = webUiLink(session.at, saga.id);
  output.line(`  saga    ${input.name}`);
  writeTask(saga, link, output);
  const left = await follow(saga, flags, link, output, signal);
  if (left !== undefined) return left;
  const webUi = link === undefined ? {} : { webUi: link };
  try {
    const outputs = await saga.result();
    const elapsed = Date.now() - began;
    output.line(`${output.paint('green', '✓')} done in ${duration(elapsed)}`);
    output.line();
    for (const line of JSON.stringify(outputs, null, 2).split('\n')) output.line(`  ${line}`);
    output.value({ task: saga.id, status: 'completed', elapsed, ...webUi, outputs });
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof TaskFailedError)) throw error;
    return reportFailure(saga, error, output);
  }
}

async function reportFailure(saga: TaskHandle, error: TaskFailedError, output: Output): Promise<number> {
  const description = await saga.describe();
  const { phase, compensations = [] } = description.state;
  const code = reportError(error, output, { task: saga.id, status: phase.kind, compensations });
  output.line(`  ${resumeWords(description) ?? undoneWords(compensations)} (cadre saga show ${saga.id})`);
  return code;
}
