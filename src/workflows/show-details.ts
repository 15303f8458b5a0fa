import { setCurrentDetails } from '@temporalio/workflow';

/**
 * What is to be called when `details` has changed: makes them the workflow's current details. They are worded only when
 * somebody looks, since nobody does at most of them.
 */
export function showDetails(details: () => string): () => void {
  // The SDK (1.24) does nothing with them but write them as JSON into the answer to a query.
  const worded = { toJSON: details } as unknown as string;
  return () => setCurrentDetails(worded);
}
