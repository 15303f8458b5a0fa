// A worker is killed at every boundary of a saga of five steps, around each effect, acknowledgement and compensation, or
// frozen until its action was undone, on a real server with real processes. What counts is a ledger outside of Temporal.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import type { SagaInput } from '../../src/core/saga-input';
import type { TaskState } from '../../src/core/task-state';
import { step } from '../support/agents';
import { ROOT, fileAppears, jsonLines, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import type { TemporaryFolder } from '../support/temporary-folder';

const STEPS = ['a', 'b', 'c', 'd', 'e'];
const KINDS = ['act', 'undo'];
/** Around an effect that a resource applies once a key. */
const BOUNDARIES = boundariesOf('before', 'after');
/** Around an effect that `context.once` has: before it, while its outcome is not recorded, and while the server does not know. */
const ONCE_BOUNDARIES = boundariesOf('before', 'unrecorded', 'unacknowledged');
/** As the server is told: which comes first, the kill or the word, is left to them. */
const RACES = boundariesOf('acknowledging');

function boundariesOf(...places: readonly string[]): string[] {
  return STEPS.flatMap((id) => KINDS.flatMap((kind) => places.map((place) => `${place}-${kind}-${id}`)));
}

let cli: CliStage;
let folder: TemporaryFolder;
let client: CadreClient;
let over = false;

beforeAll(async () => {
  cli = await CliStage.start();
  ({ folder } = cli);
  folder.write('cadre.config.js', source(folder.path));
  folder.write('ledger.jsonl', '');
  client = await cli.client();
  await cli.start(['worker', '--role', 'leader', '--role', 'workflows']).says(/worker ready/);
  // Two at once halve the time that restarts take.
  void supervise();
  void supervise();
}, 60_000);

afterAll(() => {
  over = true;
  return cli.close();
});

/**
 * `worker`: a resource that applies each effect once a key. `teller`: one that takes whatever it is given, behind
 * `context.once`; it can be looked at. The process ends or freezes itself where the step's input says so, once.
 */
function source(path: string): string {
  const anything = `{ '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }`;
  return `
const { appendFileSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { ApplicationFailure } = require(${JSON.stringify(join(ROOT, 'node_modules', '@temporalio', 'common'))});
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const folder = ${JSON.stringify(path)};
const once = (name) => {
  try {
    writeFileSync(join(folder, encodeURIComponent(name)), '', { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
};
const dieAt = (place, input, task) => {
  if (input.killAt === place && once('killed ' + task)) process.kill(process.pid, 'SIGKILL');
};
const ledger = join(folder, 'ledger.jsonl');
const write = (line) => appendFileSync(ledger, JSON.stringify(line) + '\\n');
const tell = async (kind, input, context) => {
  const { step, task, idempotencyKey: key } = context;
  if (kind === 'act' && input.freeze && once('frozen ' + task)) {
    writeFileSync(join(folder, 'frozen-' + task), String(process.pid));
    process.kill(process.pid, 'SIGSTOP');
  }
  const done = () => readFileSync(ledger, 'utf8').split('\\n').some((line) => line !== '' && JSON.parse(line).key === key);
  await context.once('tell', () => {
    dieAt('before-' + kind + '-' + step, input, task);
    write({ task, step, kind, key });
    dieAt('unrecorded-' + kind + '-' + step, input, task);
  }, { reconcile: async () => ({ done: done() }) });
  dieAt('unacknowledged-' + kind + '-' + step, input, task);
  setImmediate(() => dieAt('acknowledging-' + kind + '-' + step, input, task));
};
const reporting = async (input, context) => {
  try {
    await tell('act', input, context);
  } catch (error) {
    if (input.freeze) writeFileSync(join(folder, 'late-' + context.task), error.type ?? error.name);
    throw error;
  }
};
const apply = (kind, input, { step, task, idempotencyKey }) => {
  dieAt('before-' + kind + '-' + step, input, task);
  if (once('effect ' + idempotencyKey))
    write({ task, step, kind, key: idempotencyKey });
  dieAt('after-' + kind + '-' + step, input, task);
};
const anything = ${anything};
// An attempt that a busy machine holds up for so long between its intent and its effect would be taken for lost.
const policy = { heartbeatTimeout: '2s', retry: { maximumAttempts: 1000, initialInterval: 20, maximumInterval: '200ms' } };
module.exports = defineConfig({
  embedded: false,
  agents: [
    defineAgent({
      name: 'worker', description: 'has an effect', input: anything, output: anything, policy,
      compensation: { retry: policy.retry },
      act: (input, context) => apply('act', input, context),
      compensate: ({ input }, context) => apply('undo', input, context),
    }),
    defineAgent({
      name: 'teller', description: 'has an effect once', input: anything, output: anything, policy,
      compensation: { retry: policy.retry },
      act: reporting,
      compensate: ({ input }, context) => tell('undo', input, context),
    }),
    defineAgent({
      name: 'broken', description: 'fails', input: anything, output: anything, policy,
      act: () => { throw ApplicationFailure.nonRetryable('no', 'Broken'); },
    }),
  ],
});
`;
}

/** Agents, started again whenever they are killed. */
async function supervise(): Promise<void> {
  for (;;) {
    if (over) return;
    await cli.start(['worker', '--role', 'agents']).ended;
  }
}

interface Line {
  readonly task: string;
  readonly step: string;
  readonly kind: string;
  readonly key: string;
}

const read = (name: string): string => readFileSync(join(folder.path, name), 'utf8');
const ledgerOf = (id: string): Line[] =>
  (jsonLines(read('ledger.jsonl')) as unknown as Line[]).filter(({ task }) => task === id);

/** Five steps by `name`, one after the other, and one that fails. */
const stepsBy = (name: string, input: Record<string, unknown>) =>
  [...STEPS, 'broken'].map((id, index, all) =>
    step(id, id === 'broken' ? 'broken' : name, {
      input,
      ...(index === 0 ? {} : { needs: [all[index - 1] as string] }),
    }),
  );

/** Each effect stands once in the ledger under its own key, and is undone once, in reverse. */
function expectUndoneOnce(id: string, state: TaskState): void {
  const its = ledgerOf(id);
  expect(its.filter(({ kind }) => kind === 'act').map((line) => line.step)).toEqual(STEPS);
  expect(its.filter(({ kind }) => kind === 'undo').map((line) => line.step)).toEqual(STEPS.toReversed());
  expect(new Set(its.map(({ key }) => key)).size).toBe(2 * STEPS.length);
  expect(state.phase.kind).toBe('compensated');
  expect(state.compensations?.map(({ kind }) => kind)).toEqual(STEPS.map(() => 'undone'));
}

/** What was killed on the way, of all ids. */
const killedOf = (ids: readonly string[]): string[] => {
  const names = new Set(readdirSync(folder.path));
  return ids.filter((id) => names.has(encodeURIComponent(`killed ${id}`)));
};

/** Waits until all have failed and are undone. */
async function expectAllUndone(tasks: readonly TaskHandle[]): Promise<void> {
  await Promise.all(
    tasks.map(async (task) => {
      await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
      expectUndoneOnce(task.id, (await task.describe()).state);
    }),
  );
}

test('a task loses nothing, doubles nothing and leaves nothing half undone, wherever a worker dies', async () => {
  const starts = BOUNDARIES.map((killAt) => {
    const plan = { steps: stepsBy('worker', { killAt }) };
    return client.start({ goal: `killed ${killAt}`, plan }, { id: killAt });
  });
  await expectAllUndone(await Promise.all(starts));
  expect(killedOf(BOUNDARIES)).toEqual(BOUNDARIES);
}, 180_000);

test('a saga whose effects are had once does neither, against a resource that takes whatever it is given', async () => {
  const sagaOf = (killAt: string): string => `once-${killAt}`;
  const starts = [...ONCE_BOUNDARIES, ...RACES].map((killAt) =>
    client.startSaga({ name: killAt, steps: stepsBy('teller', { killAt }) }, { id: sagaOf(killAt) }),
  );
  await expectAllUndone(await Promise.all(starts));
  expect(killedOf(ONCE_BOUNDARIES.map(sagaOf))).toEqual(ONCE_BOUNDARIES.map(sagaOf));
  expect(killedOf(RACES.map(sagaOf))).not.toEqual([]);
}, 240_000);

test('an action that was frozen until it was undone has no effect when it wakes up', async () => {
  const id = 'frozen';
  cli.start(['worker', '--role', 'agents']);
  const [first, ...others] = stepsBy('teller', {});
  const frozen = { ...others[0], input: { freeze: true }, policy: { retry: { maximumAttempts: 1 } } };
  const steps = [first, frozen, ...others.slice(1)] as SagaInput['steps'];
  const saga = await client.startSaga({ name: 'frozen', steps }, { id });
  await fileAppears(join(folder.path, `frozen-${id}`));
  await expect(saga.result()).rejects.toMatchObject({ type: 'StepFailed' });
  const before = ledgerOf(id);
  expect(before.map(({ step: of, kind }) => [of, kind])).toEqual([
    ['a', 'act'],
    ['b', 'undo'],
    ['a', 'undo'],
  ]);
  expect((await saga.describe()).state.compensations).toMatchObject([
    { step: 'b', kind: 'undone', outcome: 'unknown' },
    { step: 'a', kind: 'undone', outcome: 'completed' },
  ]);
  process.kill(Number(read(`frozen-${id}`)), 'SIGCONT');
  await until(() => existsSync(join(folder.path, `late-${id}`)) && read(`late-${id}`) !== '');
  expect(read(`late-${id}`)).toBe('ActionUndone');
  expect(ledgerOf(id)).toEqual(before);
}, 60_000);
