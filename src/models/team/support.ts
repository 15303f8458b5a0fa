/**
 * Checks what a model cites: an id that there is not, or whose sentence does not support the model's, is dropped. Pure.
 * Owns the measure; what is cited, its callers know.
 */
import { countOf } from '../../core/count-of';
import { contentTerms } from '../../activities/text/words';
import type { Quote } from '../../activities/threads/find-differences';

/** The least share of a sentence's terms that a source must hold to support it. */
const SUPPORT_MINIMUM = 0.3;

/** A sentence of a model's, and the ids that it cites. */
export interface Claim {
  readonly text: string;
  readonly ids: readonly number[];
}

/** A sentence of a model's, and the sources that support it: at least one. */
export interface Supported {
  readonly text: string;
  readonly quotes: readonly [Quote, ...Quote[]];
}

/** How much was dropped. */
export interface Dropped {
  /** Ids that there are not. */
  readonly unknown: number;
  /** Ids whose sentence does not support what cites them. */
  readonly unsupported: number;
  /** Sentences that were left with no id. */
  readonly sentences: number;
}

export const NOTHING_DROPPED: Dropped = { unknown: 0, unsupported: 0, sentences: 0 };

export function addDropped(...all: readonly Dropped[]): Dropped {
  return all.reduce(
    (sum, one) => ({
      unknown: sum.unknown + one.unknown,
      unsupported: sum.unsupported + one.unsupported,
      sentences: sum.sentences + one.sentences,
    }),
    NOTHING_DROPPED,
  );
}

/** The claims that are supported, in their order, each with what supports it. */
export function supportedOf<Cited extends Claim>(
  claims: readonly Cited[],
  sources: ReadonlyMap<number, Quote>,
): {
  readonly kept: readonly { readonly claim: Cited; readonly by: Supported }[];
  readonly dropped: Dropped;
} {
  const kept: { claim: Cited; by: Supported }[] = [];
  let dropped = NOTHING_DROPPED;
  for (const claim of claims) {
    const ids = [...new Set(claim.ids)];
    const known = ids.flatMap((id) => sources.get(id) ?? []);
    const [first, ...rest] = known.filter((source) => supports(source.text, claim.text));
    const quotes = first === undefined ? 0 : rest.length + 1;
    dropped = addDropped(dropped, {
      unknown: ids.length - known.length,
      unsupported: known.length - quotes,
      sentences: quotes === 0 ? 1 : 0,
    });
    if (first !== undefined) kept.push({ claim, by: { text: claim.text, quotes: [first, ...rest] } });
  }
  return { kept, dropped };
}

/** Whether `source` holds at least {@link SUPPORT_MINIMUM} of the terms of `text`. */
export function supports(source: string, text: string): boolean {
  const terms = new Set(contentTerms(text));
  const held = new Set(contentTerms(source));
  const shared = [...terms].filter((term) => held.has(term)).length;
  return terms.size > 0 && shared / terms.size >= SUPPORT_MINIMUM;
}

/** What was dropped, in a sentence for the report; undefined where nothing was. */
export function droppedWords(
  { unknown, unsupported, sentences }: Dropped,
  model: string,
): string | undefined {
  const parts = [
    ...(unknown > 0 ? [`${countOf(unknown, 'citation')} of no source`] : []),
    ...(unsupported > 0 ? [`${countOf(unsupported, 'citation')} that did not support the sentence`] : []),
    ...(sentences > 0 ? [`${countOf(sentences, 'sentence')} without any other`] : []),
  ];
  return parts.length === 0 ? undefined : `Of what ${model} wrote, left out: ${parts.join(', ')}`;
}
