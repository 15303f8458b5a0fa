import { openQuestions, questionWords } from '../core/task-details';
import { type TaskState, isOpen } from '../core/task-state';
import type { Output } from './output';

/** Writes what a task asks of persons, each with what to type; nothing where it asks nothing. */
export function writeQuestions(id: string, state: TaskState, output: Output): void {
  if (!isOpen(state.phase)) return;
  for (const question of openQuestions(state)) {
    const { text, command } = questionWords(id, question);
    output.line();
    output.line(`${output.paint('yellow', '!')} ${text}`);
    output.line(`  → ${command}`);
  }
}
