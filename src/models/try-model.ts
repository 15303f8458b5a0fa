import { modelFailure } from './model-failure';
import { openModel } from './providers';
import type { Tokens } from './prices';
import { tokensOf } from './recorded-model';

/** In ms. A server of one's own may load the model first. */
const TIME_LIMIT = 60_000;
/** A model that reasons may take as many before it says a word. */
const OUTPUT_TOKENS = 256;

const UNSAID = { inputTokens: 0, outputTokens: 0 } as const;

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
    return { milliseconds: performance.now() - began, tokens: tokensOf(usage, UNSAID) };
  } catch (error) {
    throw modelFailure(error, name);
  }
}
