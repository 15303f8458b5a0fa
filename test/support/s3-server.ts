/**
 * What S3 does with the objects of one bucket, on loopback. Owns its own reading of signatures (AWS Signature Version 4), so
 * that a client that signs wrongly is refused as Amazon would refuse it.
 */
import { createHash, createHmac } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What befalls one request. */
export type Mishap =
  /** Answered so, and nothing is done. */
  | { readonly kind: 'refuse'; readonly status: number; readonly code: string }
  /** The connection ends: before anything is done, or after it. */
  | { readonly kind: 'cut'; readonly done: boolean }
  /** Answered with a redirect to `location`. */
  | { readonly kind: 'redirect'; readonly location: string };

export interface S3Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** 0 where the connection was cut. */
  status: number;
}

interface Answer {
  readonly status: number;
  readonly body?: Uint8Array | string;
  readonly headers?: Record<string, string>;
}

export const S3_CREDENTIALS = { accessKeyId: 'AKIDTEST', secretAccessKey: 'canary/secret+key=' } as const;
export const S3_REGION = 'eu-central-1';
const BUCKET = 'artifacts';
const FIFTEEN_MINUTES = 15 * 60 * 1000;

export class S3Server {
  /** By key. */
  readonly objects = new Map<string, Uint8Array>();
  readonly received: S3Received[] = [];
  /** For the next requests, one each. */
  readonly mishaps: Mishap[] = [];
  /** Ask for it, where it is set. */
  sessionToken: string | undefined;
  /** False for a server that does not know `If-None-Match` on PUT. */
  conditions = true;

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => void this.receive(request, response));
  }

  static async start(): Promise<S3Server> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new S3Server(server);
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** What `CADRE_ARTIFACTS` and the variables of AWS are for a client of it. */
  environment(prefix = 'cadre'): Record<string, string> {
    return {
      CADRE_ARTIFACTS: `s3://${BUCKET}/${prefix}?endpoint=${this.endpoint}&region=${S3_REGION}`,
      AWS_ACCESS_KEY_ID: S3_CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: S3_CREDENTIALS.secretAccessKey,
    };
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const received: S3Received = { method, path: url, headers, status: 0 };
    this.received.push(received);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const answer = this.answer(request, Buffer.concat(chunks));
    if (answer === undefined) {
      request.socket.destroy();
      return;
    }
    received.status = answer.status;
    response.writeHead(answer.status, answer.headers);
    response.end(answer.body);
  }

  /** Undefined: the connection is cut. */
  private answer(request: IncomingMessage, body: Buffer): Answer | undefined {
    const mishap = this.mishaps.shift();
    if (mishap?.kind === 'refuse') return failure(mishap.status, mishap.code);
    if (mishap?.kind === 'redirect') return { status: 307, headers: { location: mishap.location } };
    if (mishap?.kind === 'cut' && !mishap.done) return undefined;
    const wrong = this.wrongIn(request, body);
    const answer = wrong === undefined ? this.perform(request, body) : failure(403, wrong);
    return mishap === undefined ? answer : undefined;
  }

  private perform({ method, url = '', headers }: IncomingMessage, body: Buffer): Answer {
    const [, bucket, ...parts] = decodeURIComponent(url).split('/');
    if (bucket !== BUCKET) return failure(404, 'NoSuchBucket');
    const key = parts.join('/');
    const there = this.objects.get(key);
    if (method === 'GET')
      return there === undefined ? failure(404, 'NoSuchKey') : { status: 200, body: there };
    if (method !== 'PUT') return failure(405, 'MethodNotAllowed');
    if (this.conditions && headers['if-none-match'] === '*' && there !== undefined) {
      return failure(412, 'PreconditionFailed');
    }
    this.objects.set(key, body);
    return { status: 200 };
  }

  /** The code of what is wrong with the signature, if anything. */
  private wrongIn(request: IncomingMessage, body: Buffer): string | undefined {
    const { headers } = request;
    const authorization =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
        headers.authorization ?? '',
      );
    if (authorization === null) return 'AccessDenied';
    const [, accessKeyId = '', date = '', region = '', names = '', signature = ''] = authorization;
    if (accessKeyId !== S3_CREDENTIALS.accessKeyId) return 'InvalidAccessKeyId';
    if (headers['x-amz-security-token'] !== this.sessionToken) return 'InvalidToken';
    if (region !== S3_REGION) return 'AuthorizationHeaderMalformed';
    if (headers['x-amz-content-sha256'] !== sha256(body)) return 'XAmzContentSHA256Mismatch';
    const at = String(headers['x-amz-date']);
    if (!at.startsWith(date) || Math.abs(Date.now() - timeOf(at)) > FIFTEEN_MINUTES) {
      return 'RequestTimeTooSkewed';
    }
    const signed = names.split(';');
    const owed = Object.keys(headers).filter((name) => name.startsWith('x-amz-') || name === 'if-none-match');
    if (!['host', ...owed].every((name) => signed.includes(name))) return 'AccessDenied';
    return signature === signatureOf(request, signed, `${date}/${region}/s3/aws4_request`)
      ? undefined
      : 'SignatureDoesNotMatch';
  }
}

function signatureOf(
  { method, url = '', headers }: IncomingMessage,
  signed: string[],
  scope: string,
): string {
  const [path, query = ''] = url.split('?');
  const canonical = [
    method,
    path,
    query,
    ...signed.map((name) => `${name}:${String(headers[name]).trim()}`),
    '',
    signed.join(';'),
    headers['x-amz-content-sha256'],
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = scope
    .split('/')
    .reduce<string | Buffer>(
      (secret, part) => createHmac('sha256', secret).update(part).digest(),
      `AWS4${S3_CREDENTIALS.secretAccessKey}`,
    );
  return createHmac('sha256', key).update(toSign).digest('hex');
}

/** Of `20260102T030405Z`, in ms since 1970. */
function timeOf(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** As S3 words it: with what was sent, secrets included. */
function failure(status: number, code: string): Answer {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>No</Message><StringToSign>${S3_CREDENTIALS.secretAccessKey}</StringToSign></Error>`;
  return { status, body, headers: { 'content-type': 'application/xml' } };
}
