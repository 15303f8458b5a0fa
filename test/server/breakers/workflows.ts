/** Workflows of a user's own whose steps meet open breakers; for the tests beside this file. */
import { CancellationScope, sleep } from '@temporalio/workflow';
import { Saga } from '../../../src/workflows';

export * from '../../../src/workflows';

/** Goes on without a step that takes too long. */
export async function impatient({ agent, wait }: { agent: string; wait: number }): Promise<string> {
  const saga = new Saga();
  const scope = new CancellationScope();
  const step = scope.run(() => saga.step('one', { agent, input: null }));
  await Promise.race([step.catch(() => undefined), sleep(wait)]);
  scope.cancel();
  await step.catch(() => undefined);
  return 'without it';
}

/** Goes on without a step that takes too long, to a pivot; then fails. */
export async function impatientPivot({ agent, wait }: { agent: string; wait: number }): Promise<void> {
  const saga = new Saga();
  const scope = new CancellationScope();
  const step = scope.run(() => saga.step('one', { agent, input: null }));
  await Promise.race([step.catch(() => undefined), sleep(wait)]);
  scope.cancel();
  await step.catch(() => undefined);
  await saga.step('pivot', { agent: 'deputy', kind: 'pivot', input: null });
}

/** A step fails beside one that waits. */
export async function beside({ agent }: { agent: string }): Promise<void> {
  const saga = new Saga();
  await saga.parallel({
    one: { agent, input: null },
    other: { agent: 'broken', input: null },
  });
}

/** One step, as it is given. */
export async function single(step: { agent: string; approval?: object }): Promise<unknown> {
  return new Saga().step('one', { input: null, ...step });
}
