import { byCodeUnit } from '../documents/document';
import type { CitedSentence } from '../documents/passages';
import type { RankedText } from '../text/rank';

/** A passage that may answer, with all that is needed to rank it among those of other shards. */
export interface Candidate extends RankedText {
  readonly file: string;
  readonly lines: [number, number];
  readonly headings: string[];
  readonly counts: number[];
  readonly sentences: CitedSentence[];
}

/** Orders by file, then by line. */
export function byPlace(
  left: Pick<Candidate, 'file' | 'lines'>,
  right: Pick<Candidate, 'file' | 'lines'>,
): number {
  return (
    byCodeUnit(left.file, right.file) || left.lines[0] - right.lines[0] || left.lines[1] - right.lines[1]
  );
}
