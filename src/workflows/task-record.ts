import { workflowInfo } from '@temporalio/workflow';
import type { Envelope } from '../core/envelope';
import { taskDetails } from '../core/task-details';
import type { TaskEvent } from '../core/task-events';
import { evolve, restoreStep } from '../core/task-fold';
import { type TaskState, INITIAL_TASK_STATE } from '../core/task-state';
import { showDetails } from './show-details';

/** What one run of a task knows: the fold of the events it recorded. */
export class TaskRecord {
  private current: TaskState = INITIAL_TASK_STATE;
  private readonly show = showDetails(() => taskDetails(this.current, workflowInfo().workflowId));

  get state(): TaskState {
    return this.current;
  }

  record(event: TaskEvent): void {
    this.current = evolve(this.current, event);
    this.show();
  }

  /** Puts a step back to what it was in `before`: what was recorded of it since never reached Temporal. */
  restore(step: string, before: TaskState): void {
    if (!Object.hasOwn(this.current.steps, step)) return;
    this.current = restoreStep(this.current, step, before);
  }

  envelope(step: string, kind: Envelope['kind']): Envelope {
    return { root: this.current.root, step, kind, term: this.current.term, version: 1 };
  }
}
