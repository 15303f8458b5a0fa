import { stem } from './stem';
import { isStopWord } from './stop-words';
import { type Word, words } from './words';

/** A number in a sentence and what it counts. */
export interface Quantity {
  readonly value: number;
  /** Stems of what is counted: `time` for all durations (in seconds), a currency, `%`, or up to two nouns. */
  readonly of: readonly string[];
  /** As it is written, such as `30 seconds`. */
  readonly text: string;
  /** Where it is written, with the unit of a duration or an amount, without the nouns of other things. */
  readonly from: number;
  readonly to: number;
}

const NUMBER_WORDS = new Map(
  'one two three four five six seven eight nine ten eleven twelve'
    .split(' ')
    .map((word, index) => [word, index + 1]),
);
for (const [word, value] of [
  ['twenty', 20],
  ['thirty', 30],
  ['forty', 40],
  ['fifty', 50],
  ['sixty', 60],
  ['ninety', 90],
] as const) {
  NUMBER_WORDS.set(word, value);
}
/** Seconds. */
const DURATIONS = new Map<string, number>([
  ['ms', 0.001],
  ['millisecond', 0.001],
  ['s', 1],
  ['sec', 1],
  ['second', 1],
  ['min', 60],
  ['minute', 60],
  ['h', 3600],
  ['hour', 3600],
  ['day', 86_400],
  ['week', 604_800],
  ['month', 2_592_000],
  ['quarter', 7_776_000],
  ['year', 31_536_000],
]);
/** Words that stand between a number and what it counts. */
const BETWEEN = new Set([
  'consecutive',
  'successive',
  'full',
  'whole',
  'working',
  'business',
  'calendar',
  'different',
  'further',
  'additional',
]);
const CURRENCY =
  /([€$£¥])\s?(\d[\d,]*(?:\.\d+)?)|(\d[\d,]*(?:\.\d+)?)\s?([€£¥%]|per cent\b|percent\b|(?:euros?|dollars?|pounds?)\b)/giu;
const CURRENCY_WORDS = new Map([
  ['euro', '€'],
  ['dollar', '$'],
  ['pound', '£'],
  ['per cent', '%'],
  ['percent', '%'],
]);
/** `0-based` and `5-star` count nothing; `30-second` is a duration. */
const HYPHEN = /[\u2010\u2011-]/;
const CODE = /`[^`]*`/g;

/** The quantities of a sentence. Versions, dates, times of day, labels (`SEV 1`) and code are none. */
export function quantities(sentence: string): Quantity[] {
  const text = sentence.replace(CODE, (code) => ' '.repeat(code.length));
  const symbols = symbolQuantities(text);
  const found = words(text);
  const counted = found.flatMap((word, at) => {
    if (symbols.some((symbol) => word.from >= symbol.from && word.from < symbol.to)) return [];
    const quantity = countedQuantity(found, at, text);
    return quantity === undefined ? [] : [quantity];
  });
  return [...symbols, ...counted];
}

function symbolQuantities(text: string): Quantity[] {
  return [...text.matchAll(CURRENCY)].map((match) => {
    const symbol = (match[1] ?? match[4] ?? '').toLowerCase();
    const value = Number((match[2] ?? match[3] ?? '').replace(/,/g, ''));
    const of = [CURRENCY_WORDS.get(symbol.replace(/s$/, '')) ?? symbol];
    return { value, of, text: match[0], from: match.index, to: match.index + match[0].length };
  });
}

function countedQuantity(found: readonly Word[], at: number, text: string): Quantity | undefined {
  const word = found[at];
  if (word === undefined) return undefined;
  const attached = /^(\d+(?:\.\d+)?)(ms|s|sec|min|h)$/.exec(word.text);
  if (attached !== null) return duration(word, word, Number(attached[1]), attached[2] ?? 's', text);
  const [value, last] = numberAt(found, at, text);
  if (value === undefined) return undefined;
  const following = nounsAfter(found, last, text);
  const unit = following.find((noun) => durationOf(noun) !== undefined);
  if (unit !== undefined) return duration(word, unit, value, unit.text, text);
  const noun = following.at(-1);
  if (noun === undefined || HYPHEN.test(text[found[last]?.to ?? 0] ?? '')) return undefined;
  return {
    value,
    of: following.map((one) => stem(one.text)),
    text: text.slice(word.from, noun.to),
    from: word.from,
    to: found[last]?.to ?? word.to,
  };
}

/** The number that begins at `at`, and the index of its last word: `10,000` is two words. */
function numberAt(found: readonly Word[], at: number, text: string): [number | undefined, number] {
  const word = found[at];
  if (word === undefined || isLabel(found, at, text) || /[-:/.,#§]/.test(text[word.from - 1] ?? ''))
    return [undefined, at];
  const spelled = NUMBER_WORDS.get(word.text);
  if (spelled !== undefined) return [spelled, at];
  if (!/^\d+(?:\.\d+)?$/.test(word.text) || /[:/]/.test(text[word.to] ?? '')) return [undefined, at];
  const thousands = found[at + 1];
  if (
    thousands !== undefined &&
    text.slice(word.to, thousands.from) === ',' &&
    /^\d{3}$/.test(thousands.text)
  ) {
    return [Number(word.text + thousands.text), at + 1];
  }
  return [Number(word.text), at];
}

/** `SEV 1` and `Node 20` name something: the number follows a capital inside the sentence. */
function isLabel(found: readonly Word[], at: number, text: string): boolean {
  const previous = found[at - 1];
  const word = found[at];
  if (previous === undefined || word === undefined || word.from - previous.to !== 1) return false;
  const written = text.slice(previous.from, previous.to);
  return /^\p{Lu}{2}/u.test(written) || (at > 1 && /^\p{Lu}/u.test(written));
}

/** What is counted: the next one or two words, up to a stop word or a mark. */
function nounsAfter(found: readonly Word[], at: number, text: string): Word[] {
  const nouns: Word[] = [];
  let end = found[at]?.to ?? 0;
  for (const word of found.slice(at + 1, at + 4)) {
    if (!/^[ \u00a0\u2010\u2011-]$/.test(text.slice(end, word.from))) break;
    if (isStopWord(word.text) || !/^\p{L}/u.test(word.text)) break;
    end = word.to;
    if (BETWEEN.has(word.text)) continue;
    nouns.push(word);
    if (nouns.length === 2 || durationOf(word) !== undefined) break;
  }
  return nouns;
}

function durationOf(word: Word): number | undefined {
  return DURATIONS.get(word.text) ?? DURATIONS.get(word.text.replace(/s$/, ''));
}

function duration(first: Word, last: Word, value: number, unit: string, text: string): Quantity {
  const seconds = DURATIONS.get(unit) ?? DURATIONS.get(unit.replace(/s$/, '')) ?? 1;
  return {
    value: value * seconds,
    of: ['time'],
    text: text.slice(first.from, last.to),
    from: first.from,
    to: last.to,
  };
}
