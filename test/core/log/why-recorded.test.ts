// Of every recorded history of a task: what there is to say of each step holds together.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileSource } from '../../../src/client/history-file';
import { TaskLog } from '../../../src/client/task-log';
import { firstParting } from '../../../src/core/log/diff';
import { whyOf } from '../../../src/core/log/why';
import type { LoggedTaskEvent } from '../../../src/core/task-projection';

const FOLDER = join(__dirname, '..', '..', 'replay', 'histories');
const files = readdirSync(FOLDER).filter((file) => {
  const { events } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { events: unknown[] };
  return /"name":"(task|saga)"/.test(JSON.stringify(events[0]));
});

async function eventsOf(file: string): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of new TaskLog(await fileSource(join(FOLDER, file))).events()) events.push(event);
  return events;
}

test('tasks and sagas are recorded', () => expect(files.length).toBeGreaterThan(20));

test.each(files)('%s: each step is followed back to the beginning, each event once', async (file) => {
  const events = await eventsOf(file);
  const steps = events.flatMap((event) =>
    event.type === 'planned' ? event.plan.steps.map(({ id }) => id) : [],
  );
  expect(events.length).toBeGreaterThan(1);
  for (const step of [undefined, ...steps]) {
    const reasons = whyOf(events, step);
    const told = reasons.map(({ event }) => event.number);
    expect(new Set(told).size).toBe(told.length);
    for (const { event, because } of reasons) {
      expect(because).toEqual(because.filter((number) => number < event.number && told.includes(number)));
    }
    const first = reasons.filter(({ because }) => because.length === 0);
    expect(first.map(({ event }) => event.number)).toEqual([1]);
  }
});

test.each(files)('%s does not part from itself', async (file) => {
  expect(firstParting(await eventsOf(file), await eventsOf(file))).toBeUndefined();
});

test.each<[string, string, string[]]>([
  [
    'saga-undone.json',
    'd',
    ['15 stepFailed: 14', '14 approvalAnswered: 13', '13 approvalRequested: 12 10 2', '12 stepCompleted: 8'],
  ],
  [
    'saga-approved.json',
    'ship',
    [
      '21 stepResolved: 20',
      '20 stepParked: 18',
      '18 stepScheduled: 17 13 2',
      '17 stepResolved: 16',
      '16 stepParked: 14',
      '14 stepScheduled: 13 2',
      '13 stepCompleted: 11',
      '11 stepScheduled: 10 8 2',
      '10 approvalAnswered: 9',
    ],
  ],
  [
    'fell-back.json',
    'a',
    [
      '10 stepCompleted: 8',
      '8 stepScheduled: 7 3',
      '7 stepFellBack: 4',
      '4 stepScheduled: 3',
      '3 planned: 1',
    ],
  ],
])('%s says why %s stands so', async (file, step, expected) => {
  const reasons = whyOf(await eventsOf(file), step);
  const told = reasons.map(({ event, because }) => `${event.number} ${event.type}: ${because.join(' ')}`);
  expect(told.slice(0, expected.length)).toEqual(expected);
});

test('a step of workflow code follows from where it was begun', async () => {
  const events = await eventsOf('own-saga.json');
  const added = events.find((event) => event.type === 'stepAdded');
  const [last] = events.flatMap((event) => (event.type === 'stepScheduled' ? [event.step] : []));
  expect(added?.step.id).toBe(last);
  const reasons = whyOf(events, last);
  expect(reasons.map(({ event }) => event.type)).toEqual(
    expect.arrayContaining(['stepCompleted', 'stepScheduled', 'stepAdded', 'taskStarted']),
  );
});
