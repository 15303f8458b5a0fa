import { crossingFailure } from '../core/failure-info';
import type { Stored } from '../core/stored';
import type { ArtifactStore } from '../storage/artifact-store';
import { load } from '../storage/stored-values';

/** The local activity by which workflow code gets a value that stands in the artifact store. Fails as ArtifactMissing. */
export type LoadActivity = (stored: Stored) => Promise<unknown>;

export function loadActivity(artifacts: ArtifactStore): LoadActivity {
  return async (stored) => {
    try {
      return await load(artifacts, stored);
    } catch (error) {
      throw crossingFailure(error);
    }
  };
}
