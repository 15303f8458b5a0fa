import { proxyLocalActivities } from '@temporalio/workflow';
import { LOAD_ACTIVITY } from '../core/names';
import type { Stored } from '../core/stored';

type LoadActivities = { [LOAD_ACTIVITY](stored: Stored): Promise<unknown> };

/** The value itself, wherever it is, by a local activity. Fails as ArtifactMissing where it is nowhere after 5 attempts. */
export async function loadStored(stored: Stored, what: string): Promise<unknown> {
  if ('value' in stored) return stored.value;
  const { [LOAD_ACTIVITY]: load } = proxyLocalActivities<LoadActivities>({
    startToCloseTimeout: '10 seconds',
    retry: { maximumAttempts: 5, initialInterval: 100 },
    summary: what,
  });
  return load(stored);
}
