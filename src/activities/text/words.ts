import { stem } from './stem';
import { isStopWord } from './stop-words';

/** A word in lower case and where it stands. */
export interface Word {
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

/** Letters and digits, also divided by `.`, `_` or an apostrophe: `node.js`, `client_cert_path`, `v20.3.0`. */
const WORD = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:[._'’][\p{L}\p{M}\p{N}]+)*/gu;
/** Scripts that are written without spaces: only a dictionary finds their words. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const PARTICLES = new Set(['over', 'out', 'up', 'down', 'off', 'back']);
/** Segmenting a very long text in one go takes memory many times its size. */
const SLICE = 10_000;
const STEMS_REMEMBERED = 50_000;

let segmenter: Intl.Segmenter | undefined;
const stems = new Map<string, string>();

/** The words of `text` in order. */
export function words(text: string): Word[] {
  if (UNSPACED.test(text)) return segmentedWords(text);
  const found: Word[] = [];
  for (const match of text.matchAll(WORD)) {
    found.push({ text: normalized(match[0]), from: match.index, to: match.index + match[0].length });
  }
  return found;
}

function segmentedWords(text: string): Word[] {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'word' });
  const found: Word[] = [];
  for (let start = 0; start < text.length; start += SLICE) {
    for (const part of segmenter.segment(text.slice(start, start + SLICE))) {
      if (part.isWordLike !== true) continue;
      const from = start + part.index;
      found.push({ text: normalized(part.segment), from, to: from + part.segment.length });
    }
  }
  return found;
}

function normalized(word: string): string {
  return word.toLowerCase().replace(/['’]s?$|['’]/g, '');
}

/** The keys under which a word is found: its stem, and those of the parts of an identifier. */
export function termsOfWord(word: string): string[] {
  const whole = rememberedStem(word);
  if (!/[._]/.test(word)) return [whole];
  const parts = word.split(/[._]/).filter((part) => part.length > 1 && /\p{L}{2}/u.test(part));
  return [whole, ...parts.map(rememberedStem)];
}

/**
 * The terms of `text` in order, without stop words. A verb and its particle are one term, so that `fail over`
 * and `failover` are the same.
 */
export function contentTerms(text: string): string[] {
  const found = words(text);
  return found.flatMap((word, at) => {
    if (isStopWord(word.text)) return [];
    const next = found[at + 1];
    const joined = next !== undefined && PARTICLES.has(next.text) && next.from - word.to === 1;
    return joined ? [rememberedStem(rememberedStem(word.text) + next.text)] : termsOfWord(word.text);
  });
}

function rememberedStem(word: string): string {
  const known = stems.get(word);
  if (known !== undefined) return known;
  if (stems.size >= STEMS_REMEMBERED) stems.clear();
  const result = stem(word);
  stems.set(word, result);
  return result;
}
