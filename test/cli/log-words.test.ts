// The lines of a log that goes over several runs; of one run as a user reads them: log-files.test.ts.
import { writeEvents } from '../../src/cli/log-words';
import { Output } from '../../src/cli/output';
import type { LoggedTaskEvent } from '../../src/core/task-projection';

async function* eventsOf(...runs: readonly string[]): AsyncGenerator<LoggedTaskEvent> {
  const entry = { time: 0, actor: 'task', eventId: 1, type: 'cancelRequested' } as const;
  for (const [index, runId] of runs.entries()) yield { ...entry, number: index + 1, runId };
}

async function linesOf(events: AsyncIterable<LoggedTaskEvent>, isWanted = () => true): Promise<string[]> {
  let text = '';
  const written = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    await writeEvents(events, isWanted, new Output(false));
  } finally {
    written.mockRestore();
  }
  return text.trimEnd().split('\n');
}

test('where a run goes on in another, that is named, since event ids begin anew', async () => {
  const lines = await linesOf(eventsOf('one', 'one', 'two'));
  expect(lines.map((line) => line.trim().split(/ +/).slice(0, 2))).toEqual([
    ['#', 'TIME'],
    ['1', '1970-01-01T00:00:00.000'],
    ['2', '1970-01-01T00:00:00.000'],
    ['run', 'two'],
    ['3', '1970-01-01T00:00:00.000'],
  ]);
});

test('a log without events says so', async () => {
  expect(await linesOf(eventsOf())).toEqual(['No events']);
  expect(await linesOf(eventsOf('one'), () => false)).toEqual(['None of its 1 event is so']);
});
