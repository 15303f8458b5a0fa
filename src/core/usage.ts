/** What calls of models cost, as it stands in outcomes, events and budgets. Whole numbers, so that sums are exact. */
import { isRecord } from './json';

/** An amount: what is reserved, what was used, what a limit allows. */
export interface Amount {
  /** Of the input and the output together. */
  readonly tokens: number;
  /** Millionths of a US dollar: {@link MICRO} are one. */
  readonly microUsd: number;
  /** Calls of models. */
  readonly calls: number;
}

/** What the calls of one model came to. */
export interface ModelUsage extends Amount {
  /** `provider/model`. */
  readonly model: string;
  readonly inputTokens: number;
  /** Of the input: read from the provider's cache. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** Calls of which nobody saw the end: counted with what was reserved for them. Part of `calls`. */
  readonly unseen: number;
  /** True where the price of the model is not known, so that `microUsd` says nothing of it. */
  readonly unpriced?: true;
}

export const MICRO = 1_000_000;
export const NOTHING: Amount = { tokens: 0, microUsd: 0, calls: 0 };

/** The sum, by model, sorted by model: one row each. */
export function addUsage(...lists: readonly (readonly ModelUsage[])[]): ModelUsage[] {
  const rows = new Map<string, ModelUsage>();
  for (const one of lists.flat()) {
    const before = rows.get(one.model);
    rows.set(one.model, before === undefined ? one : added(before, one));
  }
  return [...rows.values()].sort((a, b) => (a.model < b.model ? -1 : 1));
}

/** What the rows come to together. */
export function totalOf(usage: readonly ModelUsage[]): Amount {
  return usage.reduce(addAmounts, NOTHING);
}

function addAmounts(a: Amount, b: Amount): Amount {
  return { tokens: a.tokens + b.tokens, microUsd: a.microUsd + b.microUsd, calls: a.calls + b.calls };
}

const NUMBERS = [
  'tokens',
  'microUsd',
  'calls',
  'inputTokens',
  'cachedTokens',
  'outputTokens',
  'unseen',
] satisfies (keyof ModelUsage)[];

/** Its numbers rounded up; undefined where one is missing, below 0, or too large to be counted. */
export function wholeAmounts<Given extends Amount>(given: Given): Given | undefined {
  const up = ([field, value]: [string, unknown]): [string, unknown] => [
    field,
    typeof value === 'number' ? Math.ceil(value) : value,
  ];
  const whole = Object.fromEntries(Object.entries(given).map(up)) as unknown as Given;
  const numbers = [whole.tokens, whole.microUsd, whole.calls, ...Object.values(whole).filter(isNumber)];
  return numbers.every((value) => Number.isSafeInteger(value) && value >= 0) ? whole : undefined;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

/** `value` of a history as usage; undefined where it is none, or says nothing. */
export function readUsage(value: unknown): readonly ModelUsage[] | undefined {
  const usage = Array.isArray(value) && value.length > 0 && value.every(isModelUsage);
  return usage ? (value as readonly ModelUsage[]) : undefined;
}

/** The field `usage` of what an activity returned; no field where there is none. */
export function usageField(outcome: unknown): { usage?: readonly ModelUsage[] } {
  const usage = isRecord(outcome) ? readUsage(outcome['usage']) : undefined;
  return usage === undefined ? {} : { usage };
}

function isModelUsage(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value['model'] === 'string' &&
    NUMBERS.every((field) => Number.isSafeInteger(value[field]))
  );
}

function added(a: ModelUsage, b: ModelUsage): ModelUsage {
  return {
    model: a.model,
    ...addAmounts(a, b),
    inputTokens: a.inputTokens + b.inputTokens,
    cachedTokens: a.cachedTokens + b.cachedTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    unseen: a.unseen + b.unseen,
    ...(a.unpriced || b.unpriced ? { unpriced: true } : {}),
  };
}
