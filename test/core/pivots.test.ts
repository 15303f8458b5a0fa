// Sagas in workflow code may have tried more than one pivot: pure.
import { needsResume } from '../../src/core/saga-resume';
import type { TaskEvent } from '../../src/core/task-events';
import { evolve, foldTask } from '../../src/core/task-fold';
import { goesForward, mayBeCancelled } from '../../src/core/task-state';

const policy = { startToClose: 1000, compensation: { startToClose: 1000 } } as never;
const events: TaskEvent[] = [
  { type: 'taskStarted', root: 'r', goal: '' },
  { type: 'pinned', policies: { worker: policy } },
  { type: 'stepAdded', step: { id: 'a', agent: 'worker', instruction: '' } },
  { type: 'stepScheduled', step: 'a', agent: 'worker', term: 0 },
  { type: 'stepCompleted', step: 'a', output: { value: null } },
  { type: 'stepAdded', step: { id: 'card', agent: 'worker', instruction: '', kind: 'pivot' } },
  { type: 'stepScheduled', step: 'card', agent: 'worker', term: 0 },
  { type: 'stepFailed', step: 'card', failure: { type: 'Refused', message: 'no', final: true } },
  { type: 'stepAdded', step: { id: 'invoice', agent: 'worker', instruction: '', kind: 'pivot' } },
  { type: 'stepScheduled', step: 'invoice', agent: 'worker', term: 0 },
];

test('a second pivot that may be done, after a first that failed, lets nothing be undone', () => {
  expect(goesForward(foldTask(events))).toBe(true);
});

test('nor after a terminate', () => {
  const snapshot = foldTask([...events, { type: 'taskTerminated', how: 'terminated' }]);
  expect(needsResume(snapshot)).toBe(true);
  const origin = { kind: 'terminated', workflowId: 'w', runId: 'r', at: 0 } as const;
  const next = evolve(snapshot, { type: 'taskResumed', origin, snapshot });
  expect(next.steps['invoice']).toMatchObject({ kind: 'parked' });
  expect(next.phase).toMatchObject({ kind: 'needsAttention', step: 'invoice' });
  expect(goesForward(next)).toBe(true);
});

test('one that is parked may not be cancelled', () => {
  const failure = { type: 'TimedOut', message: 'START_TO_CLOSE' };
  const parked = foldTask([...events, { type: 'stepParked', step: 'invoice', failure }]);
  expect(mayBeCancelled(parked)).toBe(false);
});
