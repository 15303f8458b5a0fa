import type { TaskDescription } from '../client/task-handle';
import { needsResume } from '../core/saga-resume';
import type { Output } from './output';

/** What to do about a task that was cut off and left something undone; undefined where nothing is to be done. */
export function resumeWords({
  id,
  state,
  resumedAs,
}: Pick<TaskDescription, 'id' | 'state' | 'resumedAs'>): string | undefined {
  if (state.phase.kind !== 'terminated') return undefined;
  if (resumedAs !== undefined) return `It went on in ${resumedAs}: see cadre saga show ${resumedAs}`;
  return needsResume(state) ? `What it left is undone, or finished, by cadre saga resume ${id}` : undefined;
}

/** Says so below what a command shows of the task. */
export function writeResume(
  description: Pick<TaskDescription, 'id' | 'state' | 'resumedAs'>,
  output: Output,
): void {
  const words = resumeWords(description);
  if (words === undefined) return;
  output.line();
  output.line(`  → ${words}`);
}
