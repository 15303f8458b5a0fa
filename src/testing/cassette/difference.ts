/** How alike two JSON values are, and where they first differ. */
import { isRecord, shownJson } from '../../core/json';

export interface Difference {
  /** Such as `messages[1].content`; lists count from 0. */
  readonly at: string;
  /** The JSON of it, or what of a long text is around the first character that differs; `nothing` where there is none. */
  readonly recorded: string;
  readonly asked: string;
}

/** The first one, in the order of the fields' names; undefined where the values are equal. */
export function firstDifference(recorded: unknown, asked: unknown, at = ''): Difference | undefined {
  const parts = partsOf(recorded, asked);
  if (parts === undefined) return recorded === asked ? undefined : { at, ...shownBoth(recorded, asked) };
  for (const [name, one, other] of parts) {
    const path = typeof name === 'number' ? `${at}[${name}]` : at === '' ? name : `${at}.${name}`;
    const difference = firstDifference(one, other, path);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/** From 0 (nothing alike) to 1 (equal): the share of fields that are, of texts the share of the same beginning. */
export function likeness(a: unknown, b: unknown): number {
  const { alike, of } = compared(a, b);
  return of === 0 ? 1 : alike / of;
}

function compared(a: unknown, b: unknown): { readonly alike: number; readonly of: number } {
  const parts = partsOf(a, b);
  if (parts !== undefined) {
    return parts
      .map(([, one, other]) => compared(one, other))
      .reduce((sum, { alike, of }) => ({ alike: sum.alike + alike, of: sum.of + of }), { alike: 0, of: 0 });
  }
  if (a === b) return { alike: 1, of: 1 };
  if (typeof a !== 'string' || typeof b !== 'string') return { alike: 0, of: leavesOf(a) + leavesOf(b) };
  return { alike: sameStart(a, b) / Math.max(a.length, b.length), of: 1 };
}

type Part = readonly [name: string | number, a: unknown, b: unknown];

/** The fields of two objects or the items of two lists; undefined where there are none to compare. */
function partsOf(a: unknown, b: unknown): readonly Part[] | undefined {
  if (Array.isArray(a) && Array.isArray(b)) {
    return Array.from({ length: Math.max(a.length, b.length) }, (_, index) => [index, a[index], b[index]]);
  }
  if (!isRecord(a) || !isRecord(b)) return undefined;
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return names.map((name) => [name, a[name], b[name]]);
}

function leavesOf(value: unknown): number {
  if (value === undefined) return 0;
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((sum, item) => sum + leavesOf(item), 0);
}

const SHOWN_BEFORE = 20;
const SHOWN_AFTER = 50;

function shownBoth(recorded: unknown, asked: unknown): Pick<Difference, 'recorded' | 'asked'> {
  if (typeof recorded !== 'string' || typeof asked !== 'string') {
    return { recorded: shownJson(recorded), asked: shownJson(asked) };
  }
  const from = Math.max(0, sameStart(recorded, asked) - SHOWN_BEFORE);
  return { recorded: excerpt(recorded, from), asked: excerpt(asked, from) };
}

function excerpt(text: string, from: number): string {
  const to = from + SHOWN_BEFORE + SHOWN_AFTER;
  return JSON.stringify(`${from > 0 ? '…' : ''}${text.slice(from, to)}${to < text.length ? '…' : ''}`);
}

/** How many characters two texts begin with alike. */
function sameStart(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let index = 0; index < end; index += 1) if (a[index] !== b[index]) return index;
  return end;
}
