/** What of a task the embedded agents did in the place of those that ask a model, and why: told at its end. */
import { REFUSAL_WORDS } from '../core/breaker/refusal';
import { FELL_BACK } from '../core/decision';
import { EMBEDDED_PREFIX } from '../core/names';
import { oneLine } from '../core/one-line';
import type { LoggedTaskEvent } from '../core/task-projection';
import type { Output } from './output';

const NAMES_MAXIMUM = 8;
const WHY_MAXIMUM_LENGTH = 160;

/** True for an agent that asks no model, in the place of one that does. */
export function isStandIn(agent: string): boolean {
  return agent.startsWith(EMBEDDED_PREFIX);
}

export class WithoutModel {
  /** By step: what it failed with last. */
  private readonly failures = new Map<string, string>();
  /** By why: the plan, and steps. */
  private readonly done = new Map<string, Set<string>>();

  /** Takes the events of a task, in order. */
  add(event: LoggedTaskEvent): void {
    if (event.type === 'stepFailed') this.failures.set(event.step, event.failure.message);
    if (event.type === 'planned' && isStandIn(event.by)) this.note('the plan', reasonOf(event));
    if (event.type === 'assigned' && isStandIn(event.agent)) {
      this.note(event.step, this.failures.get(event.step) ?? event.reason);
    }
    if (event.type === 'stepFellBack' && isStandIn(event.agent)) {
      this.note(event.step, `Of the breaker ${event.breaker}, ${REFUSAL_WORDS[event.why]}`);
    }
  }

  /** A line for each reason; nothing where all was done with the model. */
  write(output: Output): void {
    for (const [why, what] of this.done) {
      const names = [...what].slice(0, NAMES_MAXIMUM).join(', ');
      const more = what.size > NAMES_MAXIMUM ? `, and ${what.size - NAMES_MAXIMUM} more` : '';
      output.line(
        `${output.paint('yellow', '!')} Without the model: ${names}${more}. ${oneLine(why, WHY_MAXIMUM_LENGTH)}`,
      );
    }
    if (this.done.size > 0) output.line('  → `cadre doctor` asks the model once, and says what is wrong.');
  }

  private note(what: string, why: string): void {
    const same = this.done.get(why) ?? new Set();
    this.done.set(why, same.add(what));
  }
}

/** Why another planned than was asked to. Of decisions in the artifact store nothing is known here. */
function reasonOf({ by, decisions }: Extract<LoggedTaskEvent, { type: 'planned' }>): string {
  const made = decisions !== undefined && 'value' in decisions ? decisions.value : [];
  const told = made.find(({ type }) => type === FELL_BACK)?.rationale ?? `${by} made the plan`;
  return told.replace(/^\S+ instead of \S+: /, '');
}
