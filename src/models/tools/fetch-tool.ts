/**
 * A tool with which a model reads a page of the web. Owns which addresses may be asked, hop by hop.
 *
 * 1. Each hop is checked alike: its scheme, that its address holds no credentials, its host, and all that its name leads to.
 * 2. A name is resolved once a hop, and the connection goes to what was checked.
 * 3. Headers belong to an origin: another one never gets them, neither at first nor by a redirect.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { TextDecoder } from 'node:util';
import type { Duration } from '@temporalio/common';
import type * as zod from 'zod';
import { codeOf } from '../../activities/documents/system-error';
import { orAborted } from '../../activities/or-aborted';
import { durationMs } from '../../activities/policy-fields';
import { CadreError } from '../../core/failures';
import { isRecord, shownJson } from '../../core/json';
import type { ModelTool } from '../model-tools';
import { type AddressKind, addressKind } from './addresses';
import { type PinnedResponse, hostOf, pinnedRequest } from './pinned-request';
import { ToldError } from './told-error';

/** All fields are optional. */
export interface FetchToolOptions {
  /** The hosts that may be asked, such as `example.com`, or `*.example.com` for all below it; at any port. Default: all. */
  readonly allow?: readonly string[];
  /**
   * Lets the tool reach this machine and its networks: loopback, private, unique-local and carrier-grade NAT addresses. Those of
   * link-local, multicast and reserved ranges and of the metadata of clouds stay refused. Default false.
   */
  readonly allowPrivate?: boolean;
  /** Where a body is cut off: 1 to 16 MiB. Default 64 KiB. */
  readonly maxBytes?: number;
  /** For all of a call, redirects included: 1 ms to 10 minutes. Default 30 seconds. */
  readonly timeout?: Duration;
  /** 0 to 20. Default 5. */
  readonly maxRedirects?: number;
  /** Request headers by origin, such as `{ 'https://api.example.com': { authorization: '...' } }`. Never recorded. */
  readonly headers?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The addresses of a name. Default: those that the system knows. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

export interface FetchInput {
  readonly url: string;
}

/** What the tool returns. */
export interface Fetched {
  /** Of the last hop. */
  readonly url: string;
  readonly status: number;
  readonly type: string;
  readonly text: string;
  /** Whether `text` is only the beginning. */
  readonly cut: boolean;
}

const KIBIBYTE = 1024;
const BYTES_MAXIMUM = 16 * KIBIBYTE * KIBIBYTE;
const TIMEOUT_MAXIMUM = 600_000;
const REDIRECTS_MAXIMUM = 20;
const URL_MAXIMUM_LENGTH = 8192;
const REDIRECTS = [301, 302, 303, 307, 308];
const FIELDS = [
  'allow',
  'allowPrivate',
  'maxBytes',
  'timeout',
  'maxRedirects',
  'headers',
  'resolve',
] satisfies (keyof FetchToolOptions)[];

/**
 * A tool for `modelAgent({ tools })` that reads one http or https address by GET, text only. What it may not reach, and what goes
 * wrong, is told to the model; an HTTP status is a result. Results are text of others.
 *
 * Throws CadreError ConfigInvalid for options that are none.
 */
export function fetchTool(options: FetchToolOptions = {}): ModelTool<FetchInput> {
  const rules = rulesOf(options);
  const { z } = require('zod') as typeof zod;
  const hosts = options.allow === undefined ? '' : ` Hosts that may be asked: ${options.allow.join(', ')}.`;
  return {
    description: `Reads an http or https address by GET, text only, up to ${rules.maxBytes} bytes.${hosts}`,
    input: z.object({ url: z.string().max(URL_MAXIMUM_LENGTH) }),
    effect: 'read',
    // `maxBytes` is its limit.
    maxResultBytes: Infinity,
    run: ({ url }, { signal }) => fetchText(url, rules, signal),
  };
}

type Rules = Required<Omit<FetchToolOptions, 'allow' | 'timeout'>> & {
  readonly allow: readonly string[] | undefined;
  /** In ms. */
  readonly timeout: number;
};

async function fetchText(address: string, rules: Rules, attempt: AbortSignal): Promise<Fetched> {
  const limit = AbortSignal.timeout(rules.timeout);
  const signal = AbortSignal.any([attempt, limit]);
  try {
    return await follow(address, rules, signal);
  } catch (error) {
    attempt.throwIfAborted();
    if (limit.aborted) throw new ToldError(`There was no whole answer within ${rules.timeout / 1000} s`);
    // Of what the system says only its code: the rest may name addresses of the network.
    if (error instanceof ToldError) throw error;
    throw new ToldError(`The address could not be read (${codeOf(error)})`);
  }
}

async function follow(address: string, rules: Rules, signal: AbortSignal): Promise<Fetched> {
  let url = readUrl(address);
  for (let redirects = 0; ; redirects += 1) {
    const response = await request(url, rules, signal);
    const { location } = response.headers;
    if (!REDIRECTS.includes(response.status) || location === undefined) return fetched(url, response);
    if (redirects === rules.maxRedirects) {
      throw new ToldError(`There are more than ${rules.maxRedirects} redirects`);
    }
    url = readUrl(location, url);
  }
}

async function request(url: URL, rules: Rules, signal: AbortSignal): Promise<PinnedResponse> {
  const host = hostOf(url);
  if (rules.allow?.some((allowed) => matches(host, allowed)) === false) {
    throw new ToldError(`The host ${shownJson(host)} may not be asked`);
  }
  const addresses = await checkedAddresses(host, rules, signal);
  const headers = { ...BASE_HEADERS, ...rules.headers[url.origin] };
  return pinnedRequest({ url, addresses, headers, signal, maxBytes: rules.maxBytes });
}

const BASE_HEADERS = {
  accept: 'text/*, application/json, application/xml;q=0.9, */*;q=0.1',
  'accept-encoding': 'identity',
  'user-agent': 'cadre',
};

function readUrl(address: string, base?: URL): URL {
  // Messages do not repeat the address: it may hold a password.
  if (!URL.canParse(address, base?.href)) throw new ToldError('That is no address of the web');
  const url = new URL(address, base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ToldError(`Only http and https addresses are read, not ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new ToldError('Addresses with a name or password in them are not read');
  }
  return url;
}

/** All addresses of the host; refused where one of them is. */
async function checkedAddresses(host: string, rules: Rules, signal: AbortSignal): Promise<readonly string[]> {
  // Nothing ends a look-up of the system's.
  const addresses = isIP(host) === 0 ? await orAborted(rules.resolve(host), signal) : [host];
  if (addresses.length === 0) throw new ToldError(`The host ${shownJson(host)} has no address`);
  const may: readonly AddressKind[] = rules.allowPrivate ? ['public', 'private'] : ['public'];
  if (addresses.some((address) => !may.includes(addressKind(address)))) {
    throw new ToldError(`The host ${shownJson(host)} has an address that may not be reached`);
  }
  return addresses;
}

function matches(host: string, allowed: string): boolean {
  return allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed;
}

function fetched(url: URL, { status, headers, body, cut }: PinnedResponse): Fetched {
  const type = headers['content-type'] ?? '';
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new ToldError(`The answer is encoded as ${shownJson(encoding)}`);
  if (body.length > 0 && !TEXT.test(type)) {
    throw new ToldError(`The answer is no text, but ${shownJson(type)}`);
  }
  return { url: url.href, status, type, text: decoder(type).decode(body), cut };
}

/** Also where nothing is said. */
const TEXT =
  /^\s*($|text\/|application\/(json|xml|javascript|ecmascript|x-ndjson|yaml)\b|[\w.-]+\/[\w.-]+\+(json|xml|yaml)\b)/i;

function decoder(type: string): TextDecoder {
  const label = /charset\s*=\s*"?([^\s";]+)/i.exec(type)?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(label);
  } catch {
    return new TextDecoder();
  }
}

async function systemAddresses(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

function rulesOf(options: FetchToolOptions): Rules {
  const unknown = Object.keys(options).find((field) => !FIELDS.some((known) => known === field));
  check(unknown === undefined, 'options', `of ${FIELDS.join(', ')}`, unknown);
  const { allow, allowPrivate = false, maxBytes = 64 * KIBIBYTE, maxRedirects = 5, headers = {} } = options;
  const { timeout = 30_000, resolve = systemAddresses } = options;
  const milliseconds = durationMs(timeout);
  check(allow === undefined || Array.isArray(allow), 'allow', 'a list of hosts', allow);
  check(typeof allowPrivate === 'boolean', 'allowPrivate', 'true or false', allowPrivate);
  checkWhole('maxBytes', maxBytes, [1, BYTES_MAXIMUM]);
  checkWhole('maxRedirects', maxRedirects, [0, REDIRECTS_MAXIMUM]);
  const inTime = milliseconds >= 1 && milliseconds <= TIMEOUT_MAXIMUM;
  check(inTime, 'timeout', "from 1 ms to 10 minutes, such as '30s'", timeout);
  check(isRecord(headers), 'headers', 'headers by origin', typeof headers);
  for (const origin of Object.keys(headers)) {
    const same = URL.canParse(origin) && new URL(origin).origin === origin && /^https?:/.test(origin);
    check(same, 'headers', "by origin, such as 'https://api.example.com'", origin);
  }
  return {
    allow: allow?.map(allowedHost),
    allowPrivate,
    maxBytes,
    maxRedirects,
    headers,
    resolve,
    timeout: Math.round(milliseconds),
  };
}

/** As URLs write it. */
function allowedHost(host: unknown): string {
  const [, star = '', name = ''] = /^(\*\.)?([^/@?#\\*]+)$/.exec(typeof host === 'string' ? host : '') ?? [];
  const address = `http://${isIP(name) === 6 ? `[${name}]` : name}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const known = url !== undefined && name !== '' && url.port === '' && !/:\d+$/.test(address);
  check(known, 'allow', "hosts without a port, such as 'example.com' or '*.example.com'", host);
  return `${star}${url === undefined ? '' : hostOf(url)}`;
}

function checkWhole(field: string, value: number, [minimum, maximum]: readonly [number, number]): void {
  const fits = Number.isInteger(value) && value >= minimum && value <= maximum;
  check(fits, field, `a whole number from ${minimum} to ${maximum}`, value);
}

function check(fits: boolean, field: string, expected: string, got: unknown): void {
  if (fits) return;
  throw new CadreError(
    'ConfigInvalid',
    `Expected \`${field}\` of fetchTool to be ${expected}, got ${shownJson(got)}`,
  );
}
