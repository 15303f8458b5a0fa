import { TestWorkflowEnvironment } from '@temporalio/testing';
import { cacheFolder } from '../../src/storage/folders';
import { fetchTestServerBinary } from '../../src/workers/server';

/**
 * A test server whose clock skips waits. Time is common to the whole environment: use one a test file, and tear it
 * down in `afterAll`. The binary is CADRE_TEST_SERVER_BINARY, else what is in the cache.
 */
export async function createTimeSkippingEnvironment(): Promise<TestWorkflowEnvironment> {
  const path = await fetchTestServerBinary({
    cacheFolder: cacheFolder(),
    say: () => undefined,
    atHand: true,
  });
  return TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path } },
  });
}
