/** The log of a task: what its history says, from the server or from a file. Reading it runs nothing, and needs no worker. */
import type { HistoryFact } from '../core/history-facts';
import { type Point, type TaskMoment, momentAt } from '../core/log/point';
import { type LoggedTaskEvent, TaskProjection } from '../core/task-projection';

/** Where a history is read from. */
export interface FactSource {
  /** The workflow's id. */
  readonly id: string;
  /** The facts in order, over all runs there are. `follow`: waits for more until the workflow ends, or `signal` aborts. */
  facts(options?: FollowOptions): AsyncIterable<HistoryFact>;
}

export interface FollowOptions {
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** Of one task or saga. Each method reads the history anew, page by page, and holds none of it. */
export class TaskLog {
  constructor(private readonly source: FactSource) {}

  get id(): string {
    return this.source.id;
  }

  facts(options: FollowOptions = {}): AsyncIterable<HistoryFact> {
    return this.source.facts(options);
  }

  /** The events in order. With `follow` the iteration goes on as they happen, and ends with the task. Throws TaskNotFound. */
  async *events(options: FollowOptions = {}): AsyncGenerator<LoggedTaskEvent> {
    const projection = new TaskProjection();
    for await (const fact of this.source.facts(options)) yield* projection.next(fact);
  }

  /** The state at `point`. Throws TaskNotFound. */
  stateAt(point: Point): Promise<TaskMoment> {
    return momentAt(this.events(), point);
  }
}
