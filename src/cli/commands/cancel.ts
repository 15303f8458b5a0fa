import type { Command } from 'commander';
import { phaseWords } from '../../core/task-details';
import { isOpen } from '../../core/task-state';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import type { Output } from '../output';
import { openSession } from '../session';

export function cancelCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program.command('cancel').description('ask a task to stop').argument('<id>', "the task's id"),
  ).action((id: string, flags: CommonFlags) => execute(flags, (output) => cancel(id, flags, output)));
}

async function cancel(id: string, flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const task = session.client.task(id);
    const { state } = await task.describe();
    if (!isOpen(state.phase)) {
      output.line(`${id} has ended already: ${phaseWords(state.phase)}.`);
      output.value({ task: id, cancelRequested: false, phase: state.phase });
      return EXIT.done;
    }
    await task.cancel();
    output.line(`Asked ${id} to stop: its agents hear of it with their next heartbeat, within a second.`);
    output.value({ task: id, cancelRequested: true });
    return EXIT.done;
  } finally {
    await session.close();
  }
}
