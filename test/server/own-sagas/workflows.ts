/** Workflows of a user's own with the class Saga, as odd as users write them; for the tests beside this file. */
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  isCancellation,
  setHandler,
  setWorkflowOptions,
  sleep,
} from '@temporalio/workflow';
import type { Resume } from '../../../src/core/resume';
import type { TaskState } from '../../../src/core/task-state';
import { Saga } from '../../../src/workflows';

export * from '../../../src/workflows';

const work = (input: string) => ({ agent: 'worker', input });

/** Two steps are begun; the first to fail is awaited first. */
export async function begunBoth(): Promise<void> {
  const saga = new Saga();
  const hotel = saga.step('hotel', { agent: 'slow', input: null });
  const flight = saga.step('flight', { agent: 'broken', input: null });
  await flight;
  await hotel;
}

/** Is in a step for as long as nobody cancels it. */
export async function inStep(options: { timeLimit?: number }): Promise<void> {
  const saga = new Saga(options);
  await saga.step('a', work('a'));
  await saga.step('long', { agent: 'slow', input: null });
}

/** Nobody awaits a step that fails. */
export async function floating(): Promise<string> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  void saga.step('b', { agent: 'broken', input: null });
  return 'done';
}

export const more = defineSignal('more');
export const stop = defineSignal('stop');

/** A signal has it do two more steps; another has the main code end, well or not. */
export async function bySignal({ fails }: { fails: boolean }): Promise<string> {
  const saga = new Saga();
  let stopped = false;
  setHandler(stop, () => void (stopped = true));
  setHandler(more, async () => {
    await saga.step('x', { agent: 'gated', input: null }).catch(() => undefined);
    await saga.step('y', { agent: 'gated', input: null }).catch(() => undefined);
  });
  await saga.step('a', work('a'));
  await condition(() => stopped);
  if (!fails) return 'done';
  throw ApplicationFailure.nonRetryable('the main code fails', 'OwnFailure');
}

/** A signal's handler fails while the main code waits. */
export async function failedBySignal(): Promise<void> {
  const saga = new Saga();
  setHandler(more, () => {
    throw ApplicationFailure.nonRetryable('the handler fails', 'OwnFailure');
  });
  await saga.step('a', work('a'));
  await sleep('1 day');
}

/** Fails by an error that its options take for a failure. */
export async function plainError(): Promise<void> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  throw new RangeError('the stock is empty');
}
setWorkflowOptions({ failureExceptionTypes: [RangeError] }, plainError);

/** Its first step is begun in a scope that is cancelled. */
export async function cancelledScope(): Promise<string> {
  const saga = new Saga();
  const scope = new CancellationScope();
  try {
    await scope.run(() => {
      const first = saga.step('a', work('a'));
      scope.cancel();
      return first;
    });
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
  return saga.step('b', work('b')) as Promise<string>;
}

/** A pivot beside what may have to be undone, in either order. */
export async function besidePivot({ pivotFirst }: { pivotFirst: boolean }): Promise<void> {
  const saga = new Saga();
  const hotel = { hotel: work('hotel') };
  const charge = { charge: { ...work('charge'), kind: 'pivot' as const } };
  await saga.parallel(pivotFirst ? { ...charge, ...hotel } : { ...hotel, ...charge });
}

/** What undoes a step cannot make its input. */
export async function inputOfThrows(): Promise<void> {
  const saga = new Saga();
  await saga.step('a', {
    ...work('a'),
    compensate: {
      agent: 'undoer',
      inputOf: () => {
        throw new TypeError('a mistake in the code');
      },
    },
  });
  throw ApplicationFailure.nonRetryable('after all steps', 'OwnFailure');
}

/** Continues as new while a step runs. */
export async function continuing(input: { saga?: Resume<TaskState> }): Promise<void> {
  const saga = new Saga();
  if (input.saga === undefined) {
    const running = saga.step('running', { agent: 'gated', input: null });
    running.catch(() => undefined);
    await saga.step('a', work('a'));
    await continueAsNew<typeof continuing>({ saga: saga.snapshot() });
  }
  throw ApplicationFailure.nonRetryable('in the second run', 'OwnFailure');
}

/** Catches whatever a step throws. */
export async function catching(): Promise<string> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  try {
    await saga.step('long', { agent: 'slow', input: null });
  } catch {
    // Goes on without it.
  }
  return 'done';
}

/** Catches a step whose outcome nobody knows, and has another do it. */
export async function secondTry(): Promise<string> {
  const saga = new Saga();
  await saga.step('first', { agent: 'uncertain', input: null }).catch(() => undefined);
  return saga.step('second', work('second')) as Promise<string>;
}

export async function namedConstructor(): Promise<void> {
  const saga = new Saga();
  await saga.step('first', { agent: 'uncertain', input: null }).catch(() => undefined);
  await saga.step('constructor', { agent: 'picky', input: 'no number' });
}

/** After the pivot its time is over. */
export async function overAfterPivot(): Promise<string> {
  const saga = new Saga({ timeLimit: 5000 });
  await saga.step('a', work('a'));
  await saga.step('charge', { ...work('charge'), kind: 'pivot' });
  await sleep(60_000);
  return saga.step('ship', { ...work('ship'), kind: 'retryable' }) as Promise<string>;
}

/** Steps with large outputs; then it fails, or goes on in another run. */
export async function largeOutputs(input: {
  ids: string[];
  undoneBy?: string;
  goOn?: boolean;
  saga?: Resume<TaskState>;
}): Promise<void> {
  const saga = new Saga();
  if (input.saga === undefined) {
    const compensate = input.undoneBy === undefined ? {} : { compensate: { agent: input.undoneBy } };
    await saga.parallel(
      Object.fromEntries(input.ids.map((id) => [id, { agent: 'large', input: null, ...compensate }])),
    );
    if (input.goOn) await continueAsNew<typeof largeOutputs>({ ...input, saga: saga.snapshot() });
  }
  throw ApplicationFailure.nonRetryable('after all steps', 'OwnFailure');
}

/** Steps with large inputs side by side. */
export async function largeInputs(count: number): Promise<void> {
  const saga = new Saga();
  await saga.parallel(
    Object.fromEntries(
      Array.from({ length: count }, (_none, at) => [
        `s${at}`,
        { agent: 'worker', input: 'x'.repeat(250_000) },
      ]),
    ),
  );
  throw ApplicationFailure.nonRetryable('after all steps', 'OwnFailure');
}

/** Fails in a way that Temporal's own retry tries again. */
export async function failing(): Promise<void> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  throw ApplicationFailure.create({ message: 'again', type: 'OwnFailure' });
}

/** What a step beside a failed one was cut off from is given up; the pivot is done; then it waits. */
export async function givenUp({ kind }: { kind: 'cancelled' | 'failed' }): Promise<void> {
  const saga = new Saga();
  if (kind === 'cancelled') {
    await saga
      .parallel({ x: { agent: 'slow', input: null }, y: { agent: 'broken', input: null } })
      .catch(() => undefined);
  } else await saga.step('y', { agent: 'broken', input: null }).catch(() => undefined);
  await saga.step('charge', { ...work('charge'), kind: 'pivot' });
  await saga.step('ship', { agent: 'slow', input: null, kind: 'retryable' });
}

/** Passes its pivot, and goes on in another run. */
export async function overThePivot(input: { saga?: Resume<TaskState> }): Promise<void> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  await saga.step('charge', { ...work('charge'), kind: 'pivot' });
  if (saga.state.steps['ship'] === undefined && input.saga === undefined) {
    await continueAsNew<typeof overThePivot>({ saga: saga.snapshot() });
  }
  await saga.step('ship', { agent: 'worker', input: 'ship', kind: 'retryable' });
}

/** The same, and is slow then. */
export async function slowAfterPivot(): Promise<void> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  await saga.step('charge', { ...work('charge'), kind: 'pivot' });
  await saga.step('ship', { agent: 'slow', input: null, kind: 'retryable' });
}

/** Steps whose inputs are 400 KB together; then it waits in one. */
export async function manyInputs(input: { goOn: boolean; saga?: Resume<TaskState> }): Promise<void> {
  const saga = new Saga();
  if (input.saga === undefined) {
    for (let at = 0; at < 10; at += 1) await saga.step(`s${at}`, work('x'.repeat(40_000)));
    if (input.goOn) await continueAsNew<typeof manyInputs>({ ...input, saga: saga.snapshot() });
    await saga.step('long', { agent: 'slow', input: null });
  }
  throw ApplicationFailure.nonRetryable('in the second run', 'OwnFailure');
}

/** Is made in a scope that is cancelled later. */
export async function madeInScope(): Promise<void> {
  const scope = new CancellationScope();
  const saga = await scope.run(async () => new Saga());
  scope.cancel();
  await saga.step('a', work('a'));
  await sleep(3000);
}

/** Fails while a step runs that no cancel stops. */
export async function failsBeside(): Promise<void> {
  const saga = new Saga();
  saga.step('running', { agent: 'gated', input: null }).catch(() => undefined);
  await saga.step('a', work('a'));
  throw ApplicationFailure.nonRetryable('after all steps', 'OwnFailure');
}

/** Steps that cannot be: one with an id as Temporal gives them, one whose input is not JSON. */
export async function impossible({ id, bigint }: { id: string; bigint: boolean }): Promise<void> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  await saga.step(id, { agent: 'worker', input: bigint ? 10n : null });
}

/** Takes longer than Temporal lets it. */
export async function slow(): Promise<void> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  await saga.step('b', { agent: 'slow', input: null });
}

/** What undoes a step is told what that put out, also in a later run. */
export async function toldOutputs(input: { goOn: boolean; saga?: Resume<TaskState> }): Promise<void> {
  const saga = new Saga();
  const inputOf = ({ output }: { output?: unknown }) => ({ length: String(output).length });
  const large = { agent: 'large', input: null, compensate: { agent: 'undoer', inputOf } };
  const output = (await saga.step('a', large)) as string;
  if (input.goOn && input.saga === undefined) {
    await continueAsNew<typeof toldOutputs>({ ...input, saga: saga.snapshot() });
  }
  throw ApplicationFailure.nonRetryable(`it was ${output.length} long`, 'OwnFailure');
}

/** Takes its snapshot too early. */
export async function staleSnapshot(input: { saga?: Resume<TaskState> }): Promise<string> {
  const saga = new Saga();
  if (input.saga !== undefined) return 'went on';
  const early = saga.snapshot();
  await saga.step('a', work('a'));
  return continueAsNew<typeof staleSnapshot>({ saga: early });
}

/** The lock cannot be had at first. */
export async function locksAgain({ lock }: { lock: string }): Promise<string> {
  const saga = new Saga({ lock });
  for (;;) {
    try {
      return (await saga.step('a', work('a'))) as string;
    } catch {
      await sleep(200);
    }
  }
}

/** A step fails that nobody awaits yet, long before the code ends. */
export async function failsUnheard(): Promise<string> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  void saga.step('b', { agent: 'broken', input: null });
  await saga.step('c', { agent: 'gated', input: null });
  return 'done';
}

/** Two steps are begun; the one that is awaited first ends last. */
export async function awaitedLater(): Promise<string> {
  const saga = new Saga();
  const hotel = saga.step('hotel', { agent: 'gated', input: null });
  const flight = saga.step('flight', { agent: 'broken', input: null });
  await hotel;
  await flight;
  return 'done';
}

/** Nobody awaits steps side by side, of which one fails. */
export async function floatingParallel(): Promise<string> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  void saga.parallel({ b: { agent: 'broken', input: null } });
  return 'done';
}

/** Takes every error for a failure. */
export async function takesAnyError(input: { saga?: Resume<TaskState> }): Promise<string> {
  const saga = new Saga();
  if (input.saga !== undefined) return 'in the second run';
  await saga.step('a', work('a'));
  return continueAsNew<typeof takesAnyError>({ saga: saga.snapshot() });
}
setWorkflowOptions({ failureExceptionTypes: [Error] }, takesAnyError);

export const change = defineUpdate('change');

/** An update's handler throws what the options take for a failure. */
export async function failedByUpdate(): Promise<void> {
  const saga = new Saga();
  setHandler(change, () => {
    throw new RangeError('the stock is empty');
  });
  await saga.step('a', work('a'));
  await sleep('1 day');
}
setWorkflowOptions({ failureExceptionTypes: [RangeError] }, failedByUpdate);

/** The first of two is enough; the other is cut off, and nobody waits for that. */
export async function hedged(): Promise<string> {
  const saga = new Saga();
  const scope = new CancellationScope();
  const first = await scope.run(() => {
    const late = saga.step('slow', { agent: 'slow', input: null });
    late.catch(() => undefined);
    return Promise.race([late, saga.step('quick', work('quick'))]);
  });
  scope.cancel();
  return first as string;
}

/** A signal's handler catches its step's failure, after the main code has ended. */
export async function caughtInHandler(): Promise<string> {
  const saga = new Saga();
  let begun = false;
  setHandler(more, async () => {
    begun = true;
    try {
      await saga.step('optional', { agent: 'breaking', input: null });
    } catch {
      // Goes on without it.
    }
  });
  await saga.step('a', work('a'));
  await condition(() => begun);
  return 'done';
}

/** A signal's handler has steps side by side, then another; the main code ends meanwhile. */
export async function goesOnInHandler({ pause }: { pause: boolean }): Promise<string> {
  const saga = new Saga();
  let begun = false;
  setHandler(more, async () => {
    begun = true;
    if (pause) {
      await saga.step('x', { agent: 'gated', input: null });
      await sleep(50);
    } else await saga.parallel({ x: { agent: 'gated', input: null } });
    await saga.step('y', work('y'));
  });
  await saga.step('a', work('a'));
  await condition(() => begun);
  return 'done';
}

/** The time limit is over while only a handler's step runs. */
export async function overInHandler(): Promise<string> {
  const saga = new Saga({ timeLimit: 1500 });
  let begun = false;
  setHandler(more, async () => {
    begun = true;
    await saga.step('x', { agent: 'slow', input: null, policy: { startToClose: 60_000 } });
  });
  await saga.step('a', work('a'));
  await condition(() => begun);
  return 'done';
}

export async function withTimeLimit(): Promise<string> {
  const saga = new Saga({ timeLimit: 2000 });
  return saga.step('a', { agent: 'napping', input: null }) as Promise<string>;
}

/** What undoes large outputs is given them. */
export async function largeUndoing(): Promise<void> {
  const saga = new Saga();
  const inputOf = ({ output }: { output?: unknown }) => ({ output });
  const large = { agent: 'large', input: null, compensate: { agent: 'undoer', inputOf } };
  await saga.parallel({ a: large, b: large, c: large, d: large, e: large });
  throw ApplicationFailure.nonRetryable('after all steps', 'OwnFailure');
}

/** Goes on without many steps that failed with a lot of details. */
export async function wordyFailures(input: { goOn: boolean; saga?: Resume<TaskState> }): Promise<string> {
  const saga = new Saga();
  if (input.saga === undefined) {
    await saga.step('a', work('a'));
    for (let at = 0; at < 250; at += 50) {
      const ids = Array.from({ length: 50 }, (_none, next) => `s${at + next}`);
      await Promise.allSettled(ids.map((id) => saga.step(id, { agent: 'wordy', input: null })));
    }
    if (input.goOn) await continueAsNew<typeof wordyFailures>({ ...input, saga: saga.snapshot() });
    await saga.step('long', { agent: 'slow', input: null });
  }
  throw ApplicationFailure.nonRetryable('in the second run', 'OwnFailure');
}

/** A step may take a second. */
export async function impatient(): Promise<void> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  await CancellationScope.withTimeout(500, () => saga.step('long', { agent: 'slow', input: null }));
}

/** Begins large steps in scopes that are cancelled at once, and then one that runs. */
export async function cancelledAtOnce(): Promise<string> {
  const saga = new Saga();
  await saga.step('a', work('a'));
  for (let at = 0; at < 15; at += 1) {
    const scope = new CancellationScope();
    await scope
      .run(() => {
        const step = saga.step(`s${at}`, work('x'.repeat(40_000)));
        void (async () => {
          for (let turn = 0; turn < 40; turn += 1) await Promise.resolve();
          scope.cancel();
        })();
        return step;
      })
      .catch(() => undefined);
  }
  return saga.step('b', work('b')) as Promise<string>;
}

/** Gives up what cannot be undone without a person, and ends well. */
export async function stubborn({ lock }: { lock?: string }): Promise<string> {
  const saga = new Saga(lock === undefined ? {} : { lock });
  await saga.step('a', work('a'));
  await saga.step('odd', { agent: 'stubborn', input: null }).catch(() => undefined);
  return 'done';
}

/** Continues as new, by a signal, while it is undone. */
export async function leavesAmidUndoing(input: { saga?: Resume<TaskState> }): Promise<string> {
  const saga = new Saga();
  if (input.saga !== undefined) return 'in the second run';
  setHandler(stop, () => continueAsNew<typeof leavesAmidUndoing>({ saga: saga.snapshot() }));
  await saga.step('a', { ...work('a'), compensate: { agent: 'gated', input: null } });
  throw ApplicationFailure.nonRetryable('after all steps', 'OwnFailure');
}

/** After its pivot it has a step that another agent would undo. */
export async function undoableAfterPivot(): Promise<string> {
  const saga = new Saga();
  await saga.step('charge', { ...work('charge'), kind: 'pivot' });
  await saga.step('ship', { ...work('ship'), compensate: { agent: 'undoer' } });
  throw ApplicationFailure.nonRetryable('after all steps', 'OwnFailure');
}

/** Fails at first; Temporal's own retry has it wait then. */
export async function secondAttempt({ lock }: { lock: string }): Promise<void> {
  const saga = new Saga({ lock });
  const outcome = (await saga.step('a', { agent: 'turning', input: null })) as string;
  if (outcome === 'first') throw ApplicationFailure.create({ message: 'again', type: 'OwnFailure' });
  await saga.step('long', { agent: 'slow', input: null });
}

/** Has returned while a handler's step runs. */
export async function cancelledInHandler(): Promise<string> {
  const saga = new Saga();
  let begun = false;
  setHandler(more, async () => {
    begun = true;
    await saga.step('x', { agent: 'slow', input: null });
  });
  await saga.step('a', work('a'));
  await condition(() => begun);
  return 'done';
}

/** One large output after another; then it waits in a step. */
export async function manyLarge(count: number): Promise<void> {
  const saga = new Saga();
  for (let at = 0; at < count; at += 1) await saga.step(`s${at}`, { agent: 'large', input: null });
  await saga.step('long', { agent: 'slow', input: null });
}
