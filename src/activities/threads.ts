import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Piscina } from 'piscina';
import type * as tasks from './threads/entry';

/**
 * Runs the tasks of `threads/entry` in worker threads, so that a worker's main thread stays free to report
 * that it is alive: whatever can take more than 50 ms belongs there. The pool starts with the first task and
 * never keeps a process from exiting.
 */

type Tasks = typeof tasks;
export type ThreadTask = keyof Tasks;

/** Built JavaScript: threads cannot load TypeScript. The same file from `src` and from `dist`. */
const ENTRY = join(__dirname, '../../dist/activities/threads/entry.js');
const THREADS_MAXIMUM = 2;
const IDLE_MILLISECONDS = 5000;

let pool: Piscina | undefined;

/** How many tasks run at a time. */
export function threadCount(): number {
  return Math.max(1, Math.min(THREADS_MAXIMUM, availableParallelism()));
}

/**
 * Resolves with what the task returns. Where `signal` aborts, the thread is ended at once and the promise
 * rejects. What a task throws loses its class on the way: tasks return refusals as values.
 */
export async function runInThread<Task extends ThreadTask>(
  task: Task,
  payload: Parameters<Tasks[Task]>[0],
  signal: AbortSignal,
): Promise<Awaited<ReturnType<Tasks[Task]>>> {
  signal.throwIfAborted();
  pool ??= new Piscina({
    filename: ENTRY,
    minThreads: 0,
    maxThreads: threadCount(),
    idleTimeout: IDLE_MILLISECONDS,
    atomics: 'disabled',
  });
  return (await pool.run(payload, { name: task, signal })) as Awaited<ReturnType<Tasks[Task]>>;
}

/** Ends the threads, which otherwise end by themselves after 5 s without a task. The next task starts new ones. */
export async function closeThreads(): Promise<void> {
  const closing = pool;
  pool = undefined;
  await closing?.destroy();
}
