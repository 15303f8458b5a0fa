import type { LanguageModelV3Usage } from '@ai-sdk/provider';
import { modelFailure } from './model-failure';
import { openModel } from './providers';
import type { Tokens } from './prices';

/** In ms. A server of one's own may load the model first. */
const TIME_LIMIT = 60_000;
/** A model that reasons may take as many before it says a word. */
const OUTPUT_TOKENS = 256;

/** What a {@link tryModel} came to. */
export interface Trial {
  readonly milliseconds: number;
  readonly tokens: Tokens;
}

/**
 * Asks `name` (`provider/model`) for one word, outside of all tasks: nothing of it is recorded or counted, but the provider
 * charges its few tokens. Throws ModelRefused, ModelUnavailable, ModelUnknown, ModelKeyMissing.
 */
export async function tryModel(name: string): Promise<Trial> {
  const model = await openModel(name);
  const began = performance.now();
  try {
    const { usage } = await model.doGenerate({
      prompt: [{ role: 'user', content: [{ type: 'text', text: 'Answer with the word "ok".' }] }],
      maxOutputTokens: OUTPUT_TOKENS,
      abortSignal: AbortSignal.timeout(TIME_LIMIT),
    });
    return { milliseconds: performance.now() - began, tokens: tokensOf(usage) };
  } catch (error) {
    throw modelFailure(error, name);
  }
}

function tokensOf({ inputTokens, outputTokens }: LanguageModelV3Usage): Tokens {
  return {
    inputTokens: inputTokens.total ?? 0,
    cachedTokens: inputTokens.cacheRead ?? 0,
    cacheWriteTokens: inputTokens.cacheWrite ?? 0,
    outputTokens: outputTokens.total ?? 0,
  };
}
