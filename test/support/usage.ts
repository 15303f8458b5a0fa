import type { ModelUsage } from '../../src/core/usage';

/** What one call of a model that there is only in tests came to. */
export const ONE_CALL: ModelUsage = {
  model: 'p/m',
  tokens: 12,
  microUsd: 3,
  calls: 1,
  inputTokens: 10,
  cachedTokens: 0,
  outputTokens: 2,
  unseen: 0,
};
