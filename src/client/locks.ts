/**
 * The locks of a cadre on the server: claims them, frees them, and reads who holds them. Owns when a holder has ended;
 * what a lock is says `core/lock.ts`.
 */
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionDescription,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { CadreError } from '../core/failures';
import { type HistoryFact, isEnd } from '../core/history-facts';
import { isRecord } from '../core/json';
import { validKey } from '../core/key';
import {
  type HolderKind,
  type LockHolder,
  type LockStart,
  type LockState,
  type Locks,
  firstRunOf,
  isReleasedBy,
  lockHeld,
  lockMemo,
  lockSummary,
  readLockMemo,
} from '../core/lock';
import { LOCK_WORKFLOW, RELEASE_SIGNAL, lockId, resumeId, taskQueue } from '../core/names';
import { isNotFound } from './grpc-status';
import { readFacts } from './history-reader';
import { runningOf } from './listed';

/** What a claim waits for where the worker that had the lock's workflow is gone; Temporal's default is 10 s. */
const WORKFLOW_TASK_TIMEOUT = 2000;
/** How long a claim may take, in ms; less than its activity has. */
const ACQUIRE_TIME_LIMIT = 4000;

/** The locks of one cadre, on the server of `client`. */
export class TemporalLocks implements Locks {
  constructor(
    private readonly client: Client,
    private readonly cadre: string,
  ) {}

  async acquire(key: string, holder: LockHolder): Promise<void> {
    const start = { key: validKey('lock', key), holder };
    await this.client.withDeadline(Date.now() + ACQUIRE_TIME_LIMIT, async () => {
      while (!(await this.start(start)) && !(await this.isHeldBy(start))) {
        // Free by now, or freed: whoever starts it next has it.
      }
    });
  }

  /** Who holds `key`; undefined where nobody does. Needs no worker. Throws InputInvalid. */
  async holderOf(key: string): Promise<LockState | undefined> {
    const description = await describe(this.client, lockId(this.cadre, validKey('lock', key)));
    return description === undefined ? undefined : readLock(description);
  }

  /** Gives `key` back where the holder of `root` has it; a worker that runs workflows sees to it. */
  async release(key: string, root: string): Promise<void> {
    const lock = this.client.workflow.getHandle(lockId(this.cadre, validKey('lock', key)));
    await unlessEnded(lock.signal(RELEASE_SIGNAL, { root }));
  }

  /** True where it was started, and the key is its holder's. */
  private async start(start: LockStart): Promise<boolean> {
    try {
      await this.client.workflow.start(LOCK_WORKFLOW, {
        workflowId: lockId(this.cadre, start.key),
        taskQueue: taskQueue(this.cadre),
        args: [start],
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
        workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
        memo: lockMemo(start),
        staticSummary: lockSummary(start),
      });
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  }

  /** False where nobody holds it any more. Throws LockHeld where another does, and has not ended. */
  private async isHeldBy({ key, holder }: LockStart): Promise<boolean> {
    const workflowId = lockId(this.cadre, key);
    const description = await describe(this.client, workflowId);
    if (description === undefined || !isRunning(description)) return false;
    const held = readLock(description);
    if (held === undefined) {
      throw new CadreError(
        'LockHeld',
        `"${key}" is held by whoever started the workflow ${workflowId} by hand`,
      );
    }
    if (await isGivenBack(this.client, description, held)) {
      await free(this.client, description, `${held.holder.workflowId} gave it back`);
      return false;
    }
    if (held.holder.root === holder.root) return true;
    const kind = await kindOf(this.client, held.holder);
    if (kind !== 'ended') throw lockHeld(held, kind, workflowId);
    await free(this.client, description, hasEnded(held));
    return false;
  }
}

/**
 * Frees the keys whose holders have ended without giving them back, and returns what they were. To do so again, or
 * twice at once, is harmless. Finds what the server lists, about a second behind; none where it cannot list.
 */
export async function staleLocks(client: Client, cadre: string): Promise<LockState[]> {
  const freed: LockState[] = [];
  for await (const { workflowId } of runningOf(client, LOCK_WORKFLOW, taskQueue(cadre))) {
    const description = await describe(client, workflowId);
    const held = description === undefined ? undefined : readLock(description);
    if (description === undefined || held === undefined) continue;
    if ((await kindOf(client, held.holder)) !== 'ended') continue;
    if (await free(client, description, hasEnded(held))) freed.push(held);
  }
  return freed;
}

/** Ends this run of a lock, and no later one, also where no worker runs. True where it had not ended before. */
function free(client: Client, lock: WorkflowExecutionDescription, reason: string): Promise<boolean> {
  return unlessEnded(client.workflow.getHandle(lock.workflowId, lock.runId).terminate(reason));
}

const hasEnded = ({ holder }: LockState): string => `its holder ${holder.workflowId} has ended`;

/** True where the holder's release has arrived, and no worker has run the lock since. */
async function isGivenBack(
  client: Client,
  { workflowId, runId }: WorkflowExecutionDescription,
  held: LockState,
): Promise<boolean> {
  let given = false;
  await unlessUnknown(async () => {
    for await (const fact of readFacts(client, workflowId, { firstRunId: runId })) {
      given ||=
        fact.kind === 'signalled' && fact.name === RELEASE_SIGNAL && isReleasedBy(held, fact.input[0]);
    }
  });
  return given;
}

/**
 * How far a holder is. A cut-off one goes on in `<id>.resume`, which has its root; where that is cut off too, in
 * `<id>.resume.resume`, and so on: the last of them decides.
 */
async function kindOf(client: Client, holder: LockHolder): Promise<HolderKind> {
  const first = firstRunOf(holder);
  let { workflowId } = first;
  let kind = await kindOfExecution(client, workflowId, first.runId);
  while (kind !== 'open') {
    workflowId = resumeId(workflowId);
    if (!(await isResumeOf(client, workflowId, holder.root))) break;
    kind = await kindOfExecution(client, workflowId);
  }
  return kind;
}

/** How far the execution is that began with `firstRunId`, over continue-as-new; without it the latest of the id. */
async function kindOfExecution(client: Client, workflowId: string, firstRunId?: string): Promise<HolderKind> {
  const description = await describe(client, workflowId);
  if (description === undefined) return 'gone';
  const present = description.raw.workflowExecutionInfo?.firstRunId;
  if (firstRunId === undefined || present === firstRunId) return KINDS[description.status.name] ?? 'open';
  // The id was used again, so that only the history tells.
  let last: HistoryFact | undefined;
  await unlessUnknown(async () => {
    for await (const fact of readFacts(client, workflowId, { firstRunId }))
      if (fact.kind !== 'unread') last = fact;
  });
  return last === undefined ? 'gone' : kindOfEnd(last);
}

const KINDS: Readonly<Record<string, HolderKind>> = {
  COMPLETED: 'ended',
  FAILED: 'ended',
  CANCELLED: 'ended',
  TERMINATED: 'cutOff',
  TIMED_OUT: 'cutOff',
};

function kindOfEnd(fact: HistoryFact): HolderKind {
  if (fact.kind === 'workflowTerminated') return 'cutOff';
  return isEnd(fact) ? 'ended' : 'open';
}

/** True where an execution of this id was resumed from the root's, by what it was started with. */
async function isResumeOf(client: Client, workflowId: string, root: string): Promise<boolean> {
  let isOfRoot = false;
  await unlessUnknown(async () => {
    for await (const fact of readFacts(client, workflowId)) {
      isOfRoot = fact.kind === 'workflowStarted' && rootOfSnapshot(fact.input) === root;
      return;
    }
  });
  return isOfRoot;
}

function rootOfSnapshot(resume: unknown): unknown {
  const snapshot = isRecord(resume) ? resume['snapshot'] : undefined;
  return isRecord(snapshot) ? snapshot['root'] : undefined;
}

async function describe(
  client: Client,
  workflowId: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(workflowId).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

function isRunning({ status }: WorkflowExecutionDescription): boolean {
  return !Object.hasOwn(KINDS, status.name);
}

/** Undefined for one that has ended, or that is no lock. */
function readLock(description: WorkflowExecutionDescription): LockState | undefined {
  const { type, memo, startTime } = description;
  return type === LOCK_WORKFLOW && isRunning(description)
    ? readLockMemo(memo, startTime.getTime())
    : undefined;
}

/** True once `call` has reached its workflow, false where that had ended. */
async function unlessEnded(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Reads what the server may not have. */
async function unlessUnknown(read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (error) {
    // A root that was made by hand has no run's id.
    if (!isNotFound(error)) throw error;
  }
}
