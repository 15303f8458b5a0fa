import { dollars, usageWords } from '../../src/cli/usage-words';
import type { ModelUsage } from '../../src/core/usage';

const row = (more: Partial<ModelUsage> = {}): ModelUsage => ({
  model: 'p/m',
  tokens: 1,
  microUsd: 12,
  calls: 1,
  inputTokens: 1,
  cachedTokens: 0,
  outputTokens: 0,
  unseen: 0,
  ...more,
});

test.each<[string, ModelUsage[]]>([
  ['1 call, 1 token, $0.000012', [row()]],
  ['2 calls, 1,235 tokens, $1.23', [row({ tokens: 1234, microUsd: 1_234_567 }), row({ microUsd: 0 })]],
  ['2 calls, 2 tokens, at least $0.000012', [row(), row({ model: 'q/n', microUsd: 0, unpriced: true })]],
  ['1 call, 1 token, price unknown', [row({ microUsd: 0, unpriced: true })]],
  ['1 call, 1 token, $0.000012, 1 of unknown end', [row({ unseen: 1 })]],
])('%s', (words, usage) => {
  expect(usageWords(usage)).toBe(words);
});

test.each([
  [0, '$0'],
  [1, '$0.000001'],
  [9_999, '$0.009999'],
  [10_000, '$0.0100'],
  [999_949, '$0.9999'],
  [1_000_000, '$1.00'],
])('%d millionths of a dollar are %s', (microUsd, words) => {
  expect(dollars(microUsd)).toBe(words);
});
