/** A point of a log, and the state there. */
import type { LoggedTaskEvent } from '../task-projection';
import { TaskFold } from '../task-fold';
import type { TaskState } from '../task-state';

/** After the event of that number; after all until that time (ms since 1970); or after the last there is. */
export type Point = { readonly number: number } | { readonly time: number } | 'last';

/** A task at a point of its log. */
export interface TaskMoment {
  /** Of the last event up to the point; 0 and undefined before the first. */
  readonly number: number;
  readonly time: number | undefined;
  readonly state: TaskState;
}

/** True for an event that lies after `point`: so does every later one. */
export function isAfter({ number, time }: Pick<LoggedTaskEvent, 'number' | 'time'>, point: Point): boolean {
  if (point === 'last') return false;
  return 'number' in point ? number > point.number : time > point.time;
}

/**
 * The state after all of `events`, in order, that are not after `point`: an event's number and time decide, and nothing
 * runs. Reads no further than the first that is after it.
 */
export async function momentAt(events: AsyncIterable<LoggedTaskEvent>, point: Point): Promise<TaskMoment> {
  const fold = new TaskFold();
  let last: LoggedTaskEvent | undefined;
  for await (const event of events) {
    if (isAfter(event, point)) break;
    fold.next(event);
    last = event;
  }
  return { number: last?.number ?? 0, time: last?.time, state: fold.state };
}
