import { setCurrentDetails } from '@temporalio/workflow';

/**
 * What is to be called when `details` has changed: sets the workflow's current details to them, once for all changes in a
 * row. Most of them nobody could look at.
 */
export function showDetails(details: () => string): () => void {
  let stale = false;
  return () => {
    if (stale) return;
    stale = true;
    void Promise.resolve().then(() => {
      stale = false;
      setCurrentDetails(details());
    });
  };
}
