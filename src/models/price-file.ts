import { readFileSync } from 'node:fs';
import { CadreError } from '../core/failures';
import { isRecord, shownJson } from '../core/json';
import type { Prices } from './prices';

/** The prices that `file`, the one of `CADRE_PRICES`, holds. Throws ConfigInvalid, naming what was expected and what came. */
export function readPrices(file: string): Prices {
  return parsePrices(readJson(file), file);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError(
      'ConfigInvalid',
      `Cannot read the prices of the worker's CADRE_PRICES, ${file}: ${reason}`,
      {
        cause,
      },
    );
  }
}

function parsePrices(value: unknown, file: string): Prices {
  const check = (holds: boolean, field: string, expected: string, got: unknown): void => {
    if (holds) return;
    const problem = `Expected ${field} of the worker's CADRE_PRICES, ${file}, to be ${expected}, got ${shownJson(got)}`;
    throw new CadreError('ConfigInvalid', problem);
  };
  check(isRecord(value) && isRecord(value['models']), 'the prices', 'an object with `models`', value);
  const { date, models, ...rest } = value as { date?: unknown; models: Record<string, unknown> };
  check(Object.keys(rest).length === 0, 'the prices', 'only `date` and `models`', rest);
  check(date === undefined || isDay(date), '`date`', 'a day such as "2026-11-22"', date);
  for (const [model, price] of Object.entries(models)) {
    check(MODEL.test(model), 'each name', '`provider/model` or `provider/*`', model);
    checkPrice(price, `\`models["${model}"]\``, check);
  }
  return value as Prices;
}

type Check = (holds: boolean, field: string, expected: string, got: unknown) => void;

const MODEL = /^[a-z][a-z0-9-]*\/\S+$/;
const RATES = ['input', 'cachedInput', 'cacheWrite', 'output'] as const;
const MAXIMUM_RATE = 1_000_000;

function checkPrice(price: unknown, field: string, check: Check): void {
  check(isRecord(price), field, 'an object with `input` and `output`', price);
  const { long, ...rates } = price as Record<string, unknown>;
  checkRates(rates, field, check);
  if (long === undefined) return;
  check(isRecord(long), `\`long\` in ${field}`, 'an object with `over`, `input` and `output`', long);
  const { over, ...longRates } = long as Record<string, unknown>;
  check(Number.isInteger(over) && Number(over) > 0, `\`long.over\` in ${field}`, 'a number of tokens', over);
  checkRates(longRates, `\`long\` in ${field}`, check);
}

function checkRates(rates: Record<string, unknown>, field: string, check: Check): void {
  const unknown = Object.keys(rates).filter((name) => !RATES.some((rate) => rate === name));
  check(unknown.length === 0, field, `prices of ${RATES.join(', ')}`, unknown[0]);
  for (const name of RATES) {
    const rate = rates[name];
    const mayBeLeftOut = name === 'cachedInput' || name === 'cacheWrite';
    if (rate === undefined && mayBeLeftOut) continue;
    const holds = typeof rate === 'number' && rate >= 0 && rate <= MAXIMUM_RATE;
    check(holds, `\`${name}\` in ${field}`, 'US dollars a million tokens, from 0 to 1,000,000', rate);
  }
}

function isDay(value: unknown): boolean {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value));
}
