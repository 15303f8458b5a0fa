import { Argument, type Command } from 'commander';
import type { AnyAgent } from '../../activities/define-agent';
import { type BreakerStanding, checkCommand } from '../../client/breakers';
import { BREAKER_COMMANDS, type BreakerCommandKind } from '../../core/breaker/report';
import { type BreakerSettings } from '../../core/breaker/settings';
import { CadreError, inputInvalid, isCadreError } from '../../core/failures';
import {
  NEXT,
  breakerCommandLine,
  clock,
  facts,
  meaning,
  probeWords,
  stateWord,
  whyLine,
} from '../breaker-words';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { webUiLink } from '../links';
import { type Output, count, stamp, table } from '../output';
import { type Session, openSession } from '../session';
import { instant, watchUntilInterrupted } from '../watch';

interface BreakersFlags extends CommonFlags {
  readonly watch?: boolean;
}

interface BreakerFlags extends CommonFlags {
  readonly note?: string;
}

export function breakersCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('breakers')
      .description('the circuit breakers of agents: which are not closed, and why')
      .option('--watch', 'go on, with a line for each change, until Ctrl-C'),
  ).action((flags: BreakersFlags) =>
    execute(flags, (output) => (flags.watch ? watch(flags, output) : list(flags, output))),
  );
}

export function breakerCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('breaker')
      .description('where one circuit breaker stands; or trip, reset, isolate or release it')
      .argument('<key>', 'its key: see cadre breakers')
      .addArgument(new Argument('[how]', 'left out: only show it').choices(BREAKER_COMMANDS))
      .option('--note <text>', 'why, in up to 500 characters; is shown with it'),
  ).action((key: string, how: BreakerCommandKind | undefined, flags: BreakerFlags) =>
    execute(flags, (output) =>
      how === undefined ? show(key, flags, output) : operate({ key, how }, flags, output),
    ),
  );
}

/** A breaker of the configuration. */
interface Guarded {
  readonly key: string;
  /** Names of the agents that share it. */
  readonly agents: readonly string[];
  readonly settings: BreakerSettings;
}

function guardedBy(agents: readonly AnyAgent[]): Guarded[] {
  const byKey = new Map<string, Guarded>();
  for (const { name, resolvedPolicy, breakerSettings: settings } of agents) {
    const { key } = resolvedPolicy.breaker ?? {};
    if (key === undefined || settings === undefined) continue;
    const before = byKey.get(key) ?? { key, agents: [], settings };
    byKey.set(key, { ...before, agents: [...before.agents, name] });
  }
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function list(flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const standings = await session.client.breakers();
    const guarded = guardedBy(session.config.agents);
    output.value({
      breakers: standings.map((standing) => linked(standing, session)),
      configured: guarded.map(({ key, agents }) => ({ key, agents })),
    });
    if (standings.length > 0) writeTable(standings, session, output);
    else {
      output.line(
        `No agent's calls have failed lately: no breaker of "${session.config.cadre}" is in use. One is, from a call that fails or is slow on.`,
      );
    }
    writeUnused(guarded, standings, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** A standing with the link to its workflow, where that runs. */
function linked(standing: BreakerStanding, { at }: Session): BreakerStanding & { webUi?: string } {
  const link = standing.running ? webUiLink(at, standing.workflow) : undefined;
  return { ...standing, ...(link === undefined ? {} : { webUi: link }) };
}

function writeTable(standings: readonly BreakerStanding[], session: Session, output: Output): void {
  const notClosed = standings.filter(({ kind }) => kind !== 'closed');
  const mark = notClosed.length === 0 ? output.paint('green', '✓') : output.paint('yellow', '!');
  const { length } = standings;
  output.line(
    `${mark} ${count(length, 'breaker')} of ${session.config.cadre} in use, ${notClosed.length} not closed`,
  );
  output.table([['KEY', 'STATE', 'SINCE (UTC)', 'NEXT PROBE', 'REFUSED', 'WHY'], ...standings.map(row)]);
  if (notClosed.length === 0) return;
  const links = notClosed.map((standing) => [standing.key, linked(standing, session).webUi ?? '']);
  output.table(links.filter(([, link]) => link !== ''));
}

function row(standing: BreakerStanding): string[] {
  const { key, since, refused } = standing;
  return [key, stateWord(standing), stamp(since), probeWords(standing), String(refused), whyLine(standing)];
}

/** The breakers of the configuration that nobody has needed lately. */
function writeUnused(
  guarded: readonly Guarded[],
  standings: readonly BreakerStanding[],
  output: Output,
): void {
  if (guarded.length === 0) {
    output.line('No agent of this configuration has a breaker: one is given by `policy: { breaker: {} }`.');
    return;
  }
  const unused = guarded.filter(({ key }) => !standings.some((standing) => standing.key === key));
  if (unused.length === 0) return;
  output.table([
    ['NOT IN USE', 'OF THE AGENTS'],
    ...unused.map(({ key, agents }) => [key, agents.join(', ')]),
  ]);
}

function watch(flags: CommonFlags, output: Output): Promise<number> {
  const told = new Told();
  return watchUntilInterrupted(flags, output, {
    changes: (client, signal) => client.watchBreakers({ signal }),
    tell(standings) {
      output.value({ breakers: standings });
      for (const line of told.next(standings)) output.line(line);
    },
    away: awayWords,
  });
}

function awayWords(error: unknown): string {
  return isCadreError(error) && error.type === 'NoWorker'
    ? 'no worker answers for the breakers'
    : 'the server does not answer';
}

/** What a watch has told, so that it tells of each change once. */
class Told {
  private last: ReadonlyMap<string, BreakerStanding> | undefined;

  /** The lines that `standings` add, in the order of what happened. */
  next(standings: readonly BreakerStanding[]): string[] {
    const before = this.last ?? new Map<string, BreakerStanding>();
    const isFirst = this.last === undefined;
    this.last = new Map(standings.map((standing) => [standing.key, standing]));
    if (isFirst && standings.length === 0) {
      return [`${instant(Date.now())}  no breaker is in use: no agent's calls have failed lately`];
    }
    const changed = standings.flatMap((standing) => change(before.get(standing.key), standing));
    const gone = [...before.keys()].filter((key) => !this.last?.has(key));
    return [
      ...changed.sort((a, b) => a.at - b.at).map(({ at, text }) => `${instant(at)}  ${text}`),
      ...gone.map((key) => `${instant(Date.now())}  ${key}  not in use any more: closed, and quiet for long`),
    ];
  }
}

/** What is to be told of a breaker that was told of as `before`. */
function change(before: BreakerStanding | undefined, now: BreakerStanding): { at: number; text: string }[] {
  const { key, asOf, kind, since, pacedUntil, nextProbeAt } = now;
  const moved = before?.kind !== kind || before.since !== since;
  if (!moved && before.pacedUntil === pacedUntil) return [];
  // That it is paced no longer is no news: it was said until when.
  if (!moved && pacedUntil === undefined) return [];
  const left = (nextProbeAt ?? 0) - Date.now();
  const probe = kind === 'open' && left > 0 ? `; next probe at ${clock(nextProbeAt ?? 0)}` : '';
  const at = moved && since !== undefined ? since : asOf;
  return [{ at, text: `${key}  ${stateWord(now)}: ${whyLine(now)}${probe}` }];
}

async function show(key: string, flags: BreakerFlags, output: Output): Promise<number> {
  if (flags.note !== undefined) {
    throw inputInvalid('--note', `given with one of ${BREAKER_COMMANDS.join(', ')}`, flags.note);
  }
  const session = await openSession(flags);
  try {
    const { standing, guarded } = await lookUp(key, session);
    const { agents = [] } = guarded ?? {};
    const shown = linked(standing, session);
    output.value({ ...shown, agents });
    const why = standing.running ? whyLine(standing) : 'no call of its agents has failed lately';
    output.line(`${output.paint('bold', key)}  ${stateWord(standing)}: ${why}`);
    const lines = facts(standing, agents);
    for (const line of table([...lines, ...(shown.webUi === undefined ? [] : [['Web UI', shown.webUi]])])) {
      output.line(`  ${line}`);
    }
    const next = NEXT[standing.kind].map(([how, what]) => [
      `→ ${breakerCommandLine(key, how)} --note "..."`,
      what,
    ]);
    output.table(next);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** Throws InputInvalid for a key that no agent of the configuration has, and that nobody has needed lately. */
async function lookUp(
  key: string,
  { client, config }: Session,
): Promise<{ standing: BreakerStanding; guarded: Guarded | undefined }> {
  const all = guardedBy(config.agents);
  const guarded = all.find((one) => one.key === key);
  const standing = await client.breaker(key);
  if (standing.running) return { standing, guarded };
  if (guarded === undefined) throw await unknownKey(key, all, client);
  return { standing: { ...standing, state: { ...standing.state, settings: guarded.settings } }, guarded };
}

async function unknownKey(
  key: string,
  guarded: readonly Guarded[],
  client: Session['client'],
): Promise<CadreError> {
  // A worker that is not there keeps nobody from hearing what the configuration has.
  const inUse = await client.breakers().catch((): BreakerStanding[] => []);
  const keys = [...new Set([...guarded, ...inUse].map((one) => one.key))].sort();
  const there = keys.length === 0 ? 'there are none' : `there are: ${keys.join(', ')}`;
  return new CadreError(
    'InputInvalid',
    `No agent of this configuration has the breaker "${key}", and nobody has needed it lately; ${there}`,
  );
}

async function operate(
  { key, how }: { key: string; how: BreakerCommandKind },
  { note = '', ...flags }: BreakerFlags,
  output: Output,
): Promise<number> {
  checkCommand(key, { how, note });
  const session = await openSession(flags);
  try {
    const { standing: before, guarded } = await lookUp(key, session);
    const { agents = [], settings } = guarded ?? {};
    // Those of one in use come from its workers, whose configuration may be newer.
    const starts = before.running || settings === undefined ? {} : { settings };
    const standing = linked(await session.client.operateBreaker(key, how, note, starts), session);
    output.value({ ...standing, agents, how, note });
    const [effect, spread] = meaning(standing, how);
    output.line(`${output.paint('green', '✓')} ${key} is ${stateWord(standing)}: ${effect}`);
    output.line(`  ${spread}`);
    if (standing.webUi !== undefined) output.line(`  Web UI  ${standing.webUi}`);
    return EXIT.done;
  } finally {
    await session.close();
  }
}
