/**
 * The recordings of a cassette. Owns its file, which reply a request gets, and what a request that gets none is told.
 *
 * 1. A recording answers once; those of the same request answer in their order.
 * 2. A recording has its place from when it was asked for, so that the file does not depend on which reply was quicker.
 * 3. What was recorded in this session answers nothing in it.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { canonicalJson, isRecord } from '../../core/json';
import { type Difference, firstDifference, likeness } from './difference';
import { type Exchange, type RecordedReply, type RecordedRequest, fileSchema } from './exchange';

interface Recording {
  readonly request: RecordedRequest;
  /** Absent until it is whole. */
  reply?: RecordedReply;
  /** Whether it has answered, or was recorded in this session. */
  taken: boolean;
}

/** The recording that is most like a request that got none. */
export interface Nearest {
  /** Its place in the file, from 1. */
  readonly number: number;
  /** Absent where it is the same request, and has answered already. */
  readonly difference?: Difference;
}

type Whole = Recording & { readonly reply: RecordedReply };

export class Tape {
  private readonly recordings: Recording[];
  private grew = false;

  private constructor(
    private readonly path: string,
    private readonly ignore: readonly string[],
    exchanges: readonly Exchange[],
  ) {
    this.recordings = exchanges.map(({ request, reply }) => ({
      request: this.compared(request),
      reply,
      taken: false,
    }));
  }

  /** What stands in the file. Throws where it is no cassette, and where there is none, unless it `mayBeMissing`. */
  static async load(path: string, ignore: readonly string[], mayBeMissing: boolean): Promise<Tape> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return undefined;
    });
    if (text !== undefined) return new Tape(path, ignore, exchangesOf(text, path));
    if (mayBeMissing) return new Tape(path, ignore, []);
    throw new Error(`There is no cassette ${path}: record it with CADRE_CASSETTES=record`);
  }

  static empty(path: string, ignore: readonly string[]): Tape {
    return new Tape(path, ignore, []);
  }

  get name(): string {
    return basename(this.path);
  }

  /** The next reply to `request`; undefined where there is none. */
  take(request: RecordedRequest): RecordedReply | undefined {
    const found = this.same(request).find(({ taken }) => !taken);
    if (found !== undefined) found.taken = true;
    return found?.reply;
  }

  /** Holds a place for `request`, and returns what puts the reply there. */
  hold(request: RecordedRequest): (reply: RecordedReply) => void {
    const recording: Recording = { request: this.compared(request), taken: true };
    this.recordings.push(recording);
    return (reply) => {
      recording.reply = reply;
      this.grew = true;
    };
  }

  /** Of the same request the last one, else the first of those that are most like it; undefined where the tape is empty. */
  nearest(request: RecordedRequest): Nearest | undefined {
    const whole = this.whole();
    const same = this.same(request).at(-1);
    if (same !== undefined) return { number: whole.indexOf(same) + 1 };
    const asked = this.compared(request);
    const scores = whole.map((one) => likeness(one.request, asked));
    const best = scores.indexOf(Math.max(...scores));
    const recorded = whole[best]?.request;
    if (recorded === undefined) return undefined;
    const difference = differenceOf(recorded, asked);
    return { number: best + 1, ...(difference === undefined ? {} : { difference }) };
  }

  /** Writes the file, whole or not at all. Nothing is written where nothing was recorded. */
  async write(): Promise<void> {
    const exchanges = this.whole().map(({ request, reply }) => ({ request, reply }));
    if (!this.grew) return;
    const temporary = `${this.path}.${randomUUID()}.part`;
    await mkdir(dirname(this.path), { recursive: true });
    try {
      await writeFile(temporary, `${JSON.stringify({ cassette: 1, exchanges }, null, 2)}\n`, { flag: 'wx' });
      await rename(temporary, this.path);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  private whole(): Whole[] {
    return this.recordings.filter((one): one is Whole => one.reply !== undefined);
  }

  private same(request: RecordedRequest): Whole[] {
    const key = canonicalJson(this.compared(request));
    return this.whole().filter((one) => canonicalJson(one.request) === key);
  }

  /** `request` as it is kept and compared: without the ignored fields, the others of its body in the order of their names. */
  private compared({ body, ...request }: RecordedRequest): RecordedRequest {
    const left = this.ignore.reduce((of, field) => without(of, field.split('.')), body);
    return { ...request, body: JSON.parse(canonicalJson(left)) as unknown };
  }
}

function exchangesOf(text: string, path: string): Exchange[] {
  try {
    return fileSchema.parse(JSON.parse(text)).exchanges;
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new Error(`${path} is no cassette: ${why}`, { cause: error });
  }
}

/** The field at `path` left out; lists on the way are gone through. */
function without(value: unknown, path: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => without(item, path));
  const [name = '', ...rest] = path;
  if (!isRecord(value) || !Object.hasOwn(value, name)) return value;
  const { [name]: found, ...others } = value;
  return rest.length === 0 ? others : { ...others, [name]: without(found, rest) };
}

/** In the order in which a reader looks: where it went before what was in it. */
function differenceOf(recorded: RecordedRequest, asked: RecordedRequest): Difference | undefined {
  const { body: recordedBody, ...recordedTo } = recorded;
  const { body: askedBody, ...askedTo } = asked;
  return firstDifference(recordedTo, askedTo) ?? firstDifference(recordedBody, askedBody);
}
