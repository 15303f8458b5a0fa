import type { Question, QuestionPart } from './question';
import { type PassageStatistics, conceptWeights } from './rank';

/** What the rest of the question counts for a part that needs it, and for one that does not. */
const CONTEXT_NEEDED = 0.5;
const CONTEXT = 0.2;

/** How much each concept of the question counts for one of its parts. */
export function partWeights(part: QuestionPart, question: Question, statistics: PassageStatistics): number[] {
  const context = part.leansOnOthers ? CONTEXT_NEEDED : CONTEXT;
  return conceptWeights(statistics).map((rarity, index) => {
    const weight = rarity * (question.concepts[index]?.weight ?? 1);
    return part.concepts.includes(index) ? weight : weight * context;
  });
}
