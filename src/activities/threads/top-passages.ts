import { type IndexedDocument, type PassageSpan } from '../documents/indexed-document';
import { byCodeUnit } from '../documents/document';
import { partWeights } from '../text/part-weights';
import type { Question, QuestionPart } from '../text/question';
import { type PassageStatistics, type RankedText, score } from '../text/rank';
import { HEADING_FACTOR_MAXIMUM, POOL, fit } from './choose-passages';
import type { Candidate } from './candidate';

/** A passage of a document that is searched. */
export interface FoundPassage extends RankedText {
  readonly file: string;
  readonly document: IndexedDocument;
  /** Its position among the document's passages. */
  readonly at: number;
  /** What the candidate says of the question, where this is another search. Default: what is here. */
  readonly asked?: RankedText;
}

interface Scored {
  readonly passage: FoundPassage;
  readonly score: number;
}

/**
 * Keeps the best passages for each part of a question, as many as can have a say in the answer. The best of several shards
 * together are the best of the folder, since all rank by the same statistics.
 */
export class TopPassages {
  private readonly tops: readonly Top[];

  constructor(question: Question, statistics: PassageStatistics) {
    this.tops = question.parts.map((part) => new Top(part, question, statistics));
  }

  add(passage: FoundPassage): void {
    for (const top of this.tops) top.add(passage);
  }

  /** In the order of the files and of their passages. */
  candidates(): Candidate[] {
    const all = new Set(this.tops.flatMap((top) => top.passages()));
    return [...all]
      .sort((left, right) => byCodeUnit(left.file, right.file) || left.at - right.at)
      .map((passage) => {
        const { file, document, at } = passage;
        const { counts, words } = passage.asked ?? passage;
        const { headings, sentences } = document.texts()[at] ?? { headings: [], sentences: [] };
        const [first, last] = spanOf({ document, at })?.lines ?? [1, 1];
        return {
          file,
          lines: [first, last],
          headings: [...headings],
          counts: [...counts],
          words,
          sentences: [...sentences],
        };
      });
  }
}

/** The best for one part, best first. */
class Top {
  private readonly best: Scored[] = [];
  private readonly weights: readonly number[];

  constructor(
    private readonly part: QuestionPart,
    question: Question,
    private readonly statistics: PassageStatistics,
  ) {
    this.weights = partWeights(part, question, statistics);
  }

  add(passage: FoundPassage): void {
    const plain = score(passage, this.weights, this.statistics);
    const last = this.best.length < POOL ? undefined : this.best.at(-1);
    if (last !== undefined && HEADING_FACTOR_MAXIMUM * plain < last.score) return;
    const { headings } = passage.document.texts()[passage.at] ?? { headings: [] };
    const scored = { passage, score: plain * fit(this.part, headings) };
    if (last !== undefined && inOrder(last, scored) <= 0) return;
    const at = this.best.findIndex((other) => inOrder(scored, other) < 0);
    this.best.splice(at < 0 ? this.best.length : at, 0, scored);
    if (this.best.length > POOL) this.best.pop();
  }

  passages(): FoundPassage[] {
    return this.best.map(({ passage }) => passage);
  }
}

function inOrder(left: Scored, right: Scored): number {
  return (
    right.score - left.score ||
    byCodeUnit(left.passage.file, right.passage.file) ||
    left.passage.at - right.passage.at
  );
}

function spanOf({ document, at }: Pick<FoundPassage, 'document' | 'at'>): PassageSpan | undefined {
  return document.spans[at];
}
