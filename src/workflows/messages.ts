/** Every signal, query and update that a Cadre workflow takes. */
import { defineQuery } from '@temporalio/workflow';
import type { TaskState } from '../core/task-events';

/** What the query `state` answers. */
export interface TaskReport {
  /** Length of the history in events, of which `state` is the fold. */
  readonly historyLength: number;
  readonly state: TaskState;
}

/** Asks a `task` where it stands. */
export const stateQuery = defineQuery<TaskReport>('state');
