/**
 * Sagas that are declared in a file, in YAML or JSON: the text to a {@link SagaInput}, or what is wrong with it and
 * where. What a saga may be is `core/saga-input.ts`'s to say; this module adds what texts have and values have not:
 * syntax, positions, and durations in words.
 */
import { open } from 'node:fs/promises';
import { msToNumber } from '@temporalio/common/lib/time';
import {
  type Document,
  LineCounter,
  type Node,
  type ParsedNode,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  parseDocument,
  visit,
} from 'yaml';
import { CadreError } from '../core/failures';
import { isDeeperThan, isRecord } from '../core/json';
import { type SagaInput, type SagaProblem, sagaProblems } from '../core/saga-input';

/** One thing that is wrong with a saga's file. */
export interface SagaFileProblem {
  /** `Unreadable`: the file; `Syntax`: the text is no YAML or JSON; else as for a {@link SagaInput}. */
  readonly code: SagaProblem['code'] | 'Unreadable' | 'Syntax';
  /** From 1; 1 and 1 where it is the whole file. */
  readonly line: number;
  readonly column: number;
  /** Such as `steps[2].agent`; empty where it is the whole. */
  readonly field: string;
  /** The step it is about, where it is about one. */
  readonly step?: string;
  /** What is wrong, with what was expected. */
  readonly message: string;
}

/** A file's text as a saga: its input where nothing is wrong with it. */
export type SagaText = {
  /** In the order of the text, at most 500. */
  readonly problems: readonly SagaFileProblem[];
  /** Where in the text something of the input stands, such as `['steps', 2, 'agent']`: it, or what it would be part of. */
  readonly place: (path: Path) => Place;
} & ({ readonly kind: 'saga'; readonly input: SagaInput } | { readonly kind: 'refused' });

export type Path = readonly (string | number)[];

export interface Place {
  readonly line: number;
  readonly column: number;
}

export const SAGA_FILE_MAXIMUM_BYTES = 1024 * 1024;
/** More aliases than this, counted with those inside of what they stand for, is taken for an attack. */
const ALIASES_MAXIMUM = 1000;
const DEPTH_MAXIMUM = 100;
/** Nobody reads more. */
const PROBLEMS_MAXIMUM = 500;
const PROBLEMS_SHOWN = 5;
const PROBLEMS_KEPT = 50;

/**
 * Reads a saga's file. Throws InputInvalid or PlanInvalid: the message has the first problems, `details` is the list of
 * {@link SagaFileProblem}.
 */
export async function readSagaFile(path: string): Promise<SagaInput> {
  return sagaOrThrow(await loadSagaFile(path), path);
}

/** The input of a text without problems. Throws InputInvalid or PlanInvalid; `name` stands before each problem. */
export function sagaOrThrow(text: SagaText, name: string): SagaInput {
  if (text.kind === 'saga') return text.input;
  const { problems } = text;
  const lines = problems.slice(0, PROBLEMS_SHOWN).map((problem) => problemText(name, problem));
  const more = problems.length - lines.length;
  const ofPlan = problems.every(
    ({ code }) => code !== 'InputInvalid' && code !== 'Unreadable' && code !== 'Syntax',
  );
  throw new CadreError(
    ofPlan ? 'PlanInvalid' : 'InputInvalid',
    lines.join('\n') + (more > 0 ? `\nand ${more} more` : ''),
    { details: problems.slice(0, PROBLEMS_KEPT) },
  );
}

/** A problem on one line: `publish.yaml:12:5 steps[2].agent: expected an agent's name, got 5`. */
export function problemText(name: string, { code, line, column, field, message }: SagaFileProblem): string {
  if (code === 'Unreadable') return `${name}: ${message}`;
  return `${name}:${line}:${column} ${field === '' ? '' : `${field}: `}${message}`;
}

/** Reads and checks a saga's file; a file that cannot be read is a problem of its own. */
export async function loadSagaFile(path: string): Promise<SagaText> {
  try {
    return parseSaga(await readText(path));
  } catch (error) {
    return refusal([{ code: 'Unreadable', ...START, field: '', message: reasonOf(error) }]);
  }
}

/** No more is read than may be, whatever the file is: a device has no end. */
async function readText(path: string): Promise<string> {
  const file = await open(path);
  try {
    if ((await file.stat()).isDirectory()) throw new Error('it is a folder');
    const buffer = Buffer.alloc(SAGA_FILE_MAXIMUM_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
      if (length > SAGA_FILE_MAXIMUM_BYTES) {
        throw new Error(`it is larger than ${SAGA_FILE_MAXIMUM_BYTES} bytes: pass large inputs by path`);
      }
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length));
  } finally {
    await file.close();
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'it may not be read';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'expected a text in UTF-8';
  return message;
}

const START: Place = { line: 1, column: 1 };

function refusal(problems: readonly SagaFileProblem[]): SagaText {
  return { kind: 'refused', problems, place: () => START };
}

/** Checks a text in YAML or JSON. */
export function parseSaga(text: string): SagaText {
  const lines = new LineCounter();
  // No tags, since only what JSON has can travel; and none of YAML 1.1's, whatever a directive says.
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    schema: 'core',
    resolveKnownTags: false,
    // Quadratic in the fields of an object; `notJson` looks for duplicates.
    uniqueKeys: false,
    logLevel: 'error',
  });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return line < 1 ? START : { line, column: col };
  };
  const malformed = [
    ...[...document.errors, ...document.warnings].map(({ code, message, pos }) => ({
      offset: pos[0],
      message: MESSAGES[code] ?? message,
    })),
    ...(document.errors.length > 0 ? [] : notJson(document)),
  ].map(({ offset, message }) => ({ code: 'Syntax' as const, ...placeAt(offset), field: '', message }));
  if (malformed.length > 0) return refusal(inOrder(malformed));
  const place = (path: Path): Place => placeAt(offsetOf(document, path));
  const { value, problem } = valueOf(document);
  if (problem !== undefined) return refusal([{ code: 'Syntax', ...START, field: '', message: problem }]);
  const { input, misread } = withDurations(value);
  const problems = [
    ...misread,
    ...allProblems(input).filter(
      ({ path = [] }) => !misread.some((one) => fieldName(one.path) === fieldName(path)),
    ),
  ]
    .slice(0, PROBLEMS_MAXIMUM)
    .map((found) => fileProblem(found, value, place));
  return problems.length === 0
    ? { kind: 'saga', problems, place, input: input as SagaInput }
    : { kind: 'refused', problems: inOrder(problems), place };
}

/** Messages of the parser that say too little to somebody who writes a saga. */
const MESSAGES: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'expected one document, and here begins another: give each saga a file of its own',
  TAB_AS_INDENT: 'expected spaces, got a tab',
  RESOURCE_EXHAUSTION: 'lists and objects hold each other too deep',
};

interface Malformed {
  readonly offset: number;
  readonly message: string;
}

/** What YAML has and JSON has not. */
function notJson(document: Document): Malformed[] {
  const found: Malformed[] = [];
  const add = (node: Node | null, message: string): void => {
    found.push({ offset: node?.range?.[0] ?? 0, message });
  };
  visit(document, {
    Alias(_key, alias, above) {
      const target = alias.resolve(document);
      if (target === undefined) add(alias, `there is no anchor &${alias.source} before it`);
      else if (above.includes(target)) add(alias, `*${alias.source} stands within what it stands for`);
    },
    Map(_key, { items }) {
      const names = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (names.has(key.value)) add(key, 'this field is there already: expected each once');
        names.add(key.value);
      }
    },
    Pair(_key, { key }) {
      if (isScalar(key) && typeof key.value === 'string') return;
      add(isNode(key) ? key : null, 'expected a text as the name of a field: put it into quotes');
    },
    Scalar(_key, node) {
      const { value, source } = node;
      if (typeof value !== 'number') return;
      if (!Number.isFinite(value)) add(node, `${source ?? value} is no number that JSON has`);
      else if (/^[-+]?\d+$/.test(source ?? '') && String(value) !== digitsOf(source ?? '')) {
        add(node, `${source} has more digits than a number can hold: put it into quotes`);
      }
    },
  });
  return found;
}

/** A whole number as JSON writes it. */
function digitsOf(source: string): string {
  return source.replace(/^\+/, '').replace(/^(-?)0+(?=\d)/, '$1');
}

function valueOf(document: Document.Parsed): { value?: unknown; problem?: string } {
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    return { problem: 'expected a saga with `name` and `steps`, got an empty file' };
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAXIMUM });
    if (!isDeeperThan(value, DEPTH_MAXIMUM)) return { value };
    return { problem: `expected at most ${DEPTH_MAXIMUM} levels of lists and objects` };
  } catch (error) {
    // The parser throws it for aliases of aliases that multiply.
    return error instanceof ReferenceError
      ? { problem: 'aliases stand for too much: write out what they stand for' }
      : { problem: error instanceof Error ? error.message : String(error) };
  }
}

type Found = Pick<SagaProblem, 'code' | 'path' | 'step' | 'message'>;

/** Of the input as a whole and of its steps; the core reports the latter only where the former is well. */
function allProblems(input: unknown): readonly Found[] {
  const found: readonly Found[] = sagaProblems(input).filter(({ code }) => code !== 'NotAPlan');
  if (!isRecord(input)) return found;
  const { steps } = input;
  if (!Array.isArray(steps)) {
    const message = `Expected steps to be a list of steps, got ${shown(steps)}`;
    return [...found, { code: 'NotAPlan', path: ['steps'], message }];
  }
  if (found.some(({ code }) => code === 'DuplicateStep')) {
    // A step needs the one before it, which by its id it may be itself.
    return found.filter(({ code }) => code !== 'CyclicNeeds');
  }
  if (found.every(({ code }) => code !== 'InputInvalid')) return found;
  const known = new Set(found.map(({ message }) => message));
  return [...found, ...sagaProblems({ name: 'steps', steps }).filter(({ message }) => !known.has(message))];
}

/** Turns a problem of the input into one of the text. `value` is the input as it was written. */
function fileProblem(
  { code, path = [], step, message }: Found,
  value: unknown,
  place: (path: Path) => Place,
): SagaFileProblem {
  const field = fieldName(path);
  const known = `Expected ${field} to be `;
  // The core's message names the field, and shows a duration in milliseconds where a text may have been written.
  const words = message.startsWith(known) ? `expected ${message.slice(known.length)}` : message;
  const text = isDuration(path)
    ? words.replace(
        /^expected .*?( from \d+ to \d+)?, got .*$/s,
        'expected milliseconds$1, or a text such as "30 s"',
      ) + `, got ${shown(valueIn(value, path))}`
    : words.replace(' (or give `vote`)', '');
  return { code, ...place(path), field, ...(step === undefined ? {} : { step }), message: text };
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
}

function fieldName(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
}

function inOrder(problems: readonly SagaFileProblem[]): SagaFileProblem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** The value at `path`; undefined where there is none. */
function valueIn(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((of, part) => {
    if (Array.isArray(of)) return of[Number(part)];
    return isRecord(of) && Object.hasOwn(of, part) ? of[part] : undefined;
  }, value);
}

/**
 * Where `path` stands in the text: a field by its name, an item by its beginning; of what is not there, what it would be
 * part of.
 */
function offsetOf(document: Document.Parsed, path: Path): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const part of path) {
    const collection = isAlias(node) ? node.resolve(document) : node;
    if (isMap<ParsedNode, ParsedNode | null>(collection)) {
      const pair = collection.items.find(({ key }) => isScalar(key) && key.value === part);
      if (!isPair(pair)) break;
      offset = pair.key.range[0];
      node = pair.value;
    } else if (isSeq<ParsedNode>(collection)) {
      const item = collection.items[Number(part)];
      if (item === undefined) break;
      offset = item.range[0];
      node = item;
    } else break;
  }
  return offset;
}

const ANY = '*';
const NO_DURATION = Symbol('no duration');

/** What may be written shorter in a file than in an input: where, and what it stands for. */
interface Shorthand {
  readonly path: Path;
  readonly read: (value: unknown) => unknown;
}

const DURATIONS: readonly Path[] = [
  ['timeLimit'],
  ...['answerWithin', 'validFor'].map((field) => ['steps', ANY, 'approval', field]),
  ...['startToClose', 'heartbeatTimeout', 'scheduleToClose', 'scheduleToStart'].map((field) => [
    'steps',
    ANY,
    'policy',
    field,
  ]),
  ...['initialInterval', 'maximumInterval'].map((field) => ['steps', ANY, 'policy', 'retry', field]),
];

const SHORTHANDS: readonly Shorthand[] = [
  ...DURATIONS.map((path) => ({ path, read: readDuration })),
  { path: ['steps', ANY, 'approval'], read: (value) => (value === true ? {} : value) },
  {
    path: ['steps', ANY, 'policy', 'retry', 'maximumAttempts'],
    read: (value) => (value === 'unlimited' ? 0 : value),
  },
];

/** Milliseconds of a text such as `30 s`; what is no text stays as it is. */
function readDuration(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return msToNumber(value);
  } catch {
    return NO_DURATION;
  }
}

/** The input with what is short in a file written out; `misread` are texts that are no durations. */
function withDurations(value: unknown): { input: unknown; misread: readonly Misread[] } {
  const misread: Misread[] = [];
  const read = (given: unknown, path: Path): unknown => {
    const rules = SHORTHANDS.filter((one) => startsWith(one.path, path));
    const rule = rules.find((one) => one.path.length === path.length);
    const meant = rule === undefined ? given : rule.read(given);
    if (meant === NO_DURATION) {
      misread.push({
        code: 'InputInvalid',
        path,
        message: `Expected ${fieldName(path)} to be a duration, got no duration`,
      });
      return given;
    }
    if (rules.length === 0) return meant;
    if (Array.isArray(meant)) return meant.map((item, index) => read(item, [...path, index]));
    if (!isRecord(meant)) return meant;
    return Object.fromEntries(
      Object.entries(meant).map(([field, inner]) => [field, read(inner, [...path, field])]),
    );
  };
  if (!isRecord(value)) return { input: value, misread };
  // Editors find the schema of a JSON file by this field.
  const { $schema, ...input } = value;
  return { input: read(typeof $schema === 'string' ? input : value, []), misread };
}

type Misread = Found & { readonly path: Path };

function startsWith(pattern: Path, path: Path): boolean {
  return (
    pattern.length >= path.length &&
    path.every((part, index) => pattern[index] === ANY || pattern[index] === part)
  );
}

function isDuration(path: Path): boolean {
  return DURATIONS.some((pattern) => pattern.length === path.length && startsWith(pattern, path));
}
