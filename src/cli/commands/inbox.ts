import type { Command } from 'commander';
import type { InboxItem } from '../../client/inbox';
import { questionWords } from '../../core/task-details';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { type Output, count, duration, stamp } from '../output';
import { openSession } from '../session';

export function inboxCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('inbox')
      .description('all that waits for a person: questions, approvals, and what failed'),
  ).action((flags: CommonFlags) => execute(flags, (output) => inbox(flags, output)));
}

async function inbox(flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const items = await session.client.inbox();
    for (const item of items) writeItem(item, output);
    if (items.length > 0) output.line();
    const waiting =
      items.length === 0 ? 'Nothing waits' : count(items.length, 'question waits', 'questions wait');
    output.line(`${waiting} for a person in the cadre "${session.config.cadre}".`);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function writeItem(item: InboxItem, output: Output): void {
  const { task, since } = item;
  const { text, command } = questionWords(task, item);
  const details = [
    `for ${duration(Math.max(0, Date.now() - since))}`,
    ...(item.kind === 'question' ? questionDetails(item) : []),
  ];
  output.value(item);
  output.line(`${output.paint('bold', task)}  ${text}`);
  output.line(`  ${details.join(' · ')}`);
  output.line(`  → ${command}`);
}

function questionDetails({ options, from, until }: InboxItem & { kind: 'question' }): string[] {
  return [
    ...(options === undefined ? [] : [`answers: ${options.join(', ')}`]),
    ...(from === undefined ? [] : [`from: ${from.join(', ')}`]),
    ...(until === undefined ? [] : [`until ${stamp(until)} UTC`]),
  ];
}
