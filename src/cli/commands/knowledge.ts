import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { CrdtStanding, EntryStanding, KnowledgeStanding } from '../../client/agent-standing';
import type { CadreClient } from '../../client/cadre-client';
import { inputInvalid, isCadreError } from '../../core/failures';
import { agentId, validName } from '../../core/names';
import { notToldWords, readIfTold } from '../agent-lookup';
import {
  agreementLine,
  byWords,
  conflictsOf,
  crdtWords,
  entryRows,
  isCollection,
  isRegister,
  lackWords,
  newestOf,
  plain,
} from '../agent-words';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { webUiLink } from '../links';
import { type Output, count, stamp } from '../output';
import { type Session, openSession } from '../session';
import { instant, watchUntilInterrupted } from '../watch';

/** How many entries of a collection are shown without `--all`. */
const ENTRIES_SHOWN = 3;
/** How often, in ms, a watch looks whether there is a replica. */
const BEGIN_INTERVAL = 500;

interface KnowledgeFlags extends CommonFlags {
  readonly agent?: string;
  readonly all?: boolean;
  readonly check?: boolean;
  readonly watch?: boolean;
}

export function knowledgeCommand(program: Command, execute: Execute): void {
  const knowledge = withCommonOptions(
    program
      .command('knowledge')
      .description('what the agents know: values, who wrote them, and conflicts that are kept')
      .argument('[name]', 'of this agent (default: of the first there is; all come to know the same)')
      .option('--agent <name>', 'the same, for an agent that is called `watch`')
      .option('--all', 'all entries of sets, maps, logs and counters, not only the newest')
      .option('--check', 'whether all replicas know the same (exits with 1 where not), and who lacks what')
      .option('--watch', 'go on, with a line for each change, until Ctrl-C')
      .helpCommand(false),
  ).action((name: string | undefined, flags: KnowledgeFlags) =>
    execute(flags, (output) => dispatch(name, flags, output)),
  );
  const watching = knowledge
    .command('watch')
    .description('the same as --watch')
    .argument('[name]', 'of this agent');
  withCommonOptions(watching).action((name: string | undefined) => {
    // Options may stand before or behind the name of the subcommand.
    const flags: KnowledgeFlags = { ...watching.optsWithGlobals(), watch: true };
    return execute(flags, (output) => dispatch(name, flags, output));
  });
}

async function dispatch(name: string | undefined, flags: KnowledgeFlags, output: Output): Promise<number> {
  if (name !== undefined && flags.agent !== undefined) {
    throw inputInvalid('--agent', 'left out where the name is given', flags.agent);
  }
  const agent = name ?? flags.agent;
  if (agent !== undefined) validName('agent', agent);
  if (flags.check) {
    if (agent !== undefined)
      throw inputInvalid('--check', 'given without a name: it compares all replicas', agent);
    if (flags.watch) throw inputInvalid('--check', 'given without --watch', true);
    return check(flags, output);
  }
  return flags.watch ? watch(agent, flags, output) : show(agent, flags, output);
}

async function show(agent: string | undefined, flags: KnowledgeFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const standing = await read(agent, session);
    if (standing === undefined) {
      output.value({ crdts: [] });
      output.line(agent === undefined ? nobodyWords(session.config.cadre) : notToldWords(agent));
      return EXIT.done;
    }
    const link = webUiLink(session.at, agentId(session.config.cadre, standing.member));
    output.value({ ...standing, ...(link === undefined ? {} : { webUi: link }) });
    write(standing, { link, all: flags.all ?? false }, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** Undefined where nobody, or the agent of that name, has a replica yet. */
async function read(agent: string | undefined, session: Session): Promise<KnowledgeStanding | undefined> {
  if (agent !== undefined) return readIfTold(agent, session, () => session.client.knowledge(agent));
  try {
    return await session.client.knowledge();
  } catch (error) {
    if (isNobody(error)) return undefined;
    throw error;
  }
}

function isNobody(error: unknown): boolean {
  return isCadreError(error) && error.type === 'AgentNotFound';
}

function nobodyWords(cadre: string): string {
  return `No agent of "${cadre}" knows anything yet: a task tells its agents at its end what they learnt (context.knowledge).`;
}

function write(
  { member, crdts }: KnowledgeStanding,
  { link, all }: { link: string | undefined; all: boolean },
  output: Output,
): void {
  const conflicts = crdts.flatMap(conflictsOf).length;
  const kept = conflicts === 0 ? '' : `; ${count(conflicts, 'concurrent value')} kept`;
  const entries = count(
    crdts.reduce((total, crdt) => total + crdt.entries.length, 0),
    'entry',
    'entries',
  );
  output.line(
    crdts.length === 0
      ? `${output.paint('bold', member)} knows nothing yet: an agent learns by context.knowledge.`
      : `${output.paint('bold', member)} knows ${count(crdts.length, 'CRDT')} with ${entries}${kept}`,
  );
  if (link !== undefined) output.line(`  Web UI  ${link}`);
  if (crdts.length === 0) return;
  output.table([['KIND', 'NAME', 'VALUE', 'BY', 'AT (UTC)'], ...crdts.flatMap((crdt) => rows(crdt, all))]);
}

function rows(crdt: CrdtStanding, all: boolean): string[][] {
  const { type, entries } = crdt;
  const newest = newestOf(crdt);
  const head = [type, plain(crdt.name)];
  if (newest === undefined) return [[...head, crdtWords(crdt), '', '']];
  if (isRegister(type)) {
    const [won, ...conflicts] = entryRows(type, newest);
    return [[...head, ...(won ?? [])], ...conflicts.map((row) => ['', '', ...row])];
  }
  const shown = all ? entries.length : isCollection(type) ? ENTRIES_SHOWN : 0;
  const more = isCollection(type) ? entries.length - shown : 0;
  const listed = entries
    .toReversed()
    .slice(0, shown)
    .flatMap((entry) => entryRows(type, entry));
  return [
    [...head, crdtWords(crdt), byWords(newest), stamp(newest.at)],
    ...listed.map(([value, by, at]) => ['', '', `  ${value}`, by, at]),
    ...(more > 0 ? [['', '', `  … ${more} more: --all`, '', '']] : []),
  ];
}

async function check(flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const checked = await session.client.checkKnowledge();
    output.value(checked);
    if (checked.replicas.length === 0) {
      output.line(nobodyWords(session.config.cadre));
      return EXIT.done;
    }
    if (checked.agree) {
      const { crdts } = await session.client.knowledge().catch(() => ({ crdts: [] }));
      output.line(`${output.paint('green', '✓')} ${agreementLine(checked, crdts)}`);
      return EXIT.done;
    }
    output.line(`${output.paint('yellow', '!')} ${agreementLine(checked)}`);
    const lacking = checked.replicas.flatMap((replica) => {
      const words = lackWords(replica);
      return words === undefined ? [] : [[replica.member, words]];
    });
    output.table([['REPLICA', 'LACKS'], ...lacking]);
    return EXIT.failed;
  } finally {
    await session.close();
  }
}

function watch(agent: string | undefined, flags: CommonFlags, output: Output): Promise<number> {
  const told = new Told();
  return watchUntilInterrupted<KnowledgeStanding | undefined>(flags, output, {
    changes: (client, signal) => changes(client, agent, signal),
    tell(standing) {
      output.value(standing ?? { crdts: [] });
      for (const line of told.next(standing)) output.line(`${instant(Date.now())}  ${line}`);
    },
    away: () => 'the server does not answer',
  });
}

/** What is known, at first and at each change; undefined while nobody has a replica. */
async function* changes(
  client: CadreClient,
  agent: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<KnowledgeStanding | undefined> {
  let toldOfNobody = false;
  while (!signal.aborted) {
    try {
      for await (const standing of client.watchKnowledge(agent, { signal })) {
        toldOfNobody = false;
        yield standing;
      }
    } catch (error) {
      if (!isNobody(error)) throw error;
      if (!toldOfNobody) yield undefined;
      toldOfNobody = true;
      await delay(BEGIN_INTERVAL, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** What a watch has told, so that it tells of each change once. */
class Told {
  private last: ReadonlyMap<string, CrdtStanding> | undefined;
  private readonly words = new Map<string, string>();

  /** The lines that `standing` adds. What was written again, and is what it was, adds none. */
  next(standing: KnowledgeStanding | undefined): string[] {
    const before = this.last ?? new Map<string, CrdtStanding>();
    const isFirst = this.last === undefined;
    const now = new Map((standing?.crdts ?? []).map((crdt) => [placeWords(crdt), crdt]));
    this.last = now;
    if (now.size === 0 && (isFirst || before.size > 0)) {
      this.words.clear();
      return [standing === undefined ? 'nothing is known: there is no replica' : 'nothing is known'];
    }
    const gone = [...before.keys()].filter((place) => !now.has(place));
    return [
      ...[...now].flatMap(([place, crdt]) => {
        const words = change(before.get(place), crdt);
        return words === undefined ? [] : this.say(place, words);
      }),
      ...gone.flatMap((place) => this.say(place, 'nothing is left in it')),
    ];
  }

  private say(place: string, words: string): string[] {
    if (this.words.get(place) === words) return [];
    this.words.set(place, words);
    return [`${place}  ${words}`];
  }
}

/** What became of a CRDT that was `before`; undefined where nothing did. */
function change(before: CrdtStanding | undefined, now: CrdtStanding): string | undefined {
  if (JSON.stringify(before?.entries) === JSON.stringify(now.entries)) return undefined;
  const known = new Map((before?.entries ?? []).map((entry) => [entry.key, JSON.stringify(entry)]));
  const written = now.entries.filter((entry) => known.get(entry.key) !== JSON.stringify(entry));
  const gone = known.size - now.entries.filter(({ key }) => known.has(key)).length;
  return [...changeWords(now, written.at(-1)), ...(gone === 0 ? [] : [`${gone} gone`])].join(', ');
}

/** What a CRDT has become; `last` was written last. */
function changeWords(crdt: CrdtStanding, last: EntryStanding | undefined): string[] {
  if (last === undefined) return [crdtWords(crdt)];
  const written = entryRows(crdt.type, last)
    .map(([value, by]) => `${value} by ${by}`)
    .join('; ');
  if (isCollection(crdt.type)) return [crdtWords(crdt), `the newest ${written}`];
  return isRegister(crdt.type) ? [written] : [crdtWords(crdt), `by ${byWords(last)}`];
}

function placeWords({ type, name }: CrdtStanding): string {
  return `${plain(name)} (${type})`;
}
