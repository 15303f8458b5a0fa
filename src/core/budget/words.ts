/** What persons read of budgets. */
import { WEB_UI_END, escaped, utc } from '../details-text';
import { assertNever } from '../json';
import { type AccountState, type Shortfall, type Spent, isDaily, neededFor, shownAmount } from './account';

/** Of each unit: what a budget's field for it is called. */
const UNIT_WORDS = {
  tokens: 'tokens',
  microUsd: 'money',
  calls: 'calls',
  steps: 'steps',
} as const satisfies Record<keyof Spent, Shortfall['limit']>;

/** So much of a unit, such as `20,000 tokens` or `$0.5`. */
export function amountWords(limit: Shortfall['limit'], amount: number): string {
  switch (limit) {
    case 'money':
      return `$${amount}`;
    case 'wallTime':
      return `${amount / 1000} s`;
    case 'tokens':
    case 'calls':
    case 'steps':
    case 'depth':
      return `${grouped(amount)} ${amount === 1 ? limit.replace(/s$/, '') : limit}`;
    default:
      return assertNever(limit);
  }
}

/** Digits in groups of three. */
function grouped(amount: number): string {
  return String(amount).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Whose an account is, in words. */
export function accountWords(account: string): string {
  if (account === 'cadre') return 'The budget of the cadre for the day (UTC)';
  if (account.startsWith('agent.')) {
    return `The budget of the agent "${account.slice('agent.'.length)}" for the day (UTC)`;
  }
  return `The budget ${account}`;
}

/** Why something did not fit. */
export function shortfallMessage({ account, limit, allowed, used, reserved, asked }: Shortfall): string {
  const whose = accountWords(account);
  if (limit === 'wallTime') return `${whose} has no time left`;
  if (limit === 'depth') return `${whose} allows no more children below each other`;
  const unit = (amount: number): string => amountWords(limit, amount);
  return `${whose} allows ${unit(allowed)}: used ${unit(used)}, set aside ${unit(reserved)}, asked for ${unit(asked)} more`;
}

/** What to do where it did not fit; `ID` stands for the id of the task that failed. */
export function shortfallFix(short: Shortfall): string {
  const { account, limit, allowed } = short;
  if (limit === 'depth') return 'Start the first of these tasks with a greater `depth` in its budget.';
  if (limit === 'wallTime') {
    const more = `${Math.ceil((2 * allowed) / 1000)}s`;
    return allowed === 0
      ? 'The time of the task that started it is over: go on with that, by `cadre resume`.'
      : `Go on with as much time again: \`cadre resume ID\`; or with more: \`cadre resume ID --budget wallTime=${more}\`.`;
  }
  if (!isDaily(account)) {
    return `Go on with so much or more: \`cadre resume ID --budget ${limit}=${neededFor(short)}\`; see what was used with \`cadre budget\`.`;
  }
  const whose = account === 'cadre' ? '`defineConfig`' : `the agent "${account.slice('agent.'.length)}"`;
  return `Wait until the day ends, at 00:00 UTC, or raise ${limit} in the \`budget\` of ${whose} and restart the workers; then \`cadre resume ID\` goes on.`;
}

/** A row of what an account counts: its limit, and what counts against it. Money is in US dollars. */
export interface AccountRow {
  readonly unit: 'tokens' | 'money' | 'calls' | 'steps';
  /** Absent where it has none. */
  readonly allowed?: number;
  readonly used: number;
  readonly reserved: number;
  readonly unseen: number;
}

/** What an account counts, a row a unit that has a limit or was used. A step is used once it is begun, and never settled. */
export function accountRows({ limits, used: settled, reserved: aside, unseen }: AccountState): AccountRow[] {
  const used = { ...settled, steps: settled.steps + aside.steps };
  const reserved = { ...aside, steps: 0 };
  return (Object.keys(UNIT_WORDS) as (keyof Spent)[]).flatMap((unit) => {
    const limit = limits[unit];
    if (limit === undefined && used[unit] + reserved[unit] + unseen[unit] === 0) return [];
    const shown = (value: number): number => shownAmount(unit, value);
    return [
      {
        unit: UNIT_WORDS[unit],
        ...(limit === undefined ? {} : { allowed: shown(limit) }),
        used: shown(used[unit]),
        reserved: shown(reserved[unit]),
        unseen: shown(unseen[unit]),
      },
    ];
  });
}

/** An account as short Markdown, for the Web UI's current details. */
export function accountDetails(state: AccountState): string {
  const { account, day, refused, short } = state;
  const lines = [`**${escaped(account)}**${isDaily(account) ? ` on ${day ?? ''}` : ''}`, ''];
  lines.push('| | allowed | used | set aside | never seen to end |', '|---|---|---|---|---|');
  for (const { unit, allowed, used, reserved, unseen } of accountRows(state)) {
    lines.push(`| ${unit} | ${allowed ?? ''} | ${used} | ${reserved} | ${unseen} |`);
  }
  if (short !== undefined) {
    lines.push('', `refused ${refused}×, last at ${utc(short.at)}: ${escaped(shortfallMessage(short))}`);
  }
  return [...lines, WEB_UI_END].join('\n');
}
