/**
 * The ledger of effects. Owns what is known of each effect that agents have outside: that it was intended, and with what
 * it ended; and which actions were undone. `context.once` owns what follows from that.
 *
 * 1. Each operation is atomic, and durable when it resolves.
 * 2. An effect is begun by one intent at a time: any other intent gets to see that one, and may replace it by its id.
 * 3. The first outcome stands. Nothing replaces, withdraws or changes it.
 * 4. A tombstone stays. Nothing begins under it; what began before may still be settled, and is told.
 */
import type { Stored } from '../core/stored';

/**
 * What `context.once` and the undoing of steps need. Every worker of a cadre must reach the same ledger: where workers
 * run on several machines give them one of your own, over a database that the machines share. Values are JSON.
 *
 * Operations reject with CadreError `LedgerUnavailable` where the ledger cannot be reached; then nothing was changed, or
 * the operation may be repeated.
 */
export interface EffectLedger {
  /**
   * Records `intent` where the effect has none, or the one whose id is `replaces`, and answers `fresh`; also where that
   * very intent is recorded already. Otherwise changes nothing and tells how the effect stands.
   */
  begin(effect: Effect, intent: Intent, replaces?: string): Promise<EffectStanding>;
  /** Records the outcome, unless there is one; also where the intent is gone, and under a tombstone. */
  settle(effect: Effect, outcome: Stored): Promise<Settlement>;
  /** Forgets the intent of this id, where it is open: its effect surely did not happen. */
  withdraw(effect: Effect, intentId: string): Promise<void>;
  /** Records that the action is undone. Repeating it is harmless. */
  tombstone(action: string): Promise<void>;
  isTombstoned(action: string): Promise<boolean>;
}

/** One effect of one action. */
export interface Effect {
  /** The action's idempotency key. */
  readonly action: string;
  /** The agent that acts: two may act under one key, when a step was assigned anew. */
  readonly agent: string;
  /** 1 to 100 characters, unique among the effects of the agent's action. */
  readonly name: string;
}

/** That an attempt is about to have the effect. */
export interface Intent {
  /** Unique; one a call. */
  readonly id: string;
  /** How often a person had said `retry` of the step, when the attempt was asked for. */
  readonly resolutions: number;
  /** When the server asked for the attempt, in ms since 1970 by its clock. */
  readonly attemptAt: number;
}

/** How an effect stands for one who would begin it. */
export type EffectStanding =
  /** The intent is recorded: go ahead. */
  | { readonly kind: 'fresh' }
  | { readonly kind: 'done'; readonly outcome: Stored }
  /** Another intent is open: its effect may have happened. */
  | { readonly kind: 'unknown'; readonly intent: Intent }
  /** The action was undone. */
  | { readonly kind: 'undone' };

/** What came of recording an outcome. */
export interface Settlement {
  /** The outcome that stands: what was given, or what was recorded before. */
  readonly outcome: Stored;
  /** True where the action was undone meanwhile. */
  readonly undone: boolean;
}
