/** Agents, their replicas and what these know in words, for tables and lines. */
import { REPLICA_MAXIMUM_BYTES } from '../core/agent/agent-state';
import type {
  AgentStanding,
  CrdtStanding,
  EntryStanding,
  KnowledgeCheck,
  ReplicaStanding,
  Written,
} from '../client/agent-standing';
import type { CrdtName } from '../core/crdt/types';
import { assertNever } from '../core/json';
import { oneLine } from '../core/one-line';
import { clock } from './breaker-words';
import { count, size, stamp } from './output';

const CELL_MAXIMUM_LENGTH = 60;
/** How many names, refusals or replicas a line lists. */
const LISTED = 5;

/** A value or a text of an agent's in one cell: it may be long, and have any characters. */
export function plain(text: string): string {
  return oneLine(text, CELL_MAXIMUM_LENGTH);
}

/** A value as JSON, in one cell. */
export function valueText(value: unknown): string {
  return plain(JSON.stringify(value));
}

/** A replica's facts, as labels and texts. */
export function replicaFacts(replica: ReplicaStanding): [string, string][] {
  const { remembered, rememberedAt, bytes, versionVector, beyondGaps, members, historyLength } = replica;
  const last = rememberedAt === undefined ? '' : `, the last at ${clock(rememberedAt)}`;
  const share = `${((100 * bytes) / REPLICA_MAXIMUM_BYTES).toFixed(1)} %`;
  const vector = Object.entries(versionVector).map(([writer, counter]) => `${writer} ${counter}`);
  const gaps = beyondGaps === 0 ? '' : `; ${beyondGaps} more came before others that are missing`;
  return [
    ['tasks', `${remembered}${last}`],
    ['knowledge', `${knownEntries(replica)}, ${size(bytes)} of ${size(REPLICA_MAXIMUM_BYTES)} (${share})`],
    ['version vector', `${vector.length === 0 ? 'empty' : vector.join(', ')}${gaps}`],
    ['members', members.length === 0 ? 'none' : members.join(', ')],
    ...refusalFacts(replica),
    ['unread', unreadWords(replica)],
    ['history', `${count(historyLength, 'event')} in this run`],
  ];
}

/** How many entries it knows. */
export function knownEntries({ entries }: Pick<ReplicaStanding, 'entries'>): string {
  return count(entries, 'entry', 'entries');
}

function refusalFacts({ refused, refusals }: ReplicaStanding): [string, string][] {
  const shown = refusals.slice(-LISTED).toReversed();
  const first: [string, string] = [
    'refused',
    refused === 0 ? 'none' : `${count(refused, 'message')}, the last:`,
  ];
  return [
    first,
    ...shown.map(({ at, from, why }): [string, string] => [
      '',
      `${clock(at)} ${from === '' ? '' : `from ${plain(from)}: `}${oneLine(why, WHY_MAXIMUM_LENGTH)}`,
    ]),
  ];
}

const WHY_MAXIMUM_LENGTH = 160;

function unreadWords({ unread }: ReplicaStanding): string {
  return unread === 0
    ? 'none'
    : `${count(unread, 'message')} of a later version, kept until a worker that knows it runs workflows`;
}

/** What of an agent asks for a look at it; undefined where all is well. */
export function concern({ agent, replicas }: AgentStanding): string | undefined {
  const refused = sum(replicas.map((one) => one.refused));
  const unread = sum(replicas.map((one) => one.unread));
  const parts = [
    ...(refused === 0 ? [] : [`has refused ${count(refused, 'message')}`]),
    ...(unread === 0 ? [] : [`has ${count(unread, 'message')} of a later version unread`]),
  ];
  return parts.length === 0 ? undefined : `${agent} ${parts.join(' and ')}: see cadre agent ${agent}`;
}

/** Whether what stands under a kind's keys are elements of a collection, rather than the parts of one value. */
export function isCollection(type: CrdtName): boolean {
  switch (type) {
    case 'gSet':
    case 'orSet':
    case 'lwwMap':
    case 'orMap':
    case 'appendLog':
      return true;
    case 'gCounter':
    case 'pnCounter':
    case 'lwwRegister':
    case 'mvRegister':
      return false;
    default:
      return assertNever(type);
  }
}

export function isRegister(type: CrdtName): boolean {
  return type === 'lwwRegister' || type === 'mvRegister';
}

/** Whether values that were written concurrently stand side by side, rather than one before the others. */
function keepsAll(type: CrdtName): boolean {
  return type === 'mvRegister' || type === 'orMap';
}

/** A CRDT's value in a few words: of a collection how much is in it, of a counter its sum, of a register all that is read. */
export function crdtWords(crdt: CrdtStanding): string {
  const { type, value, entries } = crdt;
  if (isCollection(type)) return count(entries.length, 'entry', 'entries');
  if (type !== 'mvRegister') return valueText(value);
  const [entry] = entries;
  const all = entry === undefined ? [] : [entry, ...entry.conflicts];
  return all.map((one) => valueText(one.value)).join(' | ');
}

/** What a CRDT has beside the entry that won: values that were written concurrently. */
export function conflictsOf({ type, entries }: CrdtStanding): { entry: EntryStanding; conflict: Written }[] {
  // Under the key of an element of a set is that element, whoever added it.
  if (type === 'gSet' || type === 'orSet') return [];
  return entries.flatMap((entry) => entry.conflicts.map((conflict) => ({ entry, conflict })));
}

/** An entry of a CRDT and, below it, what was written concurrently: value, writers, time. */
export function entryRows(type: CrdtName, entry: EntryStanding): [string, string, string][] {
  const isMap = type === 'lwwMap' || type === 'orMap';
  const text = (value: unknown, more = ''): string =>
    isMap ? plain(`${entry.key}: ${JSON.stringify(value)}${more}`) : `${valueText(value)}${more}`;
  if (type === 'gCounter' || type === 'pnCounter') {
    return [[counterShare(entry), byWords(entry), stamp(entry.at)]];
  }
  if (type === 'gSet' || type === 'orSet') {
    const writers = [...new Set([entry.by, ...entry.conflicts.map(({ by }) => by)])];
    return [[text(entry.value), writers.join(', '), stamp(entry.at)]];
  }
  const also = keepsAll(type) ? ' (concurrent)' : ' (concurrent, did not win)';
  return [
    [text(entry.value), byWords(entry), stamp(entry.at)],
    ...entry.conflicts.map((one): [string, string, string] => [
      `${text(one.value)}${also}`,
      byWords(one),
      stamp(one.at),
    ]),
  ];
}

/** What one writer has added to a counter, and taken away. */
function counterShare({ value }: EntryStanding): string {
  if (!Array.isArray(value)) return JSON.stringify(value);
  const [plus, minus] = value;
  return `+${JSON.stringify(plus)} -${JSON.stringify(minus)}`;
}

/** Who wrote a value, and in which term where a leader decided it. */
export function byWords({ by, term }: Written): string {
  return term === undefined ? plain(by) : `${plain(by)} (term ${term})`;
}

/** The entry that was written last; undefined where there is none. */
export function newestOf({ entries }: CrdtStanding): EntryStanding | undefined {
  return entries.at(-1);
}

/** Whether all replicas know the same, in a line: with what they know, or who lacks how much. */
export function agreementLine(
  { agree, replicas }: KnowledgeCheck,
  crdts: readonly CrdtStanding[] = [],
): string {
  const { length } = replicas;
  if (agree) {
    const sizes = crdts.map((crdt) => `${plain(crdt.name)} ${shortValue(crdt)}`);
    const known = sizes.length === 0 ? '' : `: ${listed(sizes)}`;
    return length === 1 ? `1 replica, alone${known}` : `${length} replicas agree${known}`;
  }
  const behind = replicas.filter((one) => one.differs || one.busy || lackedBy(one) > 0);
  const words = behind.map((one) => {
    if (lackedBy(one) > 0) return `${one.member} lacks ${count(lackedBy(one), 'operation')}`;
    return one.differs ? `${one.member} differs` : `${one.member} has yet to take what has come`;
  });
  return `${length - behind.length} of ${length} replicas agree, ${listed(words)}`;
}

function shortValue(crdt: CrdtStanding): string {
  return isCollection(crdt.type) ? String(crdt.entries.length) : crdtWords(crdt);
}

/** What a replica lacks of whom, or may lack; undefined where it lacks nothing. */
export function lackWords({ lacks, differs, busy }: KnowledgeCheck['replicas'][number]): string | undefined {
  const parts = Object.entries(lacks).map(
    ([writer, operations]) => `${count(operations, 'operation')} of ${writer}`,
  );
  if (differs) parts.push('knows something else, having seen the same: that must never be, please report it');
  if (busy) parts.push('what has come since (a worker takes it: `cadre worker`)');
  return parts.length === 0 ? undefined : parts.join(', ');
}

function lackedBy({ lacks }: KnowledgeCheck['replicas'][number]): number {
  return sum(Object.values(lacks));
}

function listed(parts: readonly string[]): string {
  const more = parts.length - LISTED;
  return `${parts.slice(0, LISTED).join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
