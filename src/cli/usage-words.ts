import { MICRO, type ModelUsage, totalOf } from '../core/usage';
import { count } from './output';

/** What calls of models came to: `3 calls, 1,234 tokens, $0.0123`; with how many of them nobody saw the end of. */
export function usageWords(usage: readonly ModelUsage[]): string {
  const { calls, tokens } = totalOf(usage);
  const unseen = usage.reduce((sum, row) => sum + row.unseen, 0);
  return [
    count(calls, 'call'),
    `${tokens.toLocaleString('en-US')} ${tokens === 1 ? 'token' : 'tokens'}`,
    priceWords(usage),
    ...(unseen === 0 ? [] : [`${unseen} of unknown end`]),
  ].join(', ');
}

function priceWords(usage: readonly ModelUsage[]): string {
  const unpriced = usage.filter((row) => row.unpriced === true).length;
  if (unpriced === usage.length) return 'price unknown';
  const { microUsd } = totalOf(usage);
  return `${unpriced === 0 ? '' : 'at least '}${dollars(microUsd)}`;
}

/** Millionths of a US dollar as a person reads them: `$0`, `$0.000012`, `$0.0123`, `$12.35`. */
export function dollars(microUsd: number): string {
  if (microUsd === 0) return '$0';
  const usd = microUsd / MICRO;
  if (usd >= 1) return `$${usd.toFixed(2)}`;
  return `$${usd.toFixed(usd >= 0.01 ? 4 : 6)}`;
}
