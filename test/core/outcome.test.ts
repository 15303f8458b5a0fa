// Pure: what errors say of an agent's provider, a row each.
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { crossingFailure } from '../../src/core/failure-info';
import { CadreError, type FailureType } from '../../src/core/failures';
import { NOT_SENT, type Outcome, isUnpaid, outcomeOf } from '../../src/core/outcome';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const SECONDS_20 = 'Fri, 02 Jan 2026 03:04:25 GMT';
const DAY = 24 * 60 * 60 * 1000;
const of = (error: unknown): Outcome => outcomeOf(error, NOW);
const thrown = (fields: object, message = 'no'): Error => Object.assign(new Error(message), fields);
const wrapped = (cause: unknown): Error => new Error('the agent failed', { cause });

/** As the OpenAI SDK throws it. */
function openai(status: number, code: string | null, headers: Record<string, string> = {}): Error {
  const error = { message: 'no', type: code, param: null, code };
  const fields = { status, headers: new Headers(headers), error, code, param: null, type: code };
  return thrown(fields, `${status} no`);
}

/** As the Anthropic SDK throws it. */
function anthropic(status: number, type: string, headers: Record<string, string> = {}): Error {
  const error = { type: 'error', error: { type, message: 'no' } };
  return thrown({ status, headers: new Headers(headers), requestID: 'req_1', error }, `${status} no`);
}

/** As the Vercel AI SDK throws it. */
function vercel(statusCode: number, code: string, responseHeaders: Record<string, string> = {}): Error {
  const data = { error: { message: 'no', type: code, param: null, code } };
  const responseBody = JSON.stringify(data);
  const isRetryable = statusCode >= 500 || statusCode === 429;
  const fields = {
    name: 'AI_APICallError',
    url: 'https://host/',
    statusCode,
    responseHeaders,
    responseBody,
    isRetryable,
  };
  return thrown({ ...fields, data });
}

/** As the Vercel AI SDK throws it once it gives up. */
function vercelGaveUp(last: Error): Error {
  return thrown({
    name: 'AI_RetryError',
    reason: 'maxRetriesExceeded',
    errors: [last, last],
    lastError: last,
  });
}

/** As axios throws it. */
function axios(status: number, headers: Record<string, string> = {}, error: object = {}): Error {
  return thrown({
    name: 'AxiosError',
    code: 'ERR_BAD_RESPONSE',
    status,
    response: { status, headers, data: { error } },
  });
}

/** As fetch throws it. */
function fetching(code: string): Error {
  return new TypeError('fetch failed', { cause: thrown({ code, syscall: 'connect' }) });
}

test.each<[string, unknown, Outcome]>([
  ['OpenAI 500', openai(500, 'server_error'), 'failure'],
  ['OpenAI 503 without Retry-After', openai(503, null), 'failure'],
  ['OpenAI 503 with Retry-After', openai(503, null, { 'retry-after': '7' }), { paced: 7000 }],
  [
    'OpenAI 429 with Retry-After',
    openai(429, 'rate_limit_exceeded', { 'retry-after': '20' }),
    { paced: 20_000 },
  ],
  ['OpenAI 429 without Retry-After', openai(429, 'rate_limit_exceeded'), 'ignored'],
  ['OpenAI 429 out of credit', openai(429, 'insufficient_quota', { 'retry-after': '20' }), 'final'],
  ['OpenAI 400 content policy', openai(400, 'content_policy_violation'), 'final'],
  ['OpenAI 401', openai(401, 'invalid_api_key'), 'final'],
  ['OpenAI 404', openai(404, 'model_not_found'), 'final'],
  ['OpenAI 408', openai(408, null), 'failure'],
  [
    'OpenAI connection error',
    thrown({
      status: undefined,
      headers: undefined,
      error: undefined,
      code: undefined,
      cause: fetching('ECONNRESET'),
    }),
    'failure',
  ],
  ['Azure content filter', openai(400, 'content_filter'), 'final'],
  ['a content filter of status 500', openai(500, 'content_filter'), 'final'],
  ['billing that is not active, of status 500', openai(500, 'billing_not_active'), 'final'],
  ['Anthropic 529', anthropic(529, 'overloaded_error'), 'failure'],
  ['Anthropic 500', anthropic(500, 'api_error'), 'failure'],
  [
    'Anthropic 429 with Retry-After',
    anthropic(429, 'rate_limit_error', { 'Retry-After': '11' }),
    { paced: 11_000 },
  ],
  ['Anthropic 400 out of credit', anthropic(400, 'invalid_request_error'), 'final'],
  ['Anthropic 413', anthropic(413, 'request_too_large'), 'final'],
  ['a body two deep, out of credit', anthropic(429, 'insufficient_quota'), 'final'],
  ['402', thrown({ status: 402 }), 'final'],
  ['402 with Retry-After', thrown({ status: 402, headers: { 'retry-after': '5' } }), 'final'],
  ['Vercel 502', vercel(502, 'bad_gateway'), 'failure'],
  ['Vercel 429 with Retry-After', vercel(429, 'rate_limit', { 'retry-after': '3' }), { paced: 3000 }],
  ['Vercel 429 out of credit', vercel(429, 'insufficient_quota', { 'retry-after': '3' }), 'final'],
  ['Vercel 422', vercel(422, 'invalid'), 'final'],
  [
    'Vercel that gave up on 429',
    vercelGaveUp(vercel(429, 'rate_limit', { 'retry-after': '3' })),
    { paced: 3000 },
  ],
  ['Vercel that gave up on 500', vercelGaveUp(vercel(500, 'server_error')), 'failure'],
  ['axios 504', axios(504), 'failure'],
  ['axios 429 with Retry-After', axios(429, { 'retry-after': '4' }), { paced: 4000 }],
  ['axios 429 out of credit', axios(429, {}, { code: 'insufficient_quota' }), 'final'],
  ['a status of the response alone', thrown({ response: { statusCode: 403 } }), 'final'],
  ['a status of 0 beside that of the response', thrown({ status: 0, response: { status: 403 } }), 'final'],
  ['a Response', new Response('', { status: 429, headers: { 'Retry-After': '6' } }), { paced: 6000 }],
  ['fetch, refused', fetching('ECONNREFUSED'), 'failure'],
  ['fetch, no such host', fetching('ENOTFOUND'), 'failure'],
  ['fetch, reset', fetching('ECONNRESET'), 'failure'],
  [
    'a timeout of AbortSignal.timeout',
    new DOMException('The operation was aborted due to timeout', 'TimeoutError'),
    'failure',
  ],
  ['output that is no JSON', new SyntaxError('Unexpected token < in JSON at position 0'), 'failure'],
  ['a status that is none', thrown({ status: 9999 }), 'failure'],
  ['a status that is a text', thrown({ status: 'failed' }), 'failure'],
  ['a status of 200 with a bad body', thrown({ status: 200 }), 'failure'],
  ['a code that is a number', thrown({ code: 14 }), 'failure'],
  ['thrown as non-retryable', ApplicationFailure.nonRetryable('no such city', 'CityUnknown'), 'final'],
  ['thrown as retryable', ApplicationFailure.retryable('busy', 'Busy'), 'failure'],
  [
    'non-retryable for a 500',
    ApplicationFailure.create({ nonRetryable: true, cause: openai(500, null) }),
    'failure',
  ],
  ['a cause that is non-retryable', wrapped(ApplicationFailure.nonRetryable('no')), 'failure'],
  ['cancelled', new CancelledFailure('CANCELLED'), 'ignored'],
  ['wrapped, cancelled', wrapped(new CancelledFailure('CANCELLED')), 'ignored'],
  ['an error', new Error('no'), 'failure'],
])('%s', (_what, error, outcome) => {
  expect(of(error)).toEqual(outcome);
  if (error instanceof Error && !('nonRetryable' in error)) expect(of(wrapped(error))).toEqual(outcome);
});

describe('of its own failures', () => {
  test.each<[FailureType, Outcome]>([
    ['AgentOutputInvalid', 'failure'],
    ['AgentInputInvalid', 'ignored'],
    ['AgentUnknown', 'ignored'],
    ['ArtifactMissing', 'ignored'],
    ['ArtifactsUnavailable', 'ignored'],
    ['CheckpointTooLarge', 'ignored'],
    ['EffectInvalid', 'ignored'],
    ['OutcomeUnknown', 'ignored'],
    ['ActionUndone', 'ignored'],
    ['LedgerUnavailable', 'ignored'],
    ['HandedBack', 'ignored'],
    ['DocumentsUnreadable', 'final'],
    ['ServerUnreachable', 'failure'],
  ])('%s says the same as it is thrown and as it crosses: %j', (type, outcome) => {
    const error = new CadreError(type, 'no');
    expect(of(error)).toBe(outcome);
    expect(of(crossingFailure(error))).toBe(outcome);
  });
});

test.each<[string, Record<string, string | number | string[]>, number | undefined]>([
  ['seconds', { 'retry-after': '20' }, 20_000],
  ['seconds with a fraction', { 'retry-after': ' 1.5 ' }, 1500],
  ['a number', { 'retry-after': 20 }, 20_000],
  ['a list of values', { 'retry-after': ['20', '30'] }, 20_000],
  ['a name in other case', { 'Retry-After': '20' }, 20_000],
  ['a date', { 'retry-after': SECONDS_20 }, 20_000],
  ['a date of RFC 850', { 'retry-after': 'Friday, 02-Jan-26 03:04:25 GMT' }, 20_000],
  ['a date that is over', { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 1000],
  ['a date far away', { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' }, DAY],
  ['retry-after-ms', { 'retry-after-ms': '2500' }, 2500],
  ['both', { 'retry-after-ms': '2500', 'retry-after': '20' }, 2500],
  ['retry-after-ms that is none', { 'retry-after-ms': 'soon', 'retry-after': '20' }, 20_000],
  ['nothing of a second', { 'retry-after': '0' }, 1000],
  ['less than a second', { 'retry-after-ms': '3' }, 1000],
  ['a year', { 'retry-after': '31536000' }, DAY],
  ['more than a number holds', { 'retry-after': '9'.repeat(400) }, DAY],
  ['ms below zero', { 'retry-after-ms': '-5' }, 1000],
  ['seconds below zero', { 'retry-after': '-5' }, undefined],
  ['words', { 'retry-after': 'soon' }, undefined],
  ['words with a number', { 'retry-after': 'in 5' }, undefined],
  ['an empty text', { 'retry-after': '' }, undefined],
])('Retry-After as %s: %j', (_what, headers, paced) => {
  const outcome = paced === undefined ? 'ignored' : { paced };
  expect(of(thrown({ status: 429, headers }))).toEqual(outcome);
  expect(of(thrown({ statusCode: 429, responseHeaders: headers }))).toEqual(outcome);
  expect(of(thrown({ response: { status: 429, headers } }))).toEqual(outcome);
  const texts = Object.entries(headers).map(([name, value]): [string, string] => [
    name,
    String([value].flat()[0]),
  ]);
  expect(of(thrown({ status: 429, headers: new Headers(texts) }))).toEqual(outcome);
  expect(of(thrown({ status: 503, headers }))).toEqual(paced === undefined ? 'failure' : { paced });
  expect(of(thrown({ status: 500, headers }))).toBe('failure');
});

test.each([
  undefined,
  null,
  17,
  'a reason',
  '',
  [],
  Symbol('x'),
  true,
  () => 503,
  {},
  { status: null },
  { headers: 'x' },
])('whatever is thrown counts as a failure: %p', (error) => {
  expect(of(error)).toBe('failure');
  expect(of(wrapped(error))).toBe('failure');
});

test('what stands closest to the top decides, four deep', () => {
  expect(of(thrown({ status: 500, cause: openai(401, null) }))).toBe('failure');
  const third = wrapped(wrapped(wrapped(openai(401, null))));
  expect(of(third)).toBe('final');
  expect(of(wrapped(third))).toBe('failure');
});

test('causes that go round in a circle end', () => {
  const error = new Error('no');
  error.cause = wrapped(error);
  expect(of(error)).toBe('failure');
  const refused = openai(401, null);
  refused.cause = refused;
  expect(of(refused)).toBe('final');
});

describe('whether a call was paid that failed', () => {
  test.each([400, 401, 404, 422, 429, 498, 500, 501, 503, 529])(
    'a provider that answers %d has done nothing',
    (status) => {
      expect(isUnpaid(thrown({ status }))).toBe(true);
      expect(isUnpaid(wrapped(thrown({ statusCode: status })))).toBe(true);
    },
  );

  test.each([200, 408, 499, 502, 504, 505, 520, 522, 524, 530, 598, 599])(
    'behind what answers %d the provider may have gone on',
    (status) => {
      expect(isUnpaid(thrown({ status }))).toBe(false);
      expect(isUnpaid(wrapped(thrown({ statusCode: status })))).toBe(false);
    },
  );

  const unreached = thrown({ code: 'ECONNREFUSED' });
  test.each([
    ['all', [vercel(429, 'rate_limit'), unreached], true],
    ['not all', [vercel(504, 'timeout'), unreached], false],
    ['not all', [thrown({ errors: [thrown({ code: 'ECONNRESET' })] }), unreached], false],
  ])('what gave up after some tries is unpaid where all of them are: %s', (_which, errors, unpaid) => {
    const gaveUp = thrown({ name: 'AI_RetryError', errors, lastError: unreached });
    expect(isUnpaid(gaveUp)).toBe(unpaid);
    expect(isUnpaid(wrapped(gaveUp))).toBe(unpaid);
  });

  test('what a provider says of its refusal is no list of tries', () => {
    expect(isUnpaid(thrown({ status: 400, errors: [{ field: 'prompt' }] }))).toBe(true);
  });

  test('an error that is a try of its own ends', () => {
    const error = thrown({});
    expect(isUnpaid(Object.assign(error, { errors: [error] }))).toBe(false);
  });

  test.each([
    'ECONNREFUSED',
    'ENOTFOUND',
    'EAI_AGAIN',
    'UND_ERR_CONNECT_TIMEOUT',
    'ERR_INVALID_URL',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    NOT_SENT,
  ])('%s says that nothing was sent', (code) => {
    expect(isUnpaid(wrapped(thrown({ code })))).toBe(true);
  });

  test.each(['http://127.0.0.1:1/v1', 'http://[nowhere', 'ftp://127.0.0.1/v1'])(
    'fetch sends nothing to %s, and says so in its own way',
    async (address) => {
      const error: unknown = await fetch(address).catch((thrownByFetch: unknown) => thrownByFetch);
      expect(isUnpaid(error)).toBe(true);
      expect(isUnpaid(wrapped(error))).toBe(true);
    },
  );

  test.each([
    thrown({ code: 'ECONNRESET' }),
    thrown({ code: 'ETIMEDOUT' }),
    thrown({ code: 'UND_ERR_SOCKET' }),
    thrown({ code: 'UND_ERR_HEADERS_TIMEOUT' }),
    thrown({ code: 'EPROTO' }),
    new Error('timed out'),
    new Error('the answer names a bad port'),
    'no',
    undefined,
  ])('nobody knows of %p', (error) => {
    expect(isUnpaid(error)).toBe(false);
  });
});
