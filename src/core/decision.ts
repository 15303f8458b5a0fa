/** A choice an agent made, and why: an event of the log. */
export interface Decision {
  /** What kind of decision, such as `passagesChosen`. */
  readonly type: string;
  /** Why, in a sentence a person can read. */
  readonly rationale: string;
  /** JSON that the decision rests on. */
  readonly evidence?: unknown;
}
