// Pure: what the Web UI and the commands say of a task.
import { openQuestions, questionWords, standWords, taskDetails } from '../../src/core/task-details';
import type { TaskEvent } from '../../src/core/task-events';
import { foldTask } from '../../src/core/task-fold';
import type { TaskState } from '../../src/core/task-state';
import { step } from '../support/agents';

const failure = { type: 'Error', message: 'no | answer' };
const HASH = '0123456789abcdef'.repeat(4);

const state = (...events: TaskEvent[]): TaskState =>
  foldTask([
    { type: 'taskStarted', root: 'order-42/run', goal: 'an order' },
    {
      type: 'planned',
      plan: {
        steps: [
          { ...step('reserve', 'stock'), kind: 'compensable' },
          { ...step('pay', 'payer'), kind: 'pivot' },
          { ...step('ship', 'shipper'), kind: 'retryable' },
        ],
      },
      policies: {},
      by: 'caller',
      term: 0,
    },
    ...events,
  ]);
const completed = (id: string): TaskEvent => ({ type: 'stepCompleted', step: id, output: { value: 1 } });
const parked = (id: string): TaskEvent => ({ type: 'stepParked', step: id, failure });

const wordsOf = (now: TaskState) => openQuestions(now).map((question) => questionWords('order-42', question));

test('a step that asks for approval is named with its hash and what to type', () => {
  const asking = state({ type: 'approvalRequested', step: 'pay', hash: HASH });
  expect(wordsOf(asking)).toEqual([
    {
      text: 'pay asks for approval of its input 0123456789ab',
      command: 'cadre answer order-42 pay yes|no --hash 0123456789ab',
    },
  ]);
  expect(standWords(asking)).toBe('awaits approval of pay');
  const lines = taskDetails(asking).split('\n');
  expect(lines).toContain('| pay | payer | do pay | waits for approval (pivot) |');
  expect(lines).toContain(
    '- pay asks for approval of its input 0123456789ab: `cadre answer order-42 pay yes|no --hash 0123456789ab`',
  );
});

test('a parked step may be tried again, skipped, or before the pivot fail', () => {
  const before = state(parked('pay'));
  expect(standWords(before)).toBe('needs attention: pay failed for good');
  expect(wordsOf(before)).toEqual([
    {
      text: 'pay failed for good: no | answer',
      command: 'cadre saga resolve order-42 pay retry|skip|fail --note "..."',
    },
  ]);
  const after = state(completed('pay'), parked('ship'));
  expect(wordsOf(after)[0]?.command).toBe('cadre saga resolve order-42 ship retry|skip --note "..."');
  expect(taskDetails(after).split('\n')).toContain(
    '- ship failed for good: no \\| answer: `cadre saga resolve order-42 ship retry|skip --note "..."`',
  );
});

test('what cannot be undone is asked about, and no step that was parked before', () => {
  const undoing = { step: 'reserve', agent: 'stock' };
  const stuck = state(
    parked('ship'),
    { type: 'compensationScheduled', outcome: 'completed', ...undoing },
    { type: 'compensationFailed', ...undoing, failure },
  );
  expect(standWords(stuck)).toBe('needs attention: cannot undo reserve');
  expect(wordsOf(stuck)).toEqual([
    {
      text: 'reserve cannot be undone: no | answer',
      command: 'cadre saga resolve order-42 reserve retry|skip --note "..."',
    },
  ]);
});

test('a task that has ended asks nothing any more', () => {
  const ended = state(parked('pay'), { type: 'taskTerminated', how: 'terminated' });
  expect(taskDetails(ended)).not.toContain('cadre saga resolve');
});

test('the commands name the execution that is asked, also where it goes on from another', () => {
  expect(taskDetails(state(parked('pay')), 'order-42.resume')).toContain(
    '`cadre saga resolve order-42.resume pay',
  );
});
