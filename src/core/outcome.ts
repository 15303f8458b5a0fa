/**
 * What an agent's failure says of the agent's provider: the one table by which breakers count, and by which what no
 * retry can mend is not retried. Pure; reads what the common clients throw: `status` or `statusCode`, `code`, `headers`.
 */
import { isRecord, valueAt } from './json';

/**
 * `failure`: counts against the agent. `final`: no retry can mend it, and it does not count. `ignored`: it does not
 * count. `paced`: it does not count either; the provider asks for no calls for so many ms.
 */
export type Outcome = 'failure' | 'final' | 'ignored' | { readonly paced: number };

/** A row of the table: says what `signs` mean, or undefined where they are not its matter. */
interface Row {
  readonly what: string;
  readonly matches: (signs: Signs) => boolean;
  readonly outcome: Outcome | ((signs: Signs) => Outcome);
}

/** What can be read of an error, and of what caused it. */
interface Signs {
  readonly status: number | undefined;
  /** Codes, types and names, in lower case. */
  readonly codes: readonly string[];
  /** In ms. */
  readonly retryAfter: number | undefined;
  readonly nonRetryable: boolean;
}

/** First match wins. */
const TABLE: readonly Row[] = [
  {
    what: 'an agent or worker that says so itself, before or beside its provider',
    matches: ({ codes }) => codes.some((code) => OWN.includes(code)),
    outcome: 'ignored',
  },
  {
    what: 'bad output',
    matches: ({ codes }) => codes.includes('agentoutputinvalid'),
    outcome: 'failure',
  },
  {
    what: 'out of credit',
    matches: ({ status, codes }) => status === 402 || codes.some((code) => CREDIT.includes(code)),
    outcome: 'final',
  },
  {
    what: 'content refused',
    matches: ({ codes }) => codes.some((code) => REFUSED.includes(code)),
    outcome: 'final',
  },
  {
    what: '429 or 503 with Retry-After',
    matches: ({ status, retryAfter }) => (status === 429 || status === 503) && retryAfter !== undefined,
    outcome: ({ retryAfter = 0 }) => ({ paced: retryAfter }),
  },
  { what: '429 without Retry-After', matches: ({ status }) => status === 429, outcome: 'ignored' },
  { what: '408', matches: ({ status }) => status === 408, outcome: 'failure' },
  { what: 'any other 4xx', matches: ({ status = 0 }) => status >= 400 && status < 500, outcome: 'final' },
  { what: '5xx', matches: ({ status = 0 }) => status >= 500 && status < 600, outcome: 'failure' },
  {
    what: 'thrown as non-retryable by the agent',
    matches: ({ nonRetryable }) => nonRetryable,
    outcome: 'final',
  },
];

/** Of Cadre's own: they say nothing of a provider. */
const OWN: readonly string[] = [
  'AgentInputInvalid',
  'AgentUnknown',
  'ArtifactMissing',
  'ArtifactsUnavailable',
  'CheckpointTooLarge',
  'EffectInvalid',
  'OutcomeUnknown',
  'ActionUndone',
  'LedgerUnavailable',
  'BudgetReached',
  'PriceUnknown',
  'NoWorker',
  'ModelUnknown',
  'ModelKeyMissing',
  'ToolsUnavailable',
  'ToolsChanged',
  'HandedBack',
  'QuestionAsked',
  'QuestionInvalid',
  'QuestionExpired',
  'Cancelled',
  'CancelledFailure',
].map((type) => type.toLowerCase());

const CREDIT: readonly string[] = [
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'credit_balance_too_low',
  'payment_required',
];

const REFUSED: readonly string[] = [
  'content_filter',
  'content_policy_violation',
  'responsibleaipolicyviolation',
];

/** No pause that a provider asks for is shorter or longer, in ms. */
const PACE_MINIMUM = 1000;
const PACE_MAXIMUM = 24 * 60 * 60 * 1000;
/** A cause of a cause of a cause. */
const CAUSES_MAXIMUM = 4;

/**
 * What `error` says. `now`, in ms since 1970, is for a Retry-After that is a date. Timeouts, errors of the connection,
 * bad output, and whatever the table does not know are failures.
 */
export function outcomeOf(error: unknown, now: number): Outcome {
  const signs = signsOf(error, now);
  const row = TABLE.find(({ matches }) => matches(signs));
  if (row === undefined) return 'failure';
  return typeof row.outcome === 'function' ? row.outcome(signs) : row.outcome;
}

/** The code of what was surely not sent, where it has none of its own. */
export const NOT_SENT = 'NOT_SENT';

/**
 * True where the provider surely did nothing for it: it refused it, or was not reached. Not where a gateway answered (408,
 * 499, 502, 504, 520 and the like), behind which it may have gone on. Of what gave up after some tries: where that holds
 * of all of them.
 */
export function isUnpaid(error: unknown): boolean {
  return isUnpaidWithin(error, CAUSES_MAXIMUM);
}

function isUnpaidWithin(error: unknown, levels: number): boolean {
  const chain = causesOf(error);
  const telling = chain.find((one) => statusOf(one) !== undefined || triesOf(one).length > 0);
  if (telling === undefined) return chain.some(wasNotSent);
  const status = statusOf(telling);
  if (status !== undefined) return isRefusal(status);
  return levels > 0 && triesOf(telling).every((one) => isUnpaidWithin(one, levels - 1));
}

/** True for a status by which a provider says that it does nothing. */
function isRefusal(status: number): boolean {
  if (status >= 500) return REFUSING_5XX.includes(status);
  return status >= 400 && status !== 408 && status !== 499;
}

const REFUSING_5XX: readonly number[] = [500, 501, 503, 529];

/** What gave up after some tries has the errors of all of them as its `errors`. */
function triesOf({ errors }: Record<string, unknown>): readonly unknown[] {
  return Array.isArray(errors) ? errors : [];
}

/** Codes of what happens before a request is sent; not those of connections that may break later, too. */
const UNSENT: readonly string[] = [
  // There is no such address, or nobody there.
  'econnrefused',
  'enotfound',
  'eai_again',
  'ehostunreach',
  'enetunreach',
  'und_err_connect_timeout',
  'err_invalid_url',
  // Who answers is not who was meant.
  'cert_has_expired',
  'cert_not_yet_valid',
  'depth_zero_self_signed_cert',
  'self_signed_cert_in_chain',
  'unable_to_get_issuer_cert_locally',
  'unable_to_verify_leaf_signature',
  'err_tls_cert_altname_invalid',
  NOT_SENT.toLowerCase(),
];

/** What fetch says, without a code, of addresses that it asks nothing of. */
const UNSENT_MESSAGES: readonly string[] = ['bad port', 'unknown scheme'];

function wasNotSent(one: Record<string, unknown>): boolean {
  const { message, code } = one;
  if (code === undefined && UNSENT_MESSAGES.some((text) => text === message)) return true;
  return codesOf(one).some((of) => UNSENT.includes(of));
}

function signsOf(error: unknown, now: number): Signs {
  const chain = causesOf(error);
  const first = <Value>(read: (one: Record<string, unknown>) => Value | undefined): Value | undefined =>
    chain.map(read).find((value) => value !== undefined);
  return {
    status: first(statusOf),
    codes: chain.flatMap(codesOf),
    retryAfter: first((one) => retryAfterOf(one, now)),
    nonRetryable: isNonRetryable(chain[0] ?? {}),
  };
}

/** What gave up after some tries has the last one's error as its `lastError`. */
function causesOf(error: unknown): Record<string, unknown>[] {
  const chain: Record<string, unknown>[] = [];
  let one = error;
  while (isRecord(one) && chain.length < CAUSES_MAXIMUM) {
    chain.push(one);
    one = one['cause'] ?? one['lastError'];
  }
  return chain;
}

/** As Temporal's failures say it, or as Cadre's own do. */
function isNonRetryable({ name, nonRetryable, retryable }: Record<string, unknown>): boolean {
  return nonRetryable === true || (name === 'CadreError' && retryable === false);
}

function statusOf(one: Record<string, unknown>): number | undefined {
  const response = isRecord(one['response']) ? one['response'] : {};
  const known = [one['status'], one['statusCode'], response['status'], response['statusCode']];
  return known.find((value): value is number => typeof value === 'number' && value >= 100 && value < 600);
}

/** Clients put the provider's own code into `code`, `type`, or the body, which they keep as `error` or `data`. */
function codesOf(one: Record<string, unknown>): string[] {
  const paths = [['error'], ['error', 'error'], ['data'], ['data', 'error'], ['response', 'data', 'error']];
  const bodies = paths.map((path) => valueAt(one, path)).filter(isRecord);
  return [one, ...bodies]
    .flatMap((of) => [of['code'], of['type']])
    .concat(one['name'])
    .filter((value): value is string => typeof value === 'string')
    .map((value) => value.toLowerCase());
}

/** See RFC 9110, 10.2.3; `retry-after-ms` is what some providers send beside it. */
function retryAfterOf(one: Record<string, unknown>, now: number): number | undefined {
  const response = isRecord(one['response']) ? one['response'] : {};
  for (const headers of [one['headers'], one['responseHeaders'], response['headers']]) {
    const milliseconds = Number.parseFloat(headerOf(headers, 'retry-after-ms') ?? '');
    const given = Number.isFinite(milliseconds)
      ? milliseconds
      : parseRetryAfter(headerOf(headers, 'retry-after'), now);
    if (given !== undefined) return Math.min(PACE_MAXIMUM, Math.max(PACE_MINIMUM, given));
  }
  return undefined;
}

function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d+(\.\d+)?\s*$/.test(value)) return Number(value) * 1000;
  // Date.parse takes the 5 of "in 5" for a month.
  const date = /\d:\d\d:\d\d/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : date - now;
}

function headerOf(headers: unknown, name: string): string | undefined {
  if (!isRecord(headers)) return undefined;
  const { get } = headers;
  if (typeof get === 'function') {
    const value: unknown = get.call(headers, name);
    return typeof value === 'string' ? value : undefined;
  }
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  const value: unknown = Array.isArray(found) ? found[0] : found;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}
