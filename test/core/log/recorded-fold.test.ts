// Of every recorded history of a task: what the log adds to an event does not get into the state.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileSource } from '../../../src/client/history-file';
import { momentAt } from '../../../src/core/log/point';
import { type LoggedTaskEvent, TaskProjection } from '../../../src/core/task-projection';

const FOLDER = join(__dirname, '..', '..', 'replay', 'histories');
const files = readdirSync(FOLDER).filter((file) => !/^(agent|breaker|election|lock)/.test(file));

test.each(files)('the state of the log of %s is the fold of what was projected', async (file) => {
  const projection = new TaskProjection();
  const events: LoggedTaskEvent[] = [];
  for await (const fact of (await fileSource(join(FOLDER, file))).facts())
    events.push(...projection.next(fact));
  async function* log(): AsyncGenerator<LoggedTaskEvent> {
    yield* events;
  }
  const { state, number } = await momentAt(log(), 'last');
  expect(number).toBe(events.length);
  expect(state).toEqual(projection.state);
});
