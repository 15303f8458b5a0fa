import type { Compensation } from '../core/saga';

/** What of a saga was undone, as a sentence without its end. */
export function undoneWords(compensations: readonly Compensation[]): string {
  const of = (wanted: Compensation['kind']): string[] =>
    compensations.filter(({ kind }) => kind === wanted).map(({ step }) => step);
  const [undone, left] = [of('undone'), of('skipped')];
  const what = undone.length === 0 ? 'Nothing was undone' : `Undone: ${undone.join(', ')}`;
  return `${what}${left.length === 0 ? '' : `; left as a person said: ${left.join(', ')}`}`;
}
