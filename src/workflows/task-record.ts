import { upsertMemo, workflowInfo } from '@temporalio/workflow';
import { spendingOf } from '../core/budget/budget';
import { usageMemo } from '../core/cost';
import type { Envelope } from '../core/envelope';
import { USAGE_MEMO } from '../core/names';
import { taskDetails } from '../core/task-details';
import type { TaskEvent } from '../core/task-events';
import { evolve, restoreStep } from '../core/task-fold';
import { type TaskState, INITIAL_TASK_STATE, isOpen } from '../core/task-state';
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
    if (this.current.usage !== undefined && !isOpen(this.current.phase)) this.sayUsage();
  }

  /** Puts a step back to what it was in `before`: what was recorded of it since never reached Temporal. */
  restore(step: string, before: TaskState): void {
    if (!Object.hasOwn(this.current.steps, step)) return;
    this.current = restoreStep(this.current, step, before);
  }

  envelope(step: string, kind: Envelope['kind']): Envelope {
    const { root, term, budget } = this.current;
    const spending = budget === undefined ? {} : { budget: spendingOf(budget) };
    return { root, step, kind, term, version: 1, ...spending };
  }

  /** By the memo of what has ended, costs are added up without its history. */
  private sayUsage(): void {
    upsertMemo({ [USAGE_MEMO]: usageMemo(this.current) });
  }
}
