/** What of an exchange with a provider is kept, and how bodies are read and written again. */
import { z } from 'zod';
import { assertNever } from '../../core/json';

/** The providers whose address a variable says. */
export const CASSETTE_PROVIDERS = ['openai', 'anthropic', 'compatible'] as const;

export type CassetteProvider = (typeof CASSETTE_PROVIDERS)[number];

const bodySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('json'), json: z.unknown() }),
  /** The events of a stream, each with the empty line that ends it. */
  z.object({ kind: z.literal('events'), events: z.array(z.string()) }),
  z.object({ kind: z.literal('text'), text: z.string() }),
]);

const exchangeSchema = z.object({
  request: z.object({
    provider: z.enum(CASSETTE_PROVIDERS),
    method: z.string(),
    /** Below the provider's address, without a query. */
    path: z.string(),
    /** Its JSON; a text where it is none, null where there is no body. */
    body: z.unknown(),
  }),
  reply: z.object({
    status: z.int().min(200).max(599),
    headers: z.record(z.string(), z.string()),
    body: bodySchema,
  }),
});

/** The form of the file, by the number of it. */
export const fileSchema = z.object({ cassette: z.literal(1), exchanges: z.array(exchangeSchema) });

export type Exchange = z.infer<typeof exchangeSchema>;
export type RecordedRequest = Exchange['request'];
export type RecordedReply = Exchange['reply'];
type ReplyBody = z.infer<typeof bodySchema>;

/** All that a caller needs of a reply; the others name accounts, hosts and sessions. */
const KEPT_HEADERS: readonly string[] = ['content-type', 'retry-after', 'retry-after-ms'];

export function keptHeaders(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => KEPT_HEADERS.includes(name)));
}

export function requestBody(text: string): unknown {
  return text === '' ? null : (parsed(text)?.json ?? text);
}

export function replyBody(text: string, contentType = ''): ReplyBody {
  if (contentType.startsWith('text/event-stream')) {
    return { kind: 'events', events: text.split(/(?<=\n\r?\n)/) };
  }
  const json = parsed(text);
  return json === undefined ? { kind: 'text', text } : { kind: 'json', ...json };
}

/** What is written to the connection, in order. */
export function piecesOf(body: ReplyBody): readonly string[] {
  switch (body.kind) {
    case 'json':
      return [JSON.stringify(body.json)];
    case 'events':
      return body.events;
    case 'text':
      return [body.text];
    default:
      return assertNever(body);
  }
}

/** In an object, since JSON may be null. */
function parsed(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
