/**
 * What is recorded of the calls of one action by one agent, over all its attempts. Owns the names in the artifact store,
 * the order in which calls were begun, and what they came to; `recorded-calls.ts` owns what an attempt does with it.
 *
 * 1. Entries have numbers from 1 without a gap. Two attempts at once never write the same one: each reads the other's.
 * 2. An entry stands, durably, before its call is made, and never changes.
 * 3. A call that has no entry was never begun.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Asked } from '../core/budget/account';
import { CadreError } from '../core/failures';
import { canonicalJson } from '../core/json';
import { type ModelUsage, NOTHING, addUsage } from '../core/usage';
import type { ArtifactStore } from './artifact-store';

/** A call that is about to be made. */
export interface CallEntry {
  /** The {@link callKey}. */
  readonly call: string;
  readonly kind: 'model' | 'tool';
  readonly name: string;
  /** Which try of the call it is, from 1. */
  readonly try: number;
  /** Of the attempt that makes it: what two set aside for the same call must not be taken for one. */
  readonly by: string;
  /** Present where an agent made it that did the work in another's place: whose accounts it is charged to. */
  readonly payer?: string;
  readonly reserves?: Asked;
}

/** As it stands in the store. */
interface BegunEntry extends CallEntry {
  /** One of its own: two attempts may write the same otherwise. */
  readonly id: string;
}

/** A call that was made. */
export interface CallRecord {
  readonly result?: unknown;
  readonly usage?: ModelUsage;
  /** Of the entry that it came from. */
  readonly try: number;
}

/** So many entries are read at once. */
const AT_ONCE = 16;

/**
 * By which a call is known in its action: all that the result depends on, and a number from 0. Of a model's that is the place
 * in the order of its calls; of a tool's how many there were before that ask the same.
 */
export function callKey(index: number, asked: unknown): string {
  return `${digits(index)}-${createHash('sha256').update(canonicalJson(asked)).digest('hex')}`;
}

/** The number of a {@link callKey}. */
export function callIndex(call: string): number {
  return Number.parseInt(call, 10);
}

export class CallJournal {
  private readonly entries: CallEntry[] = [];
  private readonly triesBy = new Map<string, number>();
  private readonly unpaid = new Set<string>();
  private readonly folder: string;
  private opening: Promise<void> | undefined;
  private writing: Promise<unknown> = Promise.resolve();

  /** `action`: the idempotency key. */
  constructor(
    private readonly artifacts: ArtifactStore,
    action: string,
    agent: string,
  ) {
    const digest = createHash('sha256').update(`${action}\n${agent}`).digest('hex');
    this.folder = `calls/${digest}`;
  }

  /** True once it was read, or is being read. */
  get isOpen(): boolean {
    return this.opening !== undefined;
  }

  /** Reads the entries, once. */
  open(): Promise<void> {
    this.opening ??= this.readEntries().catch((error: unknown) => {
      this.opening = undefined;
      throw error;
    });
    return this.opening;
  }

  /** In the order in which they were begun. */
  get begun(): readonly CallEntry[] {
    return this.entries;
  }

  /** How often the call was begun. */
  triesOf(call: string): number {
    return this.triesBy.get(call) ?? 0;
  }

  /** False where another attempt has begun the call meanwhile: then nothing is written, and its entry is known. */
  begin(entry: CallEntry): Promise<boolean> {
    // One after the other, so that there is no gap wherever the worker dies.
    const written = this.writing.then(() => this.append(entry));
    this.writing = written.catch(() => undefined);
    return written;
  }

  async recall(call: string): Promise<CallRecord | undefined> {
    return (await this.read(call)) as CallRecord | undefined;
  }

  /** Resolves to the record that stands: another attempt's, where that was first. */
  async record(call: string, record: CallRecord): Promise<CallRecord> {
    const content = Buffer.from(JSON.stringify(record));
    return this.parse(call, await this.artifacts.record(this.nameOf(call), content)) as CallRecord;
  }

  /** Says that the call of this entry failed and was surely not paid. */
  async forgive(entry: CallEntry): Promise<void> {
    const mark = markOf(entry);
    this.unpaid.add(mark);
    await this.artifacts.record(this.nameOf(mark), new Uint8Array());
  }

  async isForgiven(entry: CallEntry): Promise<boolean> {
    const mark = markOf(entry);
    return this.unpaid.has(mark) || (await this.artifacts.recall(this.nameOf(mark))) !== undefined;
  }

  /** The entries of which nobody saw the end: neither in `records`, by call, nor forgiven. */
  async unseen(records: ReadonlyMap<string, CallRecord>): Promise<CallEntry[]> {
    const seen = await Promise.all(
      this.entries.map(async (entry) => records.get(entry.call)?.try === entry.try || this.isForgiven(entry)),
    );
    return this.entries.filter((_, index) => seen[index] === false);
  }

  /** What all calls came to, by what stands in the store. */
  async usage(): Promise<ModelUsage[]> {
    await this.open();
    const records = new Map<string, CallRecord>();
    const keep = async (call: string): Promise<void> => {
      const record = await this.recall(call);
      if (record !== undefined) records.set(call, record);
    };
    await Promise.all([...this.triesBy.keys()].map(keep));
    return usageOfCalls(records.values(), await this.unseen(records));
  }

  private async append(entry: CallEntry): Promise<boolean> {
    const own: BegunEntry = { ...entry, id: randomUUID() };
    for (;;) {
      if (this.triesOf(entry.call) >= entry.try) return false;
      const name = entryName(this.entries.length + 1);
      const content = Buffer.from(JSON.stringify(own));
      const standing = this.parse(name, await this.artifacts.record(this.nameOf(name), content));
      this.add(standing as BegunEntry);
      if ((standing as BegunEntry).id === own.id) return true;
    }
  }

  private async readEntries(): Promise<void> {
    const first = await this.read(entryName(1));
    if (first === undefined) return;
    this.add(first as CallEntry);
    for (;;) {
      const from = this.entries.length + 1;
      const names = Array.from({ length: AT_ONCE }, (_, index) => entryName(from + index));
      const read = await Promise.all(names.map((name) => this.read(name)));
      for (const entry of read) {
        if (entry === undefined) return;
        this.add(entry as CallEntry);
      }
    }
  }

  private add(entry: CallEntry): void {
    this.entries.push(entry);
    this.triesBy.set(entry.call, Math.max(entry.try, this.triesOf(entry.call)));
  }

  private async read(name: string): Promise<unknown> {
    const content = await this.artifacts.recall(this.nameOf(name));
    return content === undefined ? undefined : this.parse(name, content);
  }

  private parse(name: string, content: Uint8Array): unknown {
    try {
      return JSON.parse(Buffer.from(content).toString('utf8'));
    } catch (cause) {
      throw new CadreError('ArtifactMissing', `The record ${this.nameOf(name)} was changed`, { cause });
    }
  }

  private nameOf(name: string): string {
    return `${this.folder}/${name}`;
  }
}

/** What calls came to; a model's of which nobody saw the end counts with what was reserved for it. */
export function usageOfCalls(records: Iterable<CallRecord>, unseen: readonly CallEntry[]): ModelUsage[] {
  const seen = [...records].flatMap(({ usage }) => usage ?? []);
  return addUsage(seen, unseen.filter(({ kind }) => kind === 'model').map(unseenUsage));
}

/** How much of it was input nobody knows. */
function unseenUsage({ name, reserves = NOTHING }: CallEntry): ModelUsage {
  const { tokens, microUsd, unpriced }: Asked = reserves;
  return {
    model: name,
    tokens,
    microUsd,
    calls: 1,
    inputTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
    unseen: 1,
    ...(unpriced === undefined ? {} : { unpriced }),
  };
}

function entryName(number: number): string {
  return `begun-${digits(number)}`;
}

function markOf({ call, try: number }: CallEntry): string {
  return `${call}.unpaid-${number}`;
}

function digits(number: number): string {
  return String(number).padStart(6, '0');
}
