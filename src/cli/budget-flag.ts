/** What `--budget` says. */
import { BUDGET_FIELDS, type Budget, readBudget } from '../core/budget/budget';
import { inputInvalid } from '../core/failures';

/** How `--budget` is written, for the help. */
export const BUDGET_FLAG = '--budget <limits>';
export const BUDGET_HELP =
  'such as tokens=20000,money=0.5,calls=30,steps=10,depth=2,wallTime=10m (money in US dollars)';

/** The budget that `text` writes. Throws InputInvalid, naming the field. */
export function budgetOf(text: string): Budget {
  const fields = new Map<string, unknown>();
  for (const part of text.split(',')) {
    const [, field, value] = /^\s*([A-Za-z]+)=(\S+?)\s*$/.exec(part) ?? [];
    if (field === undefined || value === undefined || !BUDGET_FIELDS.some((one) => one === field)) {
      throw inputInvalid('--budget', `${BUDGET_FIELDS.join('=…,')}=… or some of them`, part);
    }
    if (fields.has(field)) throw inputInvalid(`${field} of --budget`, 'given once', text);
    // What is no number is refused as it was written.
    fields.set(field, Number.isFinite(Number(value)) ? Number(value) : value);
  }
  return readBudget(Object.fromEntries(fields));
}
