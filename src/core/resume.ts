/**
 * The one input by which an execution goes on from an earlier state: continue-as-new, a resume of what was terminated, a
 * fork. At most 1 MiB of JSON.
 */
export interface Resume<State> {
  readonly snapshot: State;
  readonly origin: ResumeOrigin;
  /** What a fork has changed, by path; the snapshot has it. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

/** Where a resumed execution comes from. */
export type ResumeOrigin = {
  readonly workflowId: string;
  readonly runId: string;
} & (
  | { readonly kind: 'continuedAsNew' }
  /** Ended from outside at `at` (ms since 1970), without a chance to run code. */
  | { readonly kind: 'terminated'; readonly at: number }
  /** Had reached its budget at `at` (ms since 1970), and goes on with more. */
  | { readonly kind: 'raised'; readonly at: number }
  /** Shares what is in another's log up to the event of that number; the other goes on, or has ended, as if this were not. */
  | { readonly kind: 'forked'; readonly number: number }
);
