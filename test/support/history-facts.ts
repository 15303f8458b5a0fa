import type { HistoryFact } from '../../src/core/history-facts';
import type { Plan } from '../../src/core/plan';
import { type LoggedTaskEvent, TaskProjection } from '../../src/core/task-projection';

/** A fact without where it stands. */
export type FactBody = HistoryFact extends infer Fact
  ? Fact extends HistoryFact
    ? Omit<Fact, 'eventId' | 'time' | 'runId'>
    : never
  : never;

/** A task's history as it is made, fact by fact, and the log of it. */
export class FactHistory {
  private readonly facts: HistoryFact[] = [];

  /** `at`: of the first fact, in ms since 1970; each is a millisecond after the one before it. */
  constructor(
    private readonly runId = 'run',
    private readonly at = 1000,
  ) {}

  /** The log of all that came so far. */
  get events(): LoggedTaskEvent[] {
    const projection = new TaskProjection();
    return this.facts.flatMap((fact) => projection.next(fact));
  }

  /** Returns its event id. */
  add(body: FactBody): number {
    const eventId = this.facts.length + 1;
    this.facts.push({ eventId, time: this.at + eventId, runId: this.runId, ...body });
    return eventId;
  }

  start(input: unknown): number {
    return this.add({ kind: 'workflowStarted', workflowId: 'task', firstRunId: this.runId, input });
  }

  /** Schedules an activity; `kind` is the envelope's. Returns its event id. */
  schedule(step: string, activityType: string, kind = 'act', request: unknown = {}): number {
    const envelope = { root: `task/${this.runId}`, step, kind, term: 1, version: 1 };
    return this.add({ kind: 'activityScheduled', activityType, input: [envelope, request] });
  }

  complete(scheduledEventId: number, result: unknown): number {
    return this.add({ kind: 'activityCompleted', scheduledEventId, result });
  }

  fail(scheduledEventId: number, message: string): number {
    return this.add({ kind: 'activityFailed', scheduledEventId, failure: { type: 'Error', message } });
  }

  /** Has the leader plan. */
  plan(plan: Plan, decisions?: unknown): void {
    const outcome = { plan, policies: {}, by: 'planner', term: 1 };
    const scheduled = this.schedule('plan', 'plan', 'plan', { goal: 'a goal' });
    this.complete(
      scheduled,
      decisions === undefined ? outcome : { ...outcome, decisions: { value: decisions } },
    );
  }

  /** Has `step` done by `agent`. */
  act(step: string, agent: string, value: unknown, decisions?: unknown): void {
    const outcome = { output: { value } };
    const scheduled = this.schedule(step, agent);
    this.add({ kind: 'activityStarted', scheduledEventId: scheduled, attempt: 1, identity: 'worker' });
    this.complete(
      scheduled,
      decisions === undefined ? outcome : { ...outcome, decisions: { value: decisions } },
    );
  }

  /** Makes the result of the outputs there are, and ends the task. */
  end(): void {
    this.complete(this.schedule('aggregate', 'aggregate', 'aggregate'), { by: 'leader', term: 1 });
    this.add({ kind: 'workflowCompleted' });
  }
}
