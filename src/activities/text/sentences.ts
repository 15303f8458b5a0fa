/** A sentence and where in its text it begins. */
export interface Sentence {
  readonly text: string;
  readonly offset: number;
}

const ABBREVIATION =
  /(?:^|[\s(“"'])(?:e\.g|i\.e|etc|vs|cf|approx|ca|min|max|incl|excl|no|nos|fig|figs|sec|ch|vol|pp?|art|dept|est|ext|mr|mrs|ms|dr|prof|sr|jr|st|inc|ltd|co|corp|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|z\.b|d\.h|bzw|ggf|ca|nr|usw|\p{L})\.\s*$/iu;
const NUMBER_ONLY = /^\(?\d{1,3}[.)]\s*$/;
const SLICE = 20_000;

let segmenter: Intl.Segmenter | undefined;

/**
 * Splits a block's text into sentences by the Unicode rules, then joins what those rules part by mistake:
 * after abbreviations, before a lower-case letter, inside a code span, after the number of a list item.
 */
export function sentences(text: string): Sentence[] {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'sentence' });
  const found: Sentence[] = [];
  let open: { text: string; offset: number } | undefined;
  for (let start = 0; start < text.length; start += SLICE) {
    for (const part of segmenter.segment(text.slice(start, start + SLICE))) {
      const cut = start > 0 && part.index === 0;
      const goesOn = open !== undefined && belongsTogether(open.text, part.segment, cut);
      if (open !== undefined && goesOn) open.text += part.segment;
      else {
        if (open !== undefined) found.push(trimmed(open));
        open = { text: part.segment, offset: start + part.index };
      }
    }
  }
  if (open !== undefined) found.push(trimmed(open));
  return found.filter((sentence) => sentence.text !== '');
}

/** `cut`: parted by us, not by the rules. */
function belongsTogether(before: string, after: string, cut: boolean): boolean {
  if (cut && !/[.!?。！？…]\s*$/.test(before)) return true;
  if (ABBREVIATION.test(before.slice(-16)) || NUMBER_ONLY.test(before)) return true;
  if (/^\p{Ll}/u.test(after) && !/^(?:\p{L}\p{M}*){0,3}\s*$/u.test(after))
    return /[.!?…]["'”’)\]]*\s*$/u.test(before);
  return (before.split('`').length - 1) % 2 === 1 && before.length < 2000 && after.includes('`');
}

function trimmed(sentence: Sentence): Sentence {
  const lead = sentence.text.length - sentence.text.trimStart().length;
  return { text: sentence.text.trim(), offset: sentence.offset + lead };
}
