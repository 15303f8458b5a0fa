/** A choice an agent made, and why: an event of the log. */
export interface Decision {
  /** What kind of decision, such as `passagesChosen`. */
  readonly type: string;
  /** Why, in a sentence a person can read. */
  readonly rationale: string;
  /** JSON that the decision rests on. */
  readonly evidence?: unknown;
}

/** Type of a planner's decision that says how long the task will take; `cadre run` shows it where the plan is told. */
export const TIME_EXPECTED = 'timeExpected';

/** Type of a decision of the leader's that says for whom a fallback did the work, and why; shown like that one. */
export const FELL_BACK = 'fellBack';

/** Type of a decision that says of calls that they were made again, and may have been paid twice. */
export const CALL_REPEATED = 'callRepeated';
