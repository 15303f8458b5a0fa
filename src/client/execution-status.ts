/** Where an execution stands, of a task's or saga's chain of runs. */
export type ExecutionStatus = 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timedOut';

/** By the SDK's names. */
const STATUS: Readonly<Record<string, ExecutionStatus>> = {
  RUNNING: 'running',
  CONTINUED_AS_NEW: 'running',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timedOut',
};

export function executionStatus({ status }: { readonly status: { readonly name: string } }): ExecutionStatus {
  return STATUS[status.name] ?? 'running';
}
