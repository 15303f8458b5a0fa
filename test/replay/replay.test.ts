// Replays every recorded history against the built workflows: a change that breaks an open task fails here.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { PREBUILT_BUNDLE } from '../../src/workers/build-id';
import { installRuntime } from '../../src/workers/runtime';

const FOLDER = join(__dirname, 'histories');
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.json'));
const options = { workflowBundle: { codePath: PREBUILT_BUNDLE } };
/** As a worker of Cadre runs workflows of a user's own. */
const own = {
  workflowsPath: join(__dirname, 'own-saga.ts'),
  interceptors: { workflowModules: [join(__dirname, '..', '..', 'src', 'workflows', 'interceptors.ts')] },
};
const read = (file: string): { events: Record<string, unknown>[] } =>
  JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { events: Record<string, unknown>[] };

beforeAll(() => installRuntime('ERROR'));

test.each(files)(
  '%s replays',
  async (file) => {
    const id = file.replace(/(-\d+)?\.json$/, '');
    const as = id === 'own-saga' ? own : options;
    await expect(Worker.runReplayHistory(as, read(file), id)).resolves.toBeUndefined();
  },
  30_000,
);

test('every shape of a workflow is recorded', () => {
  const shapes = files.map((file) => file.replace(/(-\d+)?\.json$/, ''));
  expect([...new Set(shapes)].sort()).toEqual(
    [
      'agent',
      'agent-left',
      'asked',
      'breaker',
      'breaker-resumed',
      'budget',
      'budget-raised',
      'budget-reached',
      'budget-resumed',
      'calls',
      'cancelled',
      'compensated',
      'continued-as-new',
      'election',
      'election-resumed',
      'failed',
      'fell-back',
      'forked',
      'handed-back',
      'handed-over',
      'large-output',
      'local',
      'lock',
      'main-job',
      'own-saga',
      'plan-refused',
      'planner-retried',
      'reassigned',
      'refused',
      'retried',
      'saga-approved',
      'saga-resumed',
      'saga-time-limit',
      'saga-undone',
      'vote-quorum',
      'vote-tie',
      'vote-time-limit',
    ].sort(),
  );
  expect(files).toEqual(
    expect.arrayContaining(['asked-2.json', 'continued-as-new-2.json', 'own-saga-2.json']),
  );
});

test('a history that another workflow would have left is refused', async () => {
  const history = read('retried.json');
  const scheduled = history.events.find((event) => 'activityTaskScheduledEventAttributes' in event);
  const attributes = scheduled?.['activityTaskScheduledEventAttributes'] as {
    activityType: { name: string };
  };
  attributes.activityType.name = 'another';
  await expect(Worker.runReplayHistory(options, history, 'retried')).rejects.toThrow(
    DeterminismViolationError,
  );
});
