/**
 * What calls of models cost. Owns the list of prices (`prices.json`, of the date it names), what `CADRE_PRICES` puts over it,
 * and how tokens become money. A model that is in neither has no price: its tokens are counted, its money is not.
 */
import { resolve } from 'node:path';
import type { Amount, ModelUsage } from '../core/usage';
import { readPrices } from './price-file';
import builtIn from './prices.json';

/** In US dollars a million tokens, each from 0 to 1,000,000. */
export interface Rates {
  readonly input: number;
  /** Of input that is read from the provider's cache. Default: as `input`. */
  readonly cachedInput?: number;
  /** Of input that is written to the provider's cache. Default: as `input`. */
  readonly cacheWrite?: number;
  readonly output: number;
}

/** What the calls of a model cost. */
export interface Price extends Rates {
  /** What the whole of a call costs whose input has more than `over` tokens. Default: the same. */
  readonly long?: Rates & { readonly over: number };
}

/** A list of prices: what the file of `CADRE_PRICES` holds. */
export interface Prices {
  /** The day that the prices are of, such as `2026-11-22`. May be left out. */
  readonly date?: string;
  /** By `provider/model`; `provider/*` stands for all of a provider's models that are not named. */
  readonly models: Readonly<Record<string, Price>>;
}

/** What a provider says that a call has used. */
export interface Tokens {
  /** All of them, with those of the cache. */
  readonly inputTokens: number;
  /** Of the input: read from the provider's cache. Default 0. */
  readonly cachedTokens?: number;
  /** Of the input: written to the provider's cache. Default 0. */
  readonly cacheWriteTokens?: number;
  /** With those of reasoning. */
  readonly outputTokens: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The built-in prices with those of the file `CADRE_PRICES` over them. Reads the file each time. Throws ConfigInvalid. */
export function loadPrices(environment: Environment = process.env): Prices {
  const file = environment['CADRE_PRICES'];
  if (!file) return builtIn;
  const own = readPrices(resolve(file));
  return { ...builtIn, ...own, models: { ...builtIn.models, ...own.models } };
}

/**
 * What `model` (`provider/model`) costs: the price of its own name, else of the name without a date at its end, else of all of
 * its provider's models; undefined where none is known. Throws ConfigInvalid.
 */
export function priceOf(model: string, { models }: Prices = loadPrices()): Price | undefined {
  const provider = model.slice(0, model.indexOf('/'));
  const names = [model, model.replace(SNAPSHOT, ''), `${provider}/*`];
  const name = names.find((one) => Object.hasOwn(models, one));
  return name === undefined ? undefined : models[name];
}

/** What ends the names of models as they were on a day: `-2026-11-22`, `-20261122`; or as they are: `-latest`. */
const SNAPSHOT = /-(?:\d{4}-\d\d-\d\d|\d{8}|latest)$/;

/** What one call of `model` came to. Without a price its money is 0, and said to be unknown. */
export function usageOf(model: string, tokens: Tokens, price: Price | undefined): ModelUsage {
  const { inputTokens, cachedTokens = 0, outputTokens } = tokens;
  return {
    model,
    tokens: inputTokens + outputTokens,
    microUsd: price === undefined ? 0 : microUsdOf(tokens, price),
    calls: 1,
    inputTokens,
    cachedTokens,
    outputTokens,
    unseen: 0,
    ...(price === undefined ? { unpriced: true } : {}),
  };
}

/** The most that a call with up to so many tokens may come to, whatever of it the provider's cache has. */
export function reserveFor(
  { inputTokens, outputTokens }: Pick<Tokens, 'inputTokens' | 'outputTokens'>,
  price: Price | undefined,
): Amount {
  const costs = price === undefined ? [] : [price, ...(price.long === undefined ? [] : [price.long])];
  const most = costs.map((rates) => dearest(rates) * inputTokens + rates.output * outputTokens);
  return { tokens: inputTokens + outputTokens, microUsd: wholeMicroUsd(Math.max(0, ...most)), calls: 1 };
}

function microUsdOf(tokens: Tokens, price: Price): number {
  const { inputTokens, cachedTokens = 0, cacheWriteTokens = 0, outputTokens } = tokens;
  const { long } = price;
  const {
    input,
    cachedInput = input,
    cacheWrite = input,
    output,
  } = long !== undefined && inputTokens > long.over ? long : price;
  const fresh = Math.max(0, inputTokens - cachedTokens - cacheWriteTokens);
  // A dollar a million tokens is a millionth of a dollar a token.
  return wholeMicroUsd(
    fresh * input + cachedTokens * cachedInput + cacheWriteTokens * cacheWrite + outputTokens * output,
  );
}

/** Rounded up, but for what is only the error of the sum. */
function wholeMicroUsd(microUsd: number): number {
  return Math.ceil(Number(microUsd.toFixed(6)));
}

function dearest({ input, cachedInput = input, cacheWrite = input }: Rates): number {
  return Math.max(input, cachedInput, cacheWrite);
}
