/** Workflows of a user's own, with sagas, for `own-saga.test.ts`. */
import {
  ApplicationFailure,
  condition,
  continueAsNew,
  defineSignal,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import { Saga } from '../../src/workflows';
import type { SagaOptions } from '../../src/core/saga';
import type { TaskState } from '../../src/core/task-state';
import type { Resume } from '../../src/core/resume';
import type { OwnStep } from '../../src/workflows';
import type { AnyTeam } from '../../src/core/team';
import type * as team from './own-team';

export * from '../../src/workflows';

type Team = typeof team;

/** Inputs and outputs are the agents' own. */
export async function typed(): Promise<string> {
  const saga = new Saga<Team>();
  const found = await saga.step('find', { agent: 'finder', input: { city: 'Rome' } });
  const temperature: number = found.temperature;
  // @ts-expect-error -- the finder takes a city.
  const wrong: Parameters<typeof saga.step<'finder'>>[1] = { agent: 'finder', input: { town: 'Rome' } };
  const both = await saga.parallel({
    one: { agent: 'worker', input: `${temperature}` },
    two: { agent: 'finder', input: { city: 'Oslo' } },
  });
  const word: string = both.one;
  return `${word} ${both.two.temperature} ${typeof wrong}`;
}

/** What a test says, step by step. */
export interface Script {
  readonly options?: SagaOptions;
  readonly steps: readonly (OwnStep<AnyTeam, string> & { readonly id: string })[];
  /** Then: fail, wait for a signal, sleep for so many ms, or end well. */
  readonly end?: 'fail' | 'wait' | 'bug' | number;
}

export const goOn = defineSignal('goOn');

export async function scripted({ options, steps, end }: Script): Promise<unknown[]> {
  let told = false;
  setHandler(goOn, () => void (told = true));
  const saga = new Saga(options);
  const outputs: unknown[] = [];
  for (const { id, ...step } of steps) outputs.push(await saga.step(id, step));
  if (end === 'fail') throw ApplicationFailure.nonRetryable('after all steps', 'OwnFailure');
  if (end === 'wait') await condition(() => told);
  if (typeof end === 'number') await sleep(end);
  return outputs;
}

export async function literal(): Promise<Record<string, unknown>> {
  return new Saga<Team>()
    .add('finder', { city: 'Rome' })
    .add('worker', (outputs) => JSON.stringify(outputs['finder']), {
      agent: 'undoer',
      inputOf: ({ output, outcome }) => ({ was: output, outcome }),
    })
    .add('worker', 'second', false)
    .add('broken', null)
    .execute();
}

/** A step beside one that fails. */
export async function beside(): Promise<void> {
  const saga = new Saga<Team>();
  await saga.step('a', { agent: 'worker', input: 'a' });
  await Promise.all([
    saga.step('b', { agent: 'slow', input: null }),
    saga.step('c', { agent: 'broken', input: null }),
  ]);
}

/** `total` steps, `each` a run. */
export async function long(input: {
  total: number;
  each: number;
  fail?: boolean;
  saga?: Resume<TaskState>;
  forget?: boolean;
}): Promise<number> {
  const saga = new Saga<Team>();
  const { total, each } = input;
  const done = Object.keys(saga.state.steps).length;
  for (let at = done; at < Math.min(done + each, total); at += 1) {
    await saga.step(`s${at}`, { agent: 'worker', input: `${at}` });
  }
  if (done + each < total) {
    await continueAsNew<typeof long>(input.forget ? input : { ...input, saga: saga.snapshot() });
  }
  if (input.fail) throw ApplicationFailure.nonRetryable('at the end', 'OwnFailure');
  return Object.keys(saga.state.steps).length;
}

export async function two(): Promise<void> {
  const sagas = [new Saga(), new Saga()];
  await sagas[0]?.execute();
}
