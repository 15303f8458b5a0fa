import { crc32 } from 'node:zlib';
import { words } from '../text/words';
import { type CitedSentence, type Passage, citableSentences, linesOf, passagesOf } from './passages';
import type { ReadDocument } from './readers';

/** What is shown of a passage: read only of those that may answer. */
export interface PassageText {
  readonly headings: readonly string[];
  readonly sentences: readonly CitedSentence[];
}

/**
 * Where a passage's words stand among the document's tokens: its text from `from`, then its own heading, then the headings
 * above that, up to `end`.
 */
export interface PassageSpan {
  readonly from: number;
  readonly heading: number;
  readonly title: number;
  readonly end: number;
  /** The first and last line that it begins a line of text on. */
  readonly lines: readonly [number, number];
  /** How many sentences can be cited. */
  readonly sentences: number;
}

/** A document as it is searched: which of its words stands where. Follows from the file's bytes alone. */
export interface IndexedDocument {
  readonly kind: 'read';
  readonly flaw?: string | undefined;
  /** Its words, each once, in lower case. */
  readonly vocabulary: readonly string[];
  /** Twice the word's position in the vocabulary; 1 more where one character parts it from the word before. */
  readonly tokens: Uint16Array | Uint32Array;
  readonly spans: readonly PassageSpan[];
  /** The text of each passage. */
  readonly texts: () => readonly PassageText[];
}

/** A document, or why it was not read. */
export type Indexed = IndexedDocument | Extract<ReadDocument, { kind: 'skipped' }>;

const SPAN_NUMBERS = 7;
const HEADER_BYTES = 12;
const SMALL_VOCABULARY = 0x8000;

/** Indexes what was read. */
export function indexDocument(document: ReadDocument): Indexed {
  if (document.kind === 'skipped') return document;
  const passages = passagesOf(document.blocks);
  const builder = new TokenBuilder();
  const texts = passages.map((passage) => ({
    headings: passage.headings,
    sentences: citableSentences(passage),
  }));
  const spans = passages.map((passage, index) =>
    spanOf(builder, passage, texts[index]?.sentences.length ?? 0),
  );
  return {
    kind: 'read',
    flaw: document.flaw,
    vocabulary: builder.vocabulary,
    tokens: builder.tokens(),
    spans,
    texts: () => texts,
  };
}

function spanOf(builder: TokenBuilder, passage: Passage, sentences: number): PassageSpan {
  const from = builder.length;
  builder.add(passage.blocks.map((block) => block.text).join('\n'));
  const heading = builder.length;
  builder.add(passage.headings.at(-1) ?? '');
  const title = builder.length;
  builder.add(passage.headings.slice(0, -1).join('\n'));
  return { from, heading, title, end: builder.length, lines: linesOf(passage), sentences };
}

class TokenBuilder {
  readonly vocabulary: string[] = [];
  private readonly positions = new Map<string, number>();
  private readonly numbers: number[] = [];

  get length(): number {
    return this.numbers.length;
  }

  add(text: string): void {
    let end = Number.NaN;
    for (const word of words(text)) {
      let position = this.positions.get(word.text);
      if (position === undefined) {
        position = this.vocabulary.push(word.text) - 1;
        this.positions.set(word.text, position);
      }
      this.numbers.push(2 * position + (word.from - end === 1 ? 1 : 0));
      end = word.to;
    }
  }

  tokens(): Uint16Array | Uint32Array {
    const small = this.vocabulary.length <= SMALL_VOCABULARY;
    return small ? Uint16Array.from(this.numbers) : Uint32Array.from(this.numbers);
  }
}

interface Meta {
  readonly problem?: string;
  readonly flaw?: string | undefined;
  /** Divided by line ends. */
  readonly vocabulary?: string;
  /** {@link SPAN_NUMBERS} numbers a passage. */
  readonly spans?: readonly number[];
}

/**
 * What is kept of a document: a checksum over `key` and the rest, the lengths of the two parts that follow (32 bits each),
 * JSON of the words and places, the tokens, and JSON of the texts.
 */
export function encodeIndexed(key: string, document: Indexed): Buffer {
  if (document.kind === 'skipped') return sealed(key, { problem: document.problem }, Buffer.alloc(0), '');
  const { vocabulary, tokens, spans, flaw } = document;
  const meta: Meta = {
    flaw,
    vocabulary: vocabulary.join('\n'),
    spans: spans.flatMap(({ from, heading, title, end, lines, sentences }) => [
      from,
      heading,
      title,
      end,
      ...lines,
      sentences,
    ]),
  };
  const bytes = Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  return sealed(key, meta, bytes, JSON.stringify(document.texts()));
}

function sealed(key: string, meta: Meta, tokens: Buffer, texts: string): Buffer {
  const head = Buffer.from(JSON.stringify(meta));
  const entry = Buffer.concat([Buffer.alloc(HEADER_BYTES), head, tokens, Buffer.from(texts)]);
  entry.writeUInt32LE(head.length, 4);
  entry.writeUInt32LE(tokens.length, 8);
  entry.writeUInt32LE(checksum(key, entry), 0);
  return entry;
}

/** The document that was kept under `key`; undefined where the entry is not what was written. */
export function decodeIndexed(key: string, entry: Buffer): Indexed | undefined {
  if (entry.length < HEADER_BYTES || entry.readUInt32LE(0) !== checksum(key, entry)) return undefined;
  const head = HEADER_BYTES + entry.readUInt32LE(4);
  const body = head + entry.readUInt32LE(8);
  const meta = JSON.parse(entry.toString('utf8', HEADER_BYTES, head)) as Meta;
  if (meta.problem !== undefined) return { kind: 'skipped', problem: meta.problem };
  const vocabulary = meta.vocabulary === '' ? [] : (meta.vocabulary?.split('\n') ?? []);
  // A copy begins where the elements of an array may begin.
  const { buffer } = Uint8Array.from(entry.subarray(head, body));
  let texts: readonly PassageText[] | undefined;
  return {
    kind: 'read',
    flaw: meta.flaw,
    vocabulary,
    tokens: vocabulary.length <= SMALL_VOCABULARY ? new Uint16Array(buffer) : new Uint32Array(buffer),
    spans: spansOf(meta.spans ?? []),
    texts: () => (texts ??= JSON.parse(entry.toString('utf8', body)) as PassageText[]),
  };
}

function spansOf(numbers: readonly number[]): PassageSpan[] {
  const spans: PassageSpan[] = [];
  for (let at = 0; at < numbers.length; at += SPAN_NUMBERS) {
    const [from = 0, heading = 0, title = 0, end = 0, first = 1, last = 1, sentences = 0] = numbers.slice(
      at,
      at + SPAN_NUMBERS,
    );
    spans.push({ from, heading, title, end, lines: [first, last], sentences });
  }
  return spans;
}

function checksum(key: string, entry: Buffer): number {
  return crc32(entry.subarray(4), crc32(key));
}
