// What is asked of persons, as an answer finds it before the workflow has come to its step. Without a server.
import { evolve, foldTask } from '../../src/core/task-fold';
import type { TaskState } from '../../src/core/task-state';
import { Attendance } from '../../src/workflows/attendance';
import type { TaskRecord } from '../../src/workflows/task-record';

const asking = (until: number): TaskState =>
  evolve(foldTask([{ type: 'taskStarted', root: 'task/run', goal: 'a goal' }]), {
    type: 'questionAsked',
    step: 'pay',
    agent: 'clerk',
    name: 'refund',
    question: 'May I refund it?',
    hash: 'a'.repeat(64),
    until,
    attemptsUsed: 0,
  });
const yes = { step: 'pay', answer: 'yes', hash: 'a'.repeat(64), note: '' };

test('the time to answer a question of an earlier run is over where its state says so', () => {
  const check = (state: TaskState) => new Attendance({ state } as unknown as TaskRecord).checkAnswering(yes);
  expect(check(asking(Date.now() + 60_000))).toMatchObject({ answer: 'yes' });
  expect(() => check(asking(Date.now()))).toThrow(
    expect.objectContaining({ type: 'NotAsked', message: expect.stringMatching(/time to answer/) }),
  );
});
