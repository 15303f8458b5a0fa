import { join } from 'node:path';
import { CadreError } from '../../src/core/failures';
import { type Price, loadPrices, priceOf, reserveFor, usageOf } from '../../src/models/prices';
import { TemporaryFolder } from '../support/temporary-folder';

const CHEAP: Price = { input: 2, cachedInput: 0.5, cacheWrite: 2.5, output: 8 };
const TIERED: Price = { ...CHEAP, long: { over: 1000, input: 4, output: 12 } };

const folder = TemporaryFolder.ofEachTest();

/** An environment whose CADRE_PRICES is a file with `content`. */
function withPrices(content: unknown): Record<string, string> {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  return { CADRE_PRICES: folder.write('prices.json', text) };
}

describe('the built-in list', () => {
  const builtIn = loadPrices({});

  it('names the day that it is of', () => {
    expect(builtIn.date).toMatch(/^\d{4}-\d\d-\d\d$/);
  });

  it('is itself a valid file of prices', () => {
    expect(loadPrices(withPrices(builtIn))).toEqual(builtIn);
  });

  it.each(Object.keys(builtIn.models).filter((name) => !name.endsWith('/*')))(
    'asks less for what the cache has than for fresh input, and more for output: %s',
    (model) => {
      const { input, cachedInput = input, output, long } = builtIn.models[model] as Price;
      expect(cachedInput).toBeLessThanOrEqual(input);
      expect(output).toBeGreaterThan(input);
      expect(long?.input ?? input).toBeGreaterThanOrEqual(input);
    },
  );

  it('has models on one’s own machine for nothing', () => {
    for (const model of ['ollama/llama3.2', 'vllm/Qwen/Qwen3-8B', 'lmstudio/any']) {
      expect(priceOf(model, builtIn)).toEqual({ input: 0, output: 0 });
    }
  });
});

describe('the price of a model', () => {
  const prices = { models: { 'openai/gpt-x': CHEAP, 'openai/gpt-x-2024-05-13': TIERED, 'own/*': TIERED } };

  it.each(['openai/gpt-x', 'openai/gpt-x-2026-01-31', 'openai/gpt-x-20260131', 'openai/gpt-x-latest'])(
    'is that of its name without the date at its end: %s',
    (model) => expect(priceOf(model, prices)).toBe(CHEAP),
  );

  it('is its own, where that day has another price', () => {
    expect(priceOf('openai/gpt-x-2024-05-13', prices)).toBe(TIERED);
  });

  it('is that of all of the provider’s models, where it is not named', () => {
    expect(priceOf('own/some/model', prices)).toBe(TIERED);
  });

  it.each(['openai/gpt-x-mini', 'openai/gpt', 'other/gpt-x', 'openai/toString', 'nothing'])(
    'is not known: %s',
    (model) => expect(priceOf(model, prices)).toBeUndefined(),
  );
});

describe('what a call came to', () => {
  it('counts fresh input, both sides of the cache and the output at their own prices', () => {
    const tokens = { inputTokens: 1000, cachedTokens: 600, cacheWriteTokens: 100, outputTokens: 10 };
    expect(usageOf('a/b', tokens, CHEAP)).toEqual({
      model: 'a/b',
      tokens: 1010,
      microUsd: 300 * 2 + 600 * 0.5 + 100 * 2.5 + 10 * 8,
      calls: 1,
      inputTokens: 1000,
      cachedTokens: 600,
      outputTokens: 10,
      unseen: 0,
    });
  });

  it('takes the cache at the price of input, where it has none of its own', () => {
    const tokens = { inputTokens: 100, cachedTokens: 50, cacheWriteTokens: 50, outputTokens: 0 };
    expect(usageOf('a/b', tokens, { input: 3, output: 5 }).microUsd).toBe(300);
  });

  it('is of the prices for long input as a whole from the first token over', () => {
    expect(usageOf('a/b', { inputTokens: 1000, outputTokens: 1 }, TIERED).microUsd).toBe(2008);
    expect(usageOf('a/b', { inputTokens: 1001, outputTokens: 1 }, TIERED).microUsd).toBe(4016);
  });

  it('is rounded up to a millionth of a dollar, and not by the error of a sum', () => {
    expect(usageOf('a/b', { inputTokens: 1, outputTokens: 0 }, { input: 0.05, output: 1 }).microUsd).toBe(1);
    expect(usageOf('a/b', { inputTokens: 3, outputTokens: 0 }, { input: 0.1, output: 1 }).microUsd).toBe(1);
    // 0.1 * 30 is 3.0000000000000004.
    expect(usageOf('a/b', { inputTokens: 10, outputTokens: 2 }, { input: 0.1, output: 1 }).microUsd).toBe(3);
  });

  it('is said to be unknown without a price, its tokens counted', () => {
    expect(usageOf('a/b', { inputTokens: 5, outputTokens: 6 }, undefined)).toMatchObject({
      tokens: 11,
      microUsd: 0,
      unpriced: true,
    });
  });
});

describe('what is reserved for a call', () => {
  it('is never less than what it came to', () => {
    for (const price of [CHEAP, TIERED, { input: 1, output: 2 }]) {
      for (const inputTokens of [0, 1, 999, 1000, 1001, 5000]) {
        for (const cachedTokens of [0, inputTokens]) {
          for (const cacheWriteTokens of [0, inputTokens - cachedTokens]) {
            const tokens = { inputTokens, cachedTokens, cacheWriteTokens, outputTokens: 7 };
            const reserved = reserveFor(tokens, price);
            expect(reserved.microUsd).toBeGreaterThanOrEqual(usageOf('a/b', tokens, price).microUsd);
            expect(reserved).toMatchObject({ tokens: inputTokens + 7, calls: 1 });
          }
        }
      }
    }
  });

  it('has no money in it without a price', () => {
    expect(reserveFor({ inputTokens: 5, outputTokens: 6 }, undefined)).toEqual({
      tokens: 11,
      microUsd: 0,
      calls: 1,
    });
  });
});

describe('the file of CADRE_PRICES', () => {
  it('adds models, takes the place of the list’s own, and leaves the others', () => {
    const own = { 'openai/gpt-4.1': CHEAP, 'compatible/*': TIERED };
    const prices = loadPrices(withPrices({ date: '2026-11-22', models: own }));
    expect(prices.date).toBe('2026-11-22');
    expect(prices.models).toEqual({ ...loadPrices({}).models, ...own });
  });

  it.each<[string, unknown, string]>([
    ['a list', [], 'an object with `models`'],
    ['no models', { date: '2026-01-01' }, 'an object with `models`'],
    ['another field', { models: {}, currency: 'EUR' }, 'only `date` and `models`, got {"currency":"EUR"}'],
    ['a date that is none', { date: '2026-13-01', models: {} }, '`date`'],
    ['a model without its provider', { models: { 'gpt-x': CHEAP } }, 'got "gpt-x"'],
    ['no price', { models: { 'a/b': 3 } }, '`models["a/b"]`'],
    ['no output', { models: { 'a/b': { input: 1 } } }, '`output` in `models["a/b"]`'],
    ['a text', { models: { 'a/b': { input: '1', output: 2 } } }, 'got "1"'],
    ['less than nothing', { models: { 'a/b': { input: -1, output: 2 } } }, 'got -1'],
    ['a misspelt field', { models: { 'a/b': { input: 1, output: 2, cached: 1 } } }, 'got "cached"'],
    [
      'a limit of none',
      { models: { 'a/b': { ...CHEAP, long: { over: 0, input: 1, output: 2 } } } },
      '`long.over`',
    ],
    ['what is no JSON', '{', 'Cannot read the prices'],
  ])('is refused with %s', (_what, content, says) => {
    const environment = withPrices(content);
    let refused: unknown;
    try {
      loadPrices(environment);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(CadreError);
    expect(refused).toMatchObject({ type: 'ConfigInvalid' });
    expect((refused as Error).message).toContain(says);
    expect((refused as Error).message).toContain(environment['CADRE_PRICES']);
    expect((refused as Error).message).toContain("the worker's CADRE_PRICES");
  });

  it('is refused where it is not there', () => {
    expect(() => loadPrices({ CADRE_PRICES: join(folder.path, 'none.json') })).toThrow(
      'Cannot read the prices',
    );
  });
});
