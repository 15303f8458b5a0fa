/**
 * What a call of a model failed with, as it may cross: one of Cadre's failures, whose cause holds the status, the code and
 * the Retry-After of the provider's answer, and nothing else of it. Requests, headers and bodies may hold secrets.
 */
import { TemporalFailure } from '@temporalio/common';
import { CadreError, isCadreError } from '../core/failures';
import { isRecord } from '../core/json';
import { oneLine } from '../core/one-line';
import { NOT_SENT, isUnpaid, outcomeOf } from '../core/outcome';
import { SECRET_NAME, Secrets } from '../core/secrets';

/** What a provider answered, or that it did not. */
class ProviderError extends Error {
  override readonly name = 'ProviderError';

  constructor(
    message: string,
    /** HTTP status; absent where there was no answer. */
    readonly status: number | undefined,
    /** The provider's own code, or that of the connection. */
    readonly code: string | undefined,
    /** `retry-after` and `retry-after-ms`, where they were given. */
    readonly headers: Readonly<Record<string, string>>,
  ) {
    super(message);
  }
}

const MESSAGE_MAXIMUM_LENGTH = 500;
const RETRY_HEADERS: readonly string[] = ['retry-after', 'retry-after-ms'];

/**
 * The failure for `error`, which a call of `model` (`provider/model`) was ended by: ModelRefused where no retry can mend it,
 * else ModelUnavailable. Failures of Cadre's and of Temporal's stay as they are.
 */
export function modelFailure(error: unknown, model: string): unknown {
  if (isCadreError(error) || error instanceof TemporalFailure) return error;
  const cause = providerError(error);
  const said = cause.message === '' ? '' : `: ${cause.message}`;
  const unanswered = isUnpaid(cause) ? 'was not asked' : 'gave no answer';
  const answered = cause.status === undefined ? unanswered : `answered ${cause.status}`;
  const final = isMisuse(error) || outcomeOf(cause, Date.now()) === 'final';
  return new CadreError(final ? 'ModelRefused' : 'ModelUnavailable', `${model} ${answered}${said}`, {
    details: { model, ...(cause.status === undefined ? {} : { status: cause.status }) },
    cause,
  });
}

function providerError(error: unknown): ProviderError {
  const { message, statusCode, responseHeaders, data }: Record<string, unknown> = isRecord(error)
    ? error
    : { message: String(error) };
  const headers = isRecord(responseHeaders) ? Object.entries(responseHeaders) : [];
  const status = typeof statusCode === 'number' && statusCode >= 100 ? statusCode : undefined;
  return new ProviderError(
    oneLine(withoutSecrets(String(message)), MESSAGE_MAXIMUM_LENGTH),
    status,
    codeOf(data) ?? codeOfConnection(error) ?? (status === undefined ? codeOfUnsent(error) : undefined),
    Object.fromEntries(
      headers.filter(
        (header): header is [string, string] =>
          RETRY_HEADERS.includes(header[0].toLowerCase()) && typeof header[1] === 'string',
      ),
    ),
  );
}

/** The provider's own code, or what else it calls the kind of error. */
function codeOf(data: unknown): string | undefined {
  const error = isRecord(data) && isRecord(data['error']) ? data['error'] : {};
  return [error['code'], error['type']].find((value): value is string => typeof value === 'string');
}

function codeOfConnection(error: unknown): string | undefined {
  let one = error;
  for (let depth = 0; isRecord(one) && depth < 4; depth += 1) {
    if (typeof one['code'] === 'string') return one['code'];
    one = one['cause'];
  }
  return undefined;
}

function codeOfUnsent(error: unknown): string | undefined {
  return isMisuse(error) || isUnpaid(error) ? NOT_SENT : undefined;
}

/** What the AI SDK says of a request that it does not send. */
function isMisuse(error: unknown): boolean {
  return error instanceof Error && MISUSE.includes(error.name);
}

const MISUSE: readonly string[] = [
  'AI_InvalidArgumentError',
  'AI_InvalidPromptError',
  'AI_LoadAPIKeyError',
  'AI_LoadSettingError',
  'AI_NoSuchModelError',
  'AI_UnsupportedFunctionalityError',
];

/** Some providers repeat the key that they refuse; addresses may hold a password. */
function withoutSecrets(text: string): string {
  const secrets = new Secrets();
  for (const [name, value = ''] of Object.entries(process.env)) {
    if (SECRET_NAME.test(name)) secrets.add(value, '[removed]');
  }
  return secrets.hide(text).replaceAll(/\/\/[^\s/?#]*@/g, '//[removed]@');
}
