/**
 * The one input by which an execution goes on from an earlier state: continue-as-new, and whatever else
 * restores. At most 1 MiB of JSON.
 */
export interface Resume<State> {
  readonly snapshot: State;
  readonly origin: ResumeOrigin;
  /** Changes to make to the snapshot before going on. */
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
);
