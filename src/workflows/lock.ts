import {
  CancellationScope,
  condition,
  makeContinueAsNewFunc,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import { crossingFailure } from '../core/failure-info';
import { type LockStart, type LockState, isReleasedBy, lockDetails, lockMemo, lockState } from '../core/lock';
import { HOLDER } from '../core/names';
import { holderQuery, releaseSignal } from './messages';

/**
 * Holds a key until its holder gives it back: while it runs, under the key's id, nobody else has the key. A cancel does
 * not end it, since a cancelled holder is still undoing; a terminate frees the key. Fails as InputInvalid where its
 * input is no lock's.
 */
export async function lock(start: LockStart): Promise<void> {
  const held = begin(start);
  let released = false;
  setHandler(releaseSignal, (release) => {
    released ||= isReleasedBy(held, release);
  });
  setHandler(holderQuery, () => held, { description: 'Who holds the key, and since when' });
  setCurrentDetails(lockDetails(held));
  // One that was started by hand has no memo; it costs an event, and clients read it.
  if (workflowInfo().memo?.[HOLDER] === undefined) upsertMemo(lockMemo(held));
  await CancellationScope.nonCancellable(() =>
    condition(() => released || workflowInfo().continueAsNewSuggested),
  );
  if (!released) await makeContinueAsNewFunc<typeof lock>({ memo: lockMemo(held) })(held);
}

function begin(start: unknown): LockState {
  try {
    return lockState(start, workflowInfo().startTime.getTime());
  } catch (error) {
    throw crossingFailure(error);
  }
}
