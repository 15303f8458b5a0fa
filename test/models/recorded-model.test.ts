// What a call may cost at most, and what its answer is taken to have cost. No server: the model is a function.
import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3Usage } from '@ai-sdk/provider';
import type { Call } from '../../src/activities/calls/recorded-calls';
import { recordedModel } from '../../src/models/recorded-model';

type Tokens = Partial<Record<'input' | 'cached' | 'output', unknown>>;

/** What calling a model that says it used so many `tokens` comes to. */
async function called(
  options: Partial<LanguageModelV3CallOptions>,
  tokens: Tokens = {},
): Promise<{ reserves: Call<unknown>['reserves']; usage: unknown }> {
  const { input, cached, output } = tokens;
  const usage = {
    inputTokens: { total: input, cacheRead: cached },
    outputTokens: { total: output },
  } as unknown as LanguageModelV3Usage;
  const model = {
    specificationVersion: 'v3',
    provider: 'anthropic',
    modelId: 'test',
    supportedUrls: {},
    doGenerate: async () => ({
      content: [{ type: 'text', text: 'hello' }],
      finishReason: { unified: 'stop', raw: 'stop' },
      usage,
      warnings: [],
    }),
  } as unknown as LanguageModelV3;
  const seen: { reserves: Call<unknown>['reserves']; usage: unknown } = {
    reserves: undefined,
    usage: undefined,
  };
  const calls = {
    async run<Result>(call: Call<Result>): Promise<Result> {
      const result = await call.run();
      seen.reserves = call.reserves;
      seen.usage = call.usageOf?.(result);
      return result;
    },
  };
  const ignore = (): void => undefined;
  const context = { calls, signal: new AbortController().signal, stream: ignore };
  const watch = {
    stream: false,
    maxOutputTokens: () => 1000,
    onCall: ignore,
    onMake: ignore,
    onAnswer: ignore,
  };
  const recorded = await recordedModel(model, 'anthropic/test', context, watch);
  await recorded.doGenerate({
    prompt: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }],
    ...options,
  });
  return seen;
}

const output = (of: Awaited<ReturnType<typeof called>>): number => of.reserves?.tokens ?? 0;

test('what a model may think beside its limit is reserved, too', async () => {
  const thinking = (more: object): Partial<LanguageModelV3CallOptions> => ({
    providerOptions: { anthropic: { thinking: more as Record<string, string> } },
  });
  // The options themselves stand in the request, a token a byte at most.
  const beside = async (more: object): Promise<number> => {
    const bytes = JSON.stringify({ anthropic: { thinking: more } }).length + ',"providerOptions":'.length;
    return output(await called(thinking(more))) - output(await called({})) - bytes;
  };
  expect(await beside({ type: 'enabled', budgetTokens: 5000 })).toBe(5000);
  expect(await beside({ type: 'enabled' })).toBe(1024);
  expect(await beside({ type: 'disabled' })).toBe(0);
});

test('the tokens are those that the provider says', async () => {
  const { usage } = await called({}, { input: 10, cached: 4, output: 3 });
  expect(usage).toMatchObject({ inputTokens: 10, cachedTokens: 4, outputTokens: 3, tokens: 13, calls: 1 });
});

test.each([undefined, null, Number.NaN, -1, 2.5, '12'])(
  'a provider that says %j of its tokens is taken at the most',
  async (said) => {
    const { usage, reserves } = await called({}, { input: said, cached: said, output: said });
    expect(usage).toMatchObject({ tokens: reserves?.tokens, outputTokens: 1000, cachedTokens: 0 });
  },
);
