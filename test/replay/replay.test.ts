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
const read = (file: string): { events: Record<string, unknown>[] } =>
  JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { events: Record<string, unknown>[] };

beforeAll(() => installRuntime('ERROR'));

test.each(files)('%s replays', async (file) => {
  const id = file.replace(/(-\d+)?\.json$/, '');
  await expect(Worker.runReplayHistory(options, read(file), id)).resolves.toBeUndefined();
});

test('every shape of a workflow is recorded', () => {
  const shapes = files.map((file) => file.replace(/(-\d+)?\.json$/, ''));
  expect([...new Set(shapes)].sort()).toEqual(
    [
      'cancelled',
      'compensated',
      'continued-as-new',
      'election',
      'election-resumed',
      'failed',
      'handed-back',
      'handed-over',
      'large-output',
      'local',
      'main-job',
      'plan-refused',
      'planner-retried',
      'reassigned',
      'retried',
      'vote-quorum',
      'vote-tie',
      'vote-time-limit',
    ].sort(),
  );
  expect(files).toContain('continued-as-new-2.json');
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
