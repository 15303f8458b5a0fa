import type { Command } from 'commander';
import { TaskFailedError, type TaskHandle } from '../../../client/task-handle';
import type { FailureType } from '../../../core/failures';
import { quietAt } from '../../../core/saga-resume';
import { type CommonFlags, withCommonOptions } from '../../connection-options';
import type { Execute } from '../../execute';
import { EXIT } from '../../exit';
import { follow, withTeam, writeTask } from '../../follow';
import { webUiLink } from '../../links';
import { type Output, duration } from '../../output';
import { reportError } from '../../report-error';
import type { Session } from '../../session';
import { undoneWords } from '../../undone';

interface ResumeFlags extends CommonFlags {
  readonly detach?: boolean;
  readonly follow?: boolean;
  readonly worker: boolean;
}

export function sagaResumeCommand(saga: Command, execute: Execute): void {
  const resume = saga
    .command('resume')
    .description('undo, or finish after its pivot, what was terminated or timed out')
    .argument('<id>', 'id of the task, saga or workflow with sagas that was terminated')
    .option('--follow', 'print every event as it happens, and what models say as they say it')
    .option('--detach', 'start it, print its id, and do not wait')
    .option('--no-worker', 'leave the work to workers that run elsewhere');
  withCommonOptions(resume).action((id: string, flags: ResumeFlags) =>
    execute(flags, (output) =>
      withTeam(flags, output, (session, signal) => run(id, session, { flags, output, signal }), {
        leader: false,
      }),
    ),
  );
}

interface Run {
  readonly flags: ResumeFlags;
  readonly output: Output;
  readonly signal: AbortSignal;
}

async function run(id: string, session: Session, { flags, output, signal }: Run): Promise<number> {
  const task = await session.client.resumeSaga(id);
  const link = webUiLink(session.at, task.id);
  output.line(`  resumes ${id}`);
  writeTask(task, link, output);
  const wait = (await quietTimeOf(task)) - Date.now();
  if (wait > 0) {
    output.line(`  waits   ${duration(wait)}, the time limit of what was running when it was terminated`);
  }
  const code = await follow(task, flags, link, output, signal);
  if (code !== undefined) return code;
  const webUi = link === undefined ? {} : { webUi: link };
  try {
    const outputs = await task.result();
    output.line(`${output.paint('green', '✓')} ${id} was past the point of no return, and is finished.`);
    output.value({ task: task.id, resumed: id, status: 'completed', outputs, ...webUi });
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof TaskFailedError)) throw error;
    if (error.type !== ('TerminatedBefore' satisfies FailureType)) {
      return reportError(error, output, { task: task.id, resumed: id, status: 'failed' });
    }
    const { compensations = [] } = (await task.describe()).state;
    output.line(
      `${output.paint('green', '✓')} ${id}: ${undoneWords(compensations)} (cadre saga show ${task.id})`,
    );
    output.value({ task: task.id, resumed: id, status: 'undone', compensations, ...webUi });
    return EXIT.done;
  }
}

/** Until when nothing is undone, since it may still be running; in ms since 1970. */
async function quietTimeOf(task: TaskHandle): Promise<number> {
  for await (const event of task.events()) {
    return event.type === 'taskResumed' ? quietAt({ ...event, overrides: {} }) : 0;
  }
  return 0;
}
