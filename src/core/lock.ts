/**
 * The lock of a key: a name, such as `order-42`, of what one saga at a time may work on. Owns what a key and a lock are,
 * and what is said of them; whether a holder has ended is for the server to say (`client/locks.ts`).
 *
 * 1. The open workflow with the key's id is the lock. The server lets there be one, so a key has one holder.
 * 2. A holder is its root: every attempt, a continue-as-new and a resume of one saga are the same holder.
 * 3. A lock outlives a holder that was cut off, since what that did is not undone yet.
 */
import { WEB_UI_END, utc } from './details-text';
import { CadreError, inputInvalid } from './failures';
import { isRecord } from './json';
import { validKey } from './key';
import { HOLDER } from './names';
import { oneLine } from './one-line';

/** Who holds a key. */
export interface LockHolder {
  /** The workflow that claimed it. */
  readonly workflowId: string;
  /** The first execution of its piece of work; see Envelope. */
  readonly root: string;
}

/** A key that is held. */
export interface LockState {
  readonly key: string;
  readonly holder: LockHolder;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** What starts a lock. `since`, in ms since 1970, is when its holder got the key; default: now. */
export interface LockStart {
  readonly key: string;
  readonly holder: LockHolder;
  readonly since?: number;
}

/** What claims a key. */
export interface LockRequest {
  readonly key: string;
}

/** What gives a key back: its holder's root. */
export interface LockRelease {
  readonly root: string;
}

/** Where keys are claimed. */
export interface Locks {
  /**
   * Resolves once `holder` has the key; at once where it has it already. Takes it from a holder that has ended.
   * Throws LockHeld, InputInvalid (the key), or what Temporal throws.
   */
  acquire(key: string, holder: LockHolder): Promise<void>;
}

/**
 * How far a holder is. `open`: it runs. `ended`: all is done, or undone. `cutOff`: it was terminated or timed out,
 * and nobody has undone it. `gone`: the server's history of it is past its retention.
 */
export type HolderKind = 'open' | 'ended' | 'cutOff' | 'gone';

/** What a lock begins with. `now` is in ms since 1970. Throws InputInvalid. */
export function lockState(start: unknown, now: number): LockState {
  const { key, holder, since = now } = isRecord(start) ? start : {};
  const by = readHolder(holder);
  if (by === undefined) throw inputInvalid('`holder`', '{ workflowId, root } with texts', holder);
  if (!isTime(since)) throw inputInvalid('`since`', 'milliseconds since 1970', since);
  return { key: validKey('lock', key), holder: by, since };
}

/** True where `release` is the holder's own. */
export function isReleasedBy({ holder }: LockState, release: unknown): boolean {
  return isRecord(release) && release['root'] === holder.root;
}

/** The memo of a lock, from which {@link readLockMemo} reads it without a worker. */
export function lockMemo({ key, holder, since }: LockStart): Record<string, unknown> {
  return { key, [HOLDER]: holder, ...(since === undefined ? {} : { since }) };
}

/** The lock of which `memo` is; undefined where it says nothing of one. `startedAt` is in ms since 1970. */
export function readLockMemo(memo: unknown, startedAt: number): LockState | undefined {
  const { key, [HOLDER]: holder, since } = isRecord(memo) ? memo : {};
  const by = readHolder(holder);
  if (typeof key !== 'string' || by === undefined) return undefined;
  return { key, holder: by, since: isTime(since) ? since : startedAt };
}

/** The first run of a holder's workflow, which its root names: `<workflow id>/<run id>`, and `~<run id>` behind it
 * where it is a later run that began anew. */
export function firstRunOf({ workflowId, root }: LockHolder): { workflowId: string; runId?: string } {
  const slash = root.lastIndexOf('/');
  if (slash <= 0) return { workflowId };
  const [runId = ''] = root.slice(slash + 1).split('~');
  return { workflowId: root.slice(0, slash), runId };
}

/** One line for a Web UI's lists. */
export function lockSummary({ key, holder }: LockStart): string {
  return oneLine(`${key}: held by ${holder.workflowId}`, SUMMARY_MAXIMUM_LENGTH);
}

/** Temporal takes 400 bytes. */
const SUMMARY_MAXIMUM_LENGTH = 100;

/** Who holds a lock since when, as short Markdown, for the Web UI's current details. */
export function lockDetails({ key, holder, since }: LockState): string {
  // The Web UI (2.42.1) clips what stands last.
  return `**${key}** is held by **${holder.workflowId}** since ${utc(since)}\n${WEB_UI_END}`;
}

/** The refusal of a key that `held` is the lock of. `workflowId` is the lock's. */
export function lockHeld(
  held: LockState,
  kind: Exclude<HolderKind, 'ended'>,
  workflowId: string,
): CadreError {
  const { key, holder, since } = held;
  const what = WHAT_TO_DO[kind](holder.workflowId, workflowId);
  return new CadreError(
    'LockHeld',
    `"${key}" is held by ${holder.workflowId} since ${utc(since)}, which ${what}`,
    { details: { ...held, is: kind } },
  );
}

const WHAT_TO_DO = {
  open: (holder) =>
    `has not ended: wait for it, or cancel it with \`cadre cancel ${holder}\` (${holder}.resume where that goes on with it)`,
  cutOff: (holder) =>
    `was terminated or timed out before it was undone: undo it with \`cadre saga resume ${holder}\``,
  gone: (_holder, lock) =>
    `is past the server's retention: see what it left undone, then terminate the workflow ${lock}`,
} as const satisfies Record<Exclude<HolderKind, 'ended'>, (holder: string, lock: string) => string>;

function readHolder(value: unknown): LockHolder | undefined {
  const { workflowId, root } = isRecord(value) ? value : {};
  if (typeof workflowId !== 'string' || workflowId === '') return undefined;
  if (typeof root !== 'string' || root === '') return undefined;
  return { workflowId, root };
}

/** The last day that a Date can have, in ms since 1970. */
const LAST_TIME = 8.64e15;

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= LAST_TIME;
}
