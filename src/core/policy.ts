/**
 * How Temporal is to run an agent. All times in milliseconds. It travels as data with the plan, so
 * that a task runs by the policy that was in force when it was planned, whatever is deployed later.
 */
export interface ResolvedPolicy {
  /** The longest one attempt may take. */
  readonly startToClose: number;
  /** An attempt that has not reported for so long is taken for dead and retried elsewhere. */
  readonly heartbeatTimeout: number;
  /** The longest all attempts and waits may take together; absent: no limit. */
  readonly scheduleToClose?: number;
  /** The longest a step may wait for a worker before it goes back to the leader; absent: no limit. */
  readonly scheduleToStart?: number;
  readonly retry: ResolvedRetry;
  /** Run inside the workflow task: fewer round trips, but a crash may run the step again. */
  readonly local: boolean;
  readonly pool?: string;
  /** Present where the agent can undo what it did: how that is run. */
  readonly compensation?: ResolvedCompensation;
}

/** How Temporal is to run what undoes a step. All times in milliseconds. */
export interface ResolvedCompensation {
  readonly startToClose: number;
  readonly heartbeatTimeout: number;
  readonly retry: ResolvedRetry;
}

export interface ResolvedRetry {
  /** Attempts in all, the first included; 0: without end. */
  readonly maximumAttempts: number;
  readonly initialInterval: number;
  readonly backoffCoefficient: number;
  readonly maximumInterval: number;
}

/** One agent as the leader sees it when it plans. */
export interface RosterEntry {
  readonly name: string;
  readonly description: string;
  readonly skills: readonly string[];
  readonly pool?: string;
  readonly queue: {
    readonly name: string;
    /** Workers that polled the queue lately; absent where the server does not say. */
    readonly pollers?: number;
    /** Activities that wait on the queue; absent where the server does not say. */
    readonly backlog?: number;
  };
}

/** What the leader plans with: who there is, how busy they are, and which breakers are open. */
export interface Roster {
  readonly agents: readonly RosterEntry[];
  readonly openBreakers: readonly string[];
}
