/** What persons are asked, over all tasks of a cadre. */
import type { Client } from '@temporalio/client';
import { type Question, openQuestions } from '../core/task-details';
import type { TaskEvent, TaskEventType } from '../core/task-events';
import { TaskProjection } from '../core/task-projection';
import { actorOf, isOpen, planStep } from '../core/task-state';
import type { TaskSummary } from './cadre-client';
import { isNotFound } from './grpc-status';
import { readFacts } from './history-reader';
import { inTurn } from './in-turn';

/** Something that a person is to say of a step: whether it may run, what its agent asks, or what is to become of it. */
export type InboxItem = Question & {
  readonly task: string;
  readonly goal: string;
  /** Who has the step. */
  readonly agent: string;
  readonly instruction: string;
  /** When it was asked, in ms since 1970. */
  readonly since: number;
};

const TASKS_AT_ONCE = 10;

/** What those of `tasks` ask that wait for a person, the longest first. Reads their whole histories; needs no worker. */
export async function readInbox(client: Client, tasks: AsyncIterable<TaskSummary>): Promise<InboxItem[]> {
  const waiting: TaskSummary[] = [];
  for await (const task of tasks) waiting.push(task);
  const items = await inTurn(waiting, TASKS_AT_ONCE, (task) => itemsOf(client, task));
  return items.flat().sort((a, b) => a.since - b.since);
}

async function itemsOf(client: Client, { id, goal }: TaskSummary): Promise<InboxItem[]> {
  const projection = new TaskProjection();
  const since = new Map<string, number>();
  try {
    for await (const fact of readFacts(client, id)) {
      for (const event of projection.next(fact)) if (asks(event)) since.set(event.step, event.time);
    }
  } catch (error) {
    // It has been deleted since it was listed.
    if (isNotFound(error)) return [];
    throw error;
  }
  const { state } = projection;
  if (!isOpen(state.phase)) return [];
  return openQuestions(state).map((question): InboxItem => {
    const step = planStep(state, question.step);
    return {
      ...question,
      task: id,
      goal,
      agent: step === undefined ? '' : actorOf(state, step),
      instruction: step?.instruction ?? '',
      since: since.get(question.step) ?? 0,
    };
  });
}

const ASKING = [
  'approvalRequested',
  'questionAsked',
  'stepParked',
  'compensationFailed',
] as const satisfies readonly TaskEventType[];

function asks(event: TaskEvent): event is Extract<TaskEvent, { type: (typeof ASKING)[number] }> {
  return ASKING.some((type) => type === event.type);
}
