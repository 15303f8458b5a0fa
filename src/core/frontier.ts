import { type Plan, stepNeeds } from './plan';
import { type StepState, type TaskState, stepState } from './task-state';

const TO_RUN: readonly StepState['kind'][] = ['waiting', 'asking', 'parked', 'refused'];

/** Which steps of a plan may start, kept up as steps complete. The plan must be a DAG. */
export class Frontier {
  private readonly openNeeds = new Map<string, number>();
  private readonly dependants = new Map<string, string[]>();
  private readonly startable: string[] = [];

  /** Steps that the state has as completed are done; those that wait for anything are still to run. */
  constructor(plan: Plan, state: TaskState) {
    for (const step of plan.steps) {
      const open = stepNeeds(step).filter((need) => stepState(state, need).kind !== 'completed');
      for (const need of open) this.dependants.set(need, [...(this.dependants.get(need) ?? []), step.id]);
      const { kind } = stepState(state, step.id);
      if (!TO_RUN.includes(kind)) continue;
      this.openNeeds.set(step.id, open.length);
      if (open.length === 0) this.startable.push(step.id);
    }
  }

  /** How many steps may start now. */
  get ready(): number {
    return this.startable.length;
  }

  /** A step that may start now, in the plan's order; undefined where none may. Each is given once. */
  take(): string | undefined {
    return this.startable.shift();
  }

  complete(step: string): void {
    for (const dependant of this.dependants.get(step) ?? []) {
      const open = this.openNeeds.get(dependant);
      if (open === undefined) continue;
      this.openNeeds.set(dependant, open - 1);
      if (open === 1) this.startable.push(dependant);
    }
  }
}
