/** Every signal, query and update that a Cadre workflow takes. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Announcement, ElectionState } from '../core/election';
import { ANNOUNCE_SIGNAL, RESIGN_UPDATE } from '../core/names';
import type { TaskState } from '../core/task-events';

/** What the query `state` answers. */
export interface TaskReport {
  /** Length of the history in events, of which `state` is the fold. */
  readonly historyLength: number;
  readonly state: TaskState;
}

/** Asks a `task` where it stands. */
export const stateQuery = defineQuery<TaskReport>('state');

/** Asks an `election` who leads, in which term, and how earlier terms ended. */
export const leaderQuery = defineQuery<ElectionState>('leader');

/** Tells an `election` who has taken the term it offers. */
export const announceSignal = defineSignal<[Announcement]>(ANNOUNCE_SIGNAL);

/** Asks the leader to hand over; answers with whom it asked. Refused as `NoLeader` while nobody leads. */
export const resignUpdate = defineUpdate<Announcement>(RESIGN_UPDATE);
