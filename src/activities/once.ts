/**
 * Has an effect outside once, whatever becomes of the attempts: the intent is recorded before it, the outcome after.
 * Owns what an attempt does with what the ledger tells; the ledger owns what is true.
 *
 * 1. Where an outcome is recorded nothing runs.
 * 2. Where an intent is open nothing runs before `reconcile` has said that the effect did not happen, or a person has
 *    said to try again. An attempt that is older than the intent does not even ask.
 * 3. Under a tombstone nothing begins, and nothing is returned.
 */
import { randomUUID } from 'node:crypto';
import { CadreError } from '../core/failures';
import { assertNever } from '../core/json';
import { INLINE_MAXIMUM_BYTES, type Stored } from '../core/stored';
import type { ArtifactStore } from '../storage/artifact-store';
import type { Effect, EffectLedger, Intent } from '../storage/effect-ledger';
import { load, store } from '../storage/stored-values';
import type { AgentLog } from './agent-context';

/** What {@link Once} may be told. All fields are optional. */
export interface OnceOptions<Result> {
  /**
   * Finds out whether the effect happened, where an earlier attempt began it and recorded no outcome. Only read in it.
   * What it throws is retried as what `act` throws. Default: the step fails with `OutcomeUnknown`, and waits for a person.
   */
  reconcile?: () => Promise<Reconciled<Result>>;
  /**
   * True for an error of `run` after which the effect surely did not happen, such as a refused connection: the next
   * attempt runs as if there had been none. Default: no error is.
   */
  notApplied?: (error: unknown) => boolean;
}

export type Reconciled<Result> = { done: true; result: Result } | { done: false };

export type Once = <Result>(
  name: string,
  run: () => Promise<Result> | Result,
  options?: OnceOptions<Result>,
) => Promise<Result>;

/** Whose effects they are. */
export interface OnceScope
  extends Pick<Effect, 'action' | 'agent'>,
    Pick<Intent, 'resolutions' | 'attemptAt'> {
  readonly ledger: EffectLedger;
  readonly artifacts: ArtifactStore;
  /** Aborts when no effect is to begin any more. */
  readonly signal: AbortSignal;
  readonly log: AgentLog;
}

/** The `once` of one attempt. */
export function makeOnce(scope: OnceScope): Once {
  const taken = new Set<string>();
  return async (name, run, options = {}) => {
    checkEffect(name, run);
    if (taken.has(name)) {
      throw new CadreError('EffectInvalid', `The effect "${name}" was begun before in the same attempt`);
    }
    taken.add(name);
    try {
      return await new EffectRun(scope, name, run, options).execute();
    } catch (error) {
      taken.delete(name);
      throw error;
    }
  };
}

const NAME_MAXIMUM_LENGTH = 100;

function checkEffect(name: unknown, run: unknown): void {
  if (typeof name !== 'string' || name === '' || name.length > NAME_MAXIMUM_LENGTH) {
    const got = JSON.stringify(name)?.slice(0, 80) ?? typeof name;
    throw new CadreError(
      'EffectInvalid',
      `Expected the name of an effect to be a text of 1 to ${NAME_MAXIMUM_LENGTH} characters, got ${got}`,
    );
  }
  if (typeof run !== 'function') {
    throw new CadreError('EffectInvalid', `Expected \`run\` of the effect "${name}" to be a function`);
  }
}

class EffectRun<Result> {
  private readonly effect: Effect;
  private readonly intent: Intent;

  constructor(
    private readonly scope: OnceScope,
    name: string,
    private readonly run: () => Promise<Result> | Result,
    private readonly options: OnceOptions<Result>,
  ) {
    const { action, agent, resolutions, attemptAt } = scope;
    this.effect = { action, agent, name };
    this.intent = { id: randomUUID(), resolutions, attemptAt };
  }

  async execute(replaces?: string): Promise<Result> {
    const { ledger, artifacts, signal } = this.scope;
    signal.throwIfAborted();
    const standing = await ledger.begin(this.effect, this.intent, replaces);
    switch (standing.kind) {
      case 'fresh':
        return this.settle(await this.act());
      case 'done':
        return load(artifacts, standing.outcome as Stored<Result>);
      case 'unknown':
        return this.resume(standing.intent);
      case 'undone':
        throw actionUndone(this.effect.action);
      default:
        return assertNever(standing);
    }
  }

  private async act(): Promise<Result> {
    try {
      return await this.run();
    } catch (error) {
      if (this.options.notApplied?.(error) === true) {
        await this.scope.ledger.withdraw(this.effect, this.intent.id);
      }
      throw error;
    }
  }

  /** Goes on from an intent without outcome. */
  private async resume(open: Intent): Promise<Result> {
    const { resolutions, attemptAt } = this.intent;
    if (open.resolutions < resolutions) return this.execute(open.id);
    const older = open.resolutions > resolutions || open.attemptAt > attemptAt;
    if (older || this.options.reconcile === undefined) throw this.outcomeUnknown(open);
    const reconciled = await this.options.reconcile();
    return reconciled.done ? this.settle(reconciled.result) : this.execute(open.id);
  }

  /** What JSON makes of the result, so that every attempt returns the same. */
  private async settle(result: Result): Promise<Result> {
    const { ledger, artifacts, log } = this.scope;
    const given: Stored<Result> =
      result === undefined ? { value: result } : await store(artifacts, result, INLINE_MAXIMUM_BYTES);
    const { outcome, undone } = await ledger.settle(this.effect, given);
    if (undone) {
      log.warn('An effect ended after its action was undone, and may be left over', { ...this.effect });
      throw actionUndone(this.effect.action);
    }
    return load(artifacts, outcome as Stored<Result>);
  }

  private outcomeUnknown(open: Intent): CadreError {
    const { name } = this.effect;
    const begun = new Date(open.attemptAt).toISOString();
    return new CadreError(
      'OutcomeUnknown',
      `Nobody knows whether the effect "${name}" happened: the attempt of ${begun} began it and recorded no outcome`,
      { details: { effect: name, attemptAt: begun } },
    );
  }
}

/** What a late attempt of `action`, an idempotency key, ends with. */
export function actionUndone(action: string): CadreError {
  return new CadreError('ActionUndone', `The action ${action} was undone before this attempt of it ended`);
}
