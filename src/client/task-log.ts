/** The log of a task: what its history says, from the server or from a file. Reading it runs nothing, and needs no worker. */
import { inputInvalid } from '../core/failures';
import type { HistoryFact } from '../core/history-facts';
import { type Difference, type LogComparison, compareLogs, diffStates } from '../core/log/diff';
import { type Point, type TaskMoment, momentAt } from '../core/log/point';
import { type Reason, whyOf } from '../core/log/why';
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

/** Two points of a log, and what differs between them. */
export interface LogDiff {
  readonly before: TaskMoment;
  readonly after: TaskMoment;
  readonly differences: readonly Difference[];
}

/** Of one task or saga. Each method reads the history anew, page by page, and holds none of it unless it says so. */
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

  /** What differs between the states at two points; empty where nothing does. Throws TaskNotFound. */
  async diff(from: Point, to: Point): Promise<LogDiff> {
    const before = await this.stateAt(from);
    const after = await this.stateAt(to);
    return { before, after, differences: diffStates(before.state, after.state) };
  }

  /**
   * Where this log and `other` part, by what was planned, decided and put out, and how their ends differ. Holds the events of
   * both. Throws TaskNotFound.
   */
  async compare(other: TaskLog): Promise<LogComparison> {
    return compareLogs(await collect(this.events()), await collect(other.events()));
  }

  /**
   * Why `step` stands as it does: its output, or what became of it, back to the goal, the latest first. Without it, why the
   * task does. Holds the events. Throws TaskNotFound, and InputInvalid for a step that it does not have.
   */
  async why(step?: string): Promise<Reason[]> {
    const reasons = whyOf(await collect(this.events()), step);
    if (reasons.length > 0 || step === undefined) return reasons;
    const { state } = await this.stateAt('last');
    throw inputInvalid('the step', `one of ${Object.keys(state.steps).join(', ') || 'none, as yet'}`, step);
  }
}

async function collect<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const collected: Value[] = [];
  for await (const value of values) collected.push(value);
  return collected;
}
