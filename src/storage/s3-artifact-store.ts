/**
 * Artifacts in a bucket, over the interface of S3. Owns the requests; `artifact-path.ts` owns the keys.
 *
 * 1. What is put or recorded is durable when it resolves: the server has acknowledged it, with the hash of it signed.
 * 2. A record is written only where there is none (`If-None-Match: *`), also from several processes. Where the answer was
 *    lost, the write is tried again and finds what stands.
 * 3. Credentials stand in no message, and go to no address but the endpoint: redirects are not followed.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { AwsClient } from 'aws4fetch';
import { CadreError, inputInvalid } from '../core/failures';
import type { ArtifactReference } from '../core/stored';
import { artifactPath, recordPath, referenceOf } from './artifact-path';
import type { ArtifactStore } from './artifact-store';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of credentials that expire. */
  readonly sessionToken?: string;
}

export interface S3ArtifactStoreOptions {
  readonly bucket: string;
  /** Before every key: parts of letters, digits, `.`, `_` and `-`, divided by `/`. Default: nothing. */
  readonly prefix?: string;
  /** `http` or `https`; the bucket is the first part of its paths. Default: Amazon's, of the region. */
  readonly endpoint?: string;
  /** Default `us-east-1`. */
  readonly region?: string;
  /** A function is asked before each request, for credentials that expire; what it throws is passed on. */
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
  /**
   * How long an operation is tried again where the server cannot be reached, asks to slow down or fails, in ms.
   * Default 20,000.
   */
  readonly patience?: number;
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PREFIX = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;
const REGION = /^[a-z0-9-]+$/;

/** What one try may take, in ms: beyond this, 100 kB a second. */
const TRY_MILLISECONDS = 10_000;
const BYTES_A_MILLISECOND = 100;
const FIRST_PAUSE = 100;
const PAUSE_MAXIMUM = 5000;

interface S3Request {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly content?: Uint8Array<ArrayBuffer>;
  /** How much comes back, where that is known. */
  readonly expects?: number;
}

/** How one try ended. */
type Tried =
  /** 404 and 412 are answers too: it is not there, and it is there already. */
  | { readonly kind: 'answer'; readonly status: number; readonly content: Uint8Array }
  | { readonly kind: 'failed'; readonly reason: string; readonly passing: boolean; readonly cause?: unknown };

/**
 * An {@link ArtifactStore} in a bucket of S3, or of a server that speaks as S3 does and honours `If-None-Match` on PUT.
 * Needs `s3:GetObject`, `s3:PutObject` and, so that what is missing can be told from what is forbidden, `s3:ListBucket`.
 *
 * Operations reject with CadreError `ArtifactsUnavailable` where the server cannot be reached or refuses.
 */
export class S3ArtifactStore implements ArtifactStore {
  /** Where it keeps things, for messages. */
  readonly location: string;
  private readonly root: string;
  private readonly signer: () => Promise<AwsClient>;
  private readonly patience: number;

  /** Throws InputInvalid. */
  constructor({ bucket, prefix = '', endpoint, region = 'us-east-1', ...options }: S3ArtifactStoreOptions) {
    if (!BUCKET.test(bucket)) throw inputInvalid('bucket', 'the name of a bucket', bucket);
    if (prefix !== '' && !PREFIX.test(prefix)) {
      throw inputInvalid('prefix', 'parts of letters, digits, ".", "_" and "-", divided by "/"', prefix);
    }
    if (!REGION.test(region)) throw inputInvalid('region', 'the name of a region', region);
    const below = prefix === '' ? '' : `/${prefix}`;
    this.root = `${bucketUrl(bucket, region, endpoint)}${below}`;
    this.location = `s3://${bucket}${below}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
    this.signer = signerOf(options.credentials, region);
    this.patience = options.patience ?? 20_000;
  }

  async put(content: Uint8Array): Promise<ArtifactReference> {
    const reference = referenceOf(content);
    await this.write(artifactPath(reference.artifact), content);
    return reference;
  }

  async get({ artifact, bytes }: ArtifactReference): Promise<Uint8Array> {
    const content = await this.read(artifactPath(artifact), bytes);
    if (content === undefined) {
      throw new CadreError('ArtifactMissing', `No artifact ${artifact} in ${this.location}`);
    }
    if (referenceOf(content).artifact !== artifact) {
      throw new CadreError('ArtifactMissing', `Artifact ${artifact} in ${this.location} was changed`);
    }
    return content;
  }

  async record(name: string, content: Uint8Array): Promise<Uint8Array> {
    const path = recordPath(name);
    if (await this.write(path, content, { 'if-none-match': '*' })) return content;
    const standing = await this.read(path);
    if (standing === undefined) throw this.unavailable('write', path, 'it was there, and was removed');
    return standing;
  }

  async recall(name: string): Promise<Uint8Array | undefined> {
    return this.read(recordPath(name));
  }

  /** True where it was written, false where the condition in `headers` did not hold. */
  private async write(
    path: string,
    content: Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<boolean> {
    const answer = await this.send({ method: 'PUT', path, headers, content: new Uint8Array(content) });
    if (answer.status === 404) throw this.unavailable('write', path, '404');
    return answer.status !== 412;
  }

  private async read(path: string, expects = 0): Promise<Uint8Array | undefined> {
    const { status, content } = await this.send({ method: 'GET', path, expects });
    return status === 200 ? content : undefined;
  }

  private async send(request: S3Request): Promise<Tried & { readonly kind: 'answer' }> {
    const deadline = performance.now() + this.patience;
    for (let longest = FIRST_PAUSE; ; longest = Math.min(longest * 2, PAUSE_MAXIMUM)) {
      const tried = await this.attempt(request);
      if (tried.kind === 'answer') return tried;
      const pause = Math.random() * longest;
      if (!tried.passing || performance.now() + pause > deadline) {
        throw this.unavailable(
          request.method === 'PUT' ? 'write' : 'read',
          request.path,
          tried.reason,
          tried.cause,
        );
      }
      await delay(pause);
    }
  }

  private async attempt({ method, path, headers, content, expects = 0 }: S3Request): Promise<Tried> {
    const bytes = content?.byteLength ?? expects;
    const signer = await this.signer();
    const signed = await signer.sign(`${this.root}/${path}`, {
      method,
      headers: { ...headers, 'x-amz-content-sha256': sha256(content ?? '') },
      redirect: 'manual',
      signal: AbortSignal.timeout(TRY_MILLISECONDS + Math.ceil(bytes / BYTES_A_MILLISECOND)),
      ...(content === undefined ? {} : { body: content }),
    });
    try {
      const response = await fetch(signed);
      return outcomeOf(response.status, new Uint8Array(await response.arrayBuffer()));
    } catch (cause) {
      return { kind: 'failed', reason: reasonOf(cause), passing: true, cause };
    }
  }

  private unavailable(verb: string, path: string, reason: string, cause?: unknown): CadreError {
    const message = `Cannot ${verb} ${path} in ${this.location}: ${reason}`;
    return new CadreError('ArtifactsUnavailable', message, { cause });
  }
}

/** Amazon names the bucket in the host, where its certificate allows it: not with dots in the name. */
function bucketUrl(bucket: string, region: string, endpoint: string | undefined): string {
  if (endpoint !== undefined) return `${validEndpoint(endpoint)}/${bucket}`;
  if (bucket.includes('.')) return `https://s3.${region}.amazonaws.com/${bucket}`;
  return `https://${bucket}.s3.${region}.amazonaws.com`;
}

function validEndpoint(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const expected = 'a URL of http or https without a user, a query and a fragment';
  // Not in the message where there is a user: a password would be too.
  if (url === undefined || url.username !== '' || url.password !== '') {
    throw new CadreError('InputInvalid', `Expected endpoint to be ${expected}`);
  }
  if (!/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw inputInvalid('endpoint', expected, `${url.protocol}//${url.host}${url.pathname}`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** The library is loaded at the first request. It holds the credentials, and is kept out of the store's fields. */
function signerOf(
  credentials: S3ArtifactStoreOptions['credentials'],
  region: string,
): () => Promise<AwsClient> {
  const keys = new Map<string, ArrayBuffer>();
  const given = typeof credentials === 'function' ? credentials : undefined;
  const fixed = typeof credentials === 'function' ? undefined : validCredentials(credentials);
  return async () => {
    const { AwsClient: Client } = await import('aws4fetch');
    const { accessKeyId, secretAccessKey, sessionToken } =
      fixed ?? validCredentials(await (given as () => Promise<S3Credentials>)());
    return new Client({
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      service: 's3',
      region,
      cache: keys,
    });
  };
}

/** Refuses what cannot stand in a header, which would name it in its error. Never tells the value. */
function validCredentials(credentials: S3Credentials): S3Credentials {
  for (const field of ['accessKeyId', 'secretAccessKey', 'sessionToken'] as const) {
    const value = credentials[field];
    if (value === undefined ? field !== 'sessionToken' : !/^[\x21-\x7e]+$/.test(value)) {
      throw new CadreError(
        'InputInvalid',
        `Expected ${field} of the credentials to be ASCII without spaces, and not empty`,
      );
    }
  }
  return credentials;
}

function outcomeOf(status: number, content: Uint8Array): Tried {
  const code = status === 200 ? '' : codeOf(content);
  if (status === 200 || status === 412 || (status === 404 && code !== 'NoSuchBucket')) {
    return { kind: 'answer', status, content };
  }
  // 409: two wrote the same record at once, and neither is there yet.
  const passing = status === 409 || status === 429 || (status >= 500 && status !== 501);
  return {
    kind: 'failed',
    reason: `${status} ${code}`.trim(),
    passing: passing || code === 'RequestTimeout',
  };
}

function reasonOf(error: unknown): string {
  const { name, cause } = error as { name?: unknown; cause?: { code?: unknown } };
  if (name === 'TimeoutError') return 'no answer in time';
  return typeof cause?.code === 'string' ? `it cannot be reached (${cause.code})` : 'it cannot be reached';
}

/** The code of an error in XML. The rest of it may hold parts of what was signed. */
function codeOf(content: Uint8Array): string {
  return /<Code>([A-Za-z0-9.]{1,100})<\/Code>/.exec(Buffer.from(content).toString('utf8'))?.[1] ?? '';
}

function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}
