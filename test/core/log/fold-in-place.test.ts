// Pure: the fold of many events changes its own records where they are, and nobody can tell.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileSource } from '../../../src/client/history-file';
import { TaskLog } from '../../../src/client/task-log';
import { TaskFold, evolve, foldTask } from '../../../src/core/task-fold';
import { type LoggedTaskEvent, TaskProjection } from '../../../src/core/task-projection';
import { INITIAL_TASK_STATE } from '../../../src/core/task-state';
import { ROOT } from '../../support/cli';

const FOLDER = join(ROOT, 'test', 'replay', 'histories');
const histories = readdirSync(FOLDER);

async function eventsOf(name: string): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of new TaskLog(await fileSource(join(FOLDER, name))).events()) events.push(event);
  return events;
}

test.each(histories)(
  '%s folds to the states that evolve makes, and a state that was shown stays',
  async (name) => {
    const events = await eventsOf(name);
    const fold = new TaskFold();
    const shown: { state: object; copy: string }[] = [];
    let state = INITIAL_TASK_STATE;
    for (const [index, event] of events.entries()) {
      state = evolve(state, event);
      fold.next(event);
      expect(fold.passing).toEqual(state);
      // Some are looked at, so that records are kept and copied by turns.
      if (index % 3 === 0) shown.push({ state: fold.state, copy: JSON.stringify(fold.state) });
    }
    expect(foldTask(events)).toEqual(state);
    for (const { state: kept, copy } of shown) expect(JSON.stringify(kept)).toBe(copy);
  },
);

test('a projection that is asked for its state goes on with another', async () => {
  const projection = new TaskProjection();
  const states: { state: object; copy: string }[] = [];
  for await (const fact of (await fileSource(join(FOLDER, 'main-job.json'))).facts()) {
    projection.next(fact);
    states.push({ state: projection.state, copy: JSON.stringify(projection.state) });
  }
  for (const { state, copy } of states) expect(JSON.stringify(state)).toBe(copy);
});
