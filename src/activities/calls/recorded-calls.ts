/**
 * Calls that are paid once. Owns what an attempt may take from the calls that were recorded before it; `call-journal.ts`
 * owns what stands in the artifact store.
 *
 * 1. A call's result is in the artifact store, durably, before `run` of the next call begins.
 * 2. A recorded call is never made again: not by a retry, another worker, or a resumed task.
 * 3. A call that was begun and never recorded may have been paid: it is made again, counted as `unseen`, and the log says so.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { type Asked, mayFitLater, readShortfall, wouldFitAlone } from '../../core/budget/account';
import { budgetReached } from '../../core/budget/budget';
import { CALL_REPEATED, type Decision } from '../../core/decision';
import { failureInfo } from '../../core/failure-info';
import { CadreError, isCadreError } from '../../core/failures';
import { isUnpaid } from '../../core/outcome';
import { type Amount, type ModelUsage, NOTHING, addUsage, wholeAmounts } from '../../core/usage';
import type { ArtifactStore } from '../../storage/artifact-store';
import {
  type CallEntry,
  CallJournal,
  type CallRecord,
  callIndex,
  callKey,
  usageOfCalls,
} from '../../storage/call-journal';
import type { AgentLog } from '../agent-context';
import { orAborted } from '../or-aborted';
import type { Charge } from './charge';

/** What {@link RecordedCalls} is told of one call. */
export interface Call<Result> {
  readonly kind: 'model' | 'tool';
  /** `provider/model`, or the tool's name. */
  readonly name: string;
  /** JSON: all that the result depends on, without secrets. Its hash is part of the record's name. */
  readonly request: unknown;
  /**
   * The most that it may cost. Reserved before it; refused as BudgetReached where it does not fit. Default: nothing, so that
   * it is never refused, and what {@link usageOf} says is charged afterwards. Rounded up; AgentOutputInvalid below 0.
   */
  readonly reserves?: Asked;
  /** Makes the call. The result must be JSON. What it throws is not recorded. */
  readonly run: () => Promise<Result>;
  /** What the result cost. Default: nothing. Rounded up; AgentOutputInvalid below 0. */
  readonly usageOf?: (result: Result) => ModelUsage;
  /**
   * True for an error of `run` after which the call was surely not paid. Default: of a tool each that came before the
   * attempt was cut short; of a model by the core's `isUnpaid`: what its provider refused, or what was surely not sent.
   */
  readonly unpaid?: (error: unknown) => boolean;
}

/** What an agent's step has of calls: `context.calls`. Only for the agents of steps, and of the leader. */
export interface RecordedCalls {
  /**
   * The recorded result of the call, where this step has made it before; else makes and records it. Calls of models are
   * numbered in the order in which they are asked for, so ask for them in the same order in each attempt. A tool's call is
   * known by what it asks, and by how many before it ask the same.
   *
   * Throws what `run` throws; BudgetReached before anything is sent; ArtifactsUnavailable where the store cannot be
   * reached.
   */
  run<Result>(call: Call<Result>): Promise<Result>;
}

/** Whose calls they are. */
export interface CallScope {
  readonly artifacts: ArtifactStore;
  /** The idempotency key. */
  readonly action: string;
  readonly agent: string;
  /** Where they are charged; absent where no budget applies. */
  readonly charge?: Charge | undefined;
  /** Aborts when no call is to begin any more. */
  readonly signal: AbortSignal;
  readonly log: AgentLog;
  /** Told, before each call, that records are read or written from now on. */
  readonly onOpen?: () => void;
  /** Told of each record that was written or read: the call, and what all of them so far came to. */
  readonly onRecord?: (call: string, usage: readonly ModelUsage[]) => void;
  /**
   * Told of a call that would fit if it were not for what is set aside for calls of others, and of the ms that it has waited
   * for that: none beside it is under way then, and the attempt may end and come back. Returns in how many ms it asks again;
   * undefined: it fails as BudgetReached. Default: that it does.
   */
  readonly onHeld?: (reached: CadreError, waited: number) => number | undefined;
}

/** What the calls of an action came to, over all its attempts. */
export interface CallReport {
  readonly usage: readonly ModelUsage[];
  /** Says which calls were paid again, or may have been. */
  readonly decisions: readonly Decision[];
}

const NO_CALLS: CallReport = { usage: [], decisions: [] };

/** Calls of models that are made side by side: by an attempt, or by `run` of one call of it. */
interface Beside {
  readonly of: AttemptCalls;
  /** Of those that are being made; none rejects. */
  readonly underWay: Set<Promise<void>>;
  /** Those beside the call whose `run` makes them; absent where an attempt does. */
  readonly outer?: Beside;
  /** True once that call has ended. */
  over?: boolean;
}

/** In whose `run` it is asked. */
const INSIDE = new AsyncLocalStorage<Beside>();

/** The calls of one attempt. */
export class AttemptCalls implements RecordedCalls {
  private readonly journal: CallJournal;
  private readonly records = new Map<string, CallRecord>();
  private usage: readonly ModelUsage[] = [];
  /** The keys of what this attempt asked for. */
  private readonly asked = new Set<string>();
  private modelCalls = 0;
  /** How many calls of tools asked the same, by the key of the first. */
  private readonly alike = new Map<string, number>();
  private readonly by = randomUUID().slice(0, ATTEMPT_LENGTH);
  /** What the accounts have not heard of yet. */
  private readonly settling: Promise<void>[] = [];
  /** The calls whose accounts have not answered yet. */
  private readonly asking = new Set<Promise<unknown>>();
  private readonly outermost: Beside = { of: this, underWay: new Set() };
  /** How many calls of models have ended. */
  private ended = 0;
  /** Of agents that do the work in another's place, by name. */
  private readonly payers = new Map<string, Charge | undefined>();

  constructor(private readonly scope: CallScope) {
    const { artifacts, action, agent } = scope;
    this.journal = new CallJournal(artifacts, action, agent);
  }

  run<Result>(call: Call<Result>): Promise<Result> {
    return this.ask(call);
  }

  /** The same calls, for an agent that does the work in another's place: what it asks for is charged to `charge`. */
  paidBy(agent: string, charge: Charge | undefined): RecordedCalls {
    this.payers.set(agent, charge);
    return { run: (call) => this.ask(call, agent) };
  }

  private ask<Result>(call: Call<Result>, payer?: string): Promise<Result> {
    // Counted before anything is awaited: calls that are made at once keep their order.
    const key = call.kind === 'model' ? keyOf(this.modelCalls++, call) : this.toolKey(call);
    this.asked.add(key);
    return this.resultOf(key, call, payer);
  }

  private toolKey(call: Known): string {
    const first = keyOf(0, call);
    const before = this.alike.get(first) ?? 0;
    this.alike.set(first, before + 1);
    return before === 0 ? first : keyOf(before, call);
  }

  /**
   * What all calls of the action came to, once its accounts have heard of it. Reads the journal where this attempt made any
   * call, or an earlier one has: `retried`. Throws ArtifactsUnavailable where this attempt made any.
   */
  async report(retried: boolean): Promise<CallReport> {
    if (this.journal.isOpen) return this.reportAll();
    if (!retried) return NO_CALLS;
    try {
      return await this.reportAll();
    } catch (error) {
      // What this attempt did is not to be done again for what others came to.
      this.scope.log.warn('What the calls of the attempts before this one came to could not be read', {
        error,
      });
      return NO_CALLS;
    }
  }

  private async reportAll(): Promise<CallReport> {
    await this.journal.open();
    const { begun } = this.journal;
    if (begun.length === 0) return NO_CALLS;
    await Promise.all(begun.map(({ call }) => this.recall(call)));
    const unseen = await this.journal.unseen(this.records);
    await Promise.allSettled(this.settling);
    const decisions = [...repeatedDecisions(unseen, this.journal), ...(await this.changedDecisions())];
    return { usage: usageOfCalls(this.records.values(), unseen), decisions };
  }

  /** Of calls of models that earlier attempts paid, and that this one has made with another request in their places. */
  private async changedDecisions(): Promise<Decision[]> {
    const left = this.journal.begun.filter(({ call }) => !this.asked.has(call));
    const reached = left.filter(({ kind, call }) => kind === 'model' && callIndex(call) < this.modelCalls);
    const forgiven = await Promise.all(reached.map((entry) => this.journal.isForgiven(entry)));
    const changed = reached.filter((_, index) => forgiven[index] === false);
    if (changed.length === 0) return [];
    const tools = left.filter(({ kind, call }) => kind === 'tool' && this.records.has(call));
    return [changedDecision(changed, tools)];
  }

  private async resultOf<Result>(key: string, call: Call<Result>, payer?: string): Promise<Result> {
    this.scope.signal.throwIfAborted();
    await this.journal.open();
    this.scope.onOpen?.();
    const tries = this.journal.triesOf(key);
    const known = tries === 0 ? undefined : await this.recall(key);
    if (known !== undefined) return known.result as Result;
    if (await this.mayBePaid(key, tries)) this.warn(key, call);
    const { kind, name } = call;
    const reserves = reservesOf(call);
    return this.pay(call, {
      call: key,
      kind,
      name,
      try: tries + 1,
      by: this.by,
      ...(payer === undefined ? {} : { payer }),
      ...(reserves === undefined ? {} : { reserves }),
    });
  }

  private async pay<Result>(call: Call<Result>, entry: CallEntry): Promise<Result> {
    const { inside, over } = await this.enter(entry, this.beside());
    let made: CallRecord | undefined;
    try {
      made = await INSIDE.run(inside, () => this.make(call, entry));
    } finally {
      over();
    }
    // The same call of another attempt may have got ahead, and may have its record by now.
    return made === undefined ? this.resultOf(entry.call, call, entry.payer) : (made.result as Result);
  }

  /** The calls that one which is asked for now is made beside: never the call in whose `run` it is, which waits for it. */
  private beside(): Beside {
    let beside = INSIDE.getStore();
    while (beside !== undefined && (beside.of !== this || beside.over)) beside = beside.outer;
    return beside ?? this.outermost;
  }

  /**
   * Sets aside what it may cost, and counts it as under way until `over` is called. While calls beside it are under way, it
   * waits for what these leave; for what others leave it waits as `onHeld` says.
   */
  private async enter(entry: CallEntry, beside: Beside): Promise<Entered> {
    const { underWay } = beside;
    let waited = 0;
    for (;;) {
      const { ended } = this;
      const entered = this.reserve(entry).then(() => this.begun(entry, beside));
      this.asking.add(entered);
      try {
        return await entered;
      } catch (error) {
        const reached = isCadreError(error) && error.type === 'BudgetReached' ? error : undefined;
        const short = readShortfall(reached?.details);
        if (reached === undefined || short === undefined || !wouldFitAlone(short)) throw error;
        this.asking.delete(entered);
        // One that was asked for beside it may have what is left.
        await Promise.allSettled(this.asking);
        if (underWay.size > 0) await Promise.race(underWay);
        else if (this.ended === ended) {
          const wait = mayFitLater(reached.details) ? this.scope.onHeld?.(reached, waited) : undefined;
          // What is not waited for is final.
          if (wait === undefined) throw budgetReached(short);
          await this.pause(wait);
          waited += wait;
        }
      } finally {
        this.asking.delete(entered);
      }
    }
  }

  private async reserve(entry: CallEntry): Promise<void> {
    const { name, reserves } = entry;
    if (reserves !== undefined) await this.chargeOf(entry)?.reserve(reservationOf(entry), reserves, name);
  }

  /** Throws the reason of the attempt's end where that comes first. */
  private pause(milliseconds: number): Promise<void> {
    const pause = new Promise<void>((resolve) => void setTimeout(resolve, milliseconds).unref());
    return orAborted(pause, this.scope.signal);
  }

  /** A tool's call is not waited for: what it does may itself wait for a call. */
  private begun({ kind }: CallEntry, beside: Beside): Entered {
    if (kind === 'tool') return { inside: beside, over: () => undefined };
    let ends = (): void => undefined;
    const end = new Promise<void>((resolve) => (ends = resolve));
    beside.underWay.add(end);
    const inside: Beside = { of: this, underWay: new Set(), outer: beside };
    const over = (): void => {
      inside.over = true;
      beside.underWay.delete(end);
      this.ended += 1;
      ends();
    };
    return { inside, over };
  }

  /** Begins, makes and records it; undefined where another attempt has begun it. */
  private async make<Result>(call: Call<Result>, entry: CallEntry): Promise<CallRecord | undefined> {
    if (!(await this.begin(entry))) return undefined;
    const result = await this.send(call, entry);
    const given = call.usageOf?.(result);
    const usage = given && wholeOf(given, 'the usage', call);
    const record = { result, try: entry.try, ...(usage === undefined ? {} : { usage }) };
    const standing = await this.journal.record(entry.call, jsonOf(record, call));
    this.settle(entry, usage ?? NOTHING);
    this.keep(entry.call, standing);
    return standing;
  }

  private async send<Result>(call: Call<Result>, entry: CallEntry): Promise<Result> {
    const { signal } = this.scope;
    // Nothing was sent yet.
    if (signal.aborted) await this.forgive(entry);
    signal.throwIfAborted();
    try {
      return await call.run();
    } catch (error) {
      if (this.isUnpaid(call, error)) await this.forgive(entry);
      throw error;
    }
  }

  /** False where another attempt has. What was set aside for a call that does not begin is given back. */
  private async begin(entry: CallEntry): Promise<boolean> {
    let begun = false;
    try {
      this.scope.signal.throwIfAborted();
      begun = await this.journal.begin(entry);
    } finally {
      if (!begun) this.settle(entry, NOTHING);
    }
    return begun;
  }

  private async recall(key: string): Promise<CallRecord | undefined> {
    const kept = this.records.get(key);
    if (kept !== undefined) return kept;
    const record = await this.journal.recall(key);
    if (record === undefined) return undefined;
    const entry = this.entryOf(key, record.try);
    // The worker may have died before the accounts heard of it.
    if (entry !== undefined) this.settle(entry, record.usage ?? NOTHING);
    this.keep(key, record);
    return record;
  }

  /** Whether a call without a record may have been paid at the last of its tries. */
  private async mayBePaid(key: string, tries: number): Promise<boolean> {
    const entry = this.entryOf(key, tries);
    return entry !== undefined && !(await this.journal.isForgiven(entry));
  }

  private entryOf(key: string, tryNumber: number): CallEntry | undefined {
    return this.journal.begun.find(({ call, try: number }) => call === key && number === tryNumber);
  }

  private keep(key: string, record: CallRecord): void {
    if (this.records.has(key)) return;
    this.records.set(key, record);
    if (record.usage !== undefined) this.usage = addUsage(this.usage, [record.usage]);
    this.scope.onRecord?.(key, this.usage);
  }

  private settle(entry: CallEntry, used: Amount): void {
    if (entry.reserves === undefined) return;
    const { tokens, microUsd, calls } = used;
    const settled = this.chargeOf(entry)?.settle(reservationOf(entry), { tokens, microUsd, calls });
    settled?.catch((error: unknown) => this.scope.log.warn('A call could not be settled', { error }));
    if (settled !== undefined) this.settling.push(settled);
  }

  private chargeOf({ payer }: CallEntry): Charge | undefined {
    return payer === undefined ? this.scope.charge : this.payers.get(payer);
  }

  private isUnpaid<Result>({ kind, unpaid }: Call<Result>, error: unknown): boolean {
    if (unpaid !== undefined) return unpaid(error);
    return kind === 'tool' ? !this.scope.signal.aborted : isUnpaid(error);
  }

  /** What the call failed with matters more than that this could not be written. */
  private async forgive(entry: CallEntry): Promise<void> {
    this.settle(entry, NOTHING);
    await this.journal.forgive(entry).catch((error: unknown) => {
      this.scope.log.warn('That a call was not paid could not be recorded', { call: entry.call, error });
    });
  }

  private warn(key: string, { name }: Pick<Call<unknown>, 'name'>): void {
    this.scope.log.warn('A call was begun before and not recorded: it is made again', {
      call: callIndex(key),
      name,
    });
  }
}

/** A call for which enough is set aside. */
interface Entered {
  /** Those that its `run` makes. */
  readonly inside: Beside;
  readonly over: () => void;
}

/** What a call is known by, beside its number. */
type Known = Pick<Call<unknown>, 'kind' | 'name' | 'request'>;

function keyOf(number: number, { kind, name, request }: Known): string {
  return callKey(number, { kind, name, request });
}

/** `tools`: what earlier attempts had done, and the last one did not ask for. */
function changedDecision(changed: readonly CallEntry[], tools: readonly CallEntry[]): Decision {
  const names = (entries: readonly CallEntry[]): string[] => [...new Set(entries.map(({ name }) => name))];
  const calls = changed.length === 1 ? 'A call' : `${changed.length} calls`;
  const stands =
    tools.length === 0
      ? ''
      : `; what tools did for them stands, and was not asked for again: ${names(tools).join(', ')}`;
  return {
    type: CALL_REPEATED,
    rationale: `${calls} of ${names(changed).join(', ')} in earlier attempts could not be used, since what is asked has changed; such calls were made again, and paid${stands}`,
    evidence: {
      kind: 'model',
      changed: changed.length,
      names: names(changed),
      ...(tools.length === 0 ? {} : { tools: names(tools) }),
    },
  };
}

/** One for each call that was made again without knowing. */
function repeatedDecisions(unseen: readonly CallEntry[], journal: CallJournal): Decision[] {
  const calls = new Map<string, CallEntry[]>();
  for (const entry of unseen) calls.set(entry.call, [...(calls.get(entry.call) ?? []), entry]);
  return [...calls].flatMap(([key, lost]) => {
    const [{ name, kind } = { name: '', kind: 'model' }] = lost;
    const tries = journal.triesOf(key);
    if (tries < 2) return [];
    const times = lost.length === 1 ? 'once' : `${lost.length} times`;
    return [
      {
        type: CALL_REPEATED,
        rationale: `${kind === 'model' ? `Call ${callIndex(key) + 1} (${name})` : `A call of the tool ${name}`} was begun ${times} and its end was not recorded; it was made again, and may have been paid twice`,
        evidence: {
          ...(kind === 'model' ? { call: callIndex(key) } : {}),
          kind,
          name,
          tries,
          unseen: lost.length,
        },
      },
    ];
  });
}

/** Of a key: the number, and 48 bits of the hash. */
const RESERVATION_LENGTH = 6 + 1 + 12;
/** Of an id: 32 bits. */
const ATTEMPT_LENGTH = 8;

/** Unique in its action, of each attempt: what one gives back is never what another goes by. */
function reservationOf({ call, try: number, by }: CallEntry): string {
  return `${call.slice(0, RESERVATION_LENGTH)}.${number}.${by}`;
}

/** What is charged afterwards needs a place in the accounts from the start. */
function reservesOf(
  call: Pick<Call<unknown>, 'name' | 'reserves'> & { usageOf?: unknown },
): Asked | undefined {
  const { reserves = call.usageOf === undefined ? undefined : NOTHING } = call;
  return reserves && wholeOf(reserves, 'what it reserves', call);
}

/** Accounts and sums are of whole numbers. Throws AgentOutputInvalid. */
function wholeOf<Given extends Amount>(given: Given, what: string, { name }: { name: string }): Given {
  const whole = wholeAmounts(given);
  if (whole !== undefined) return whole;
  throw new CadreError('AgentOutputInvalid', `Of the call of ${name} ${what} is not of numbers from 0`);
}

/** A copy: what JSON makes of it, so that every attempt returns the same. Throws AgentOutputInvalid. */
function jsonOf<Result>(record: CallRecord, { kind, name }: Call<Result>): CallRecord {
  try {
    return JSON.parse(JSON.stringify(record)) as CallRecord;
  } catch (cause) {
    const [reason = ''] = failureInfo(cause).message.split('\n');
    throw new CadreError(
      'AgentOutputInvalid',
      `Expected what the ${kind} ${name} returns to be JSON, without a bigint or what holds itself: ${reason}`,
      { cause },
    );
  }
}
