import type { Command } from 'commander';
import type { AccountStanding } from '../../client/budgets';
import { taskAccount } from '../../core/budget/budget';
import { accountWords, amountWords } from '../../core/budget/words';
import { isAccount } from '../../core/budget/budget';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { webUiLink } from '../links';
import { type Output, count, stamp } from '../output';
import { type Session, openSession } from '../session';

export function budgetCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('budget')
      .description('what may be used of budgets, and what was')
      .argument('[account]', "cadre, agent.NAME, task.HASH, or a task's id (default: all that are in use)"),
  ).action((account: string | undefined, flags: CommonFlags) =>
    execute(flags, (output) => (account === undefined ? list(flags, output) : show(account, flags, output))),
  );
}

async function list(flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const standings = await session.client.budgets();
    output.value({ accounts: standings.map((standing) => linked(standing, session)) });
    if (standings.length === 0) {
      output.line(
        `No budget of "${session.config.cadre}" is in use: give one to a task (\`cadre run --budget tokens=20000\`), an agent or the cadre.`,
      );
      return EXIT.done;
    }
    const refused = standings.filter(({ short }) => short !== undefined).length;
    const mark = refused === 0 ? output.paint('green', '✓') : output.paint('yellow', '!');
    output.line(`${mark} ${count(standings.length, 'budget')} in use, ${refused} reached`);
    output.table([HEAD, ...standings.flatMap(rows)]);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

const HEAD = ['BUDGET', 'TASK', 'OF', 'ALLOWED', 'USED', 'SET ASIDE', 'NEVER SEEN TO END', 'REFUSED'];

function rows({ account, task, rows: units, refused }: AccountStanding): string[][] {
  const whose = task === undefined ? '–' : `${task.id}${task.running ? '' : ', ended'}`;
  return units.map(({ unit, allowed, used, reserved, unseen }, index) => [
    index === 0 ? account : '',
    index === 0 ? whose : '',
    unit,
    allowed === undefined ? '–' : shown(unit, allowed),
    shown(unit, used),
    shown(unit, reserved),
    shown(unit, unseen),
    index === 0 ? String(refused) : '',
  ]);
}

/** The number of an amount; its unit stands in a column of its own. */
function shown(unit: AccountStanding['rows'][number]['unit'], amount: number): string {
  const [number = ''] = amountWords(unit, amount).split(' ');
  return number;
}

/** A standing with the link to its workflow, where that runs. */
function linked(standing: AccountStanding, { at }: Session): AccountStanding & { webUi?: string } {
  const link = standing.running ? webUiLink(at, standing.workflow) : undefined;
  return { ...standing, ...(link === undefined ? {} : { webUi: link }) };
}

async function show(name: string, flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const account = isAccount(name) ? name : await accountOf(name, session);
    const standing = linked(await session.client.budget(account), session);
    output.value(standing);
    const { short, webUi, day, task } = standing;
    const whose = task === undefined ? accountWords(account) : `The budget of the task ${task.id}`;
    output.line(`${output.paint('bold', whose)}${day === undefined ? '' : `: ${day}`}`);
    if (standing.rows.length === 0) output.line('  Nothing was used of it yet.');
    else output.table([HEAD, ...rows(standing)]);
    if (short !== undefined)
      output.line(`  ${output.paint('yellow', '!')} ${stamp(short.at)}  ${short.message}`);
    if (webUi !== undefined) output.line(`  Web UI  ${webUi}`);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** Throws TaskNotFound. */
async function accountOf(task: string, { client }: Session): Promise<string> {
  return taskAccount((await client.task(task).describe()).state.root);
}
