import type { Spending } from './budget/budget';
import { LEADER_WORK, type LeaderWork } from './names';

/** What an activity is for: an agent's action, undoing one, the leader's work, leading itself, or claiming a lock. */
export type EnvelopeKind = 'act' | 'undo' | 'lead' | 'lock' | LeaderWork;

const KINDS: readonly EnvelopeKind[] = ['act', 'undo', 'lead', 'lock', ...LEADER_WORK];

/**
 * The first argument of every activity. The log is projected from it, so its shape is as
 * durable as the histories that hold it: add fields, never change their meaning.
 */
export interface Envelope {
  /** The first execution of this piece of work; see {@link idempotencyKey}. */
  readonly root: string;
  /** The step's id in the plan, for a ballot `<id>/<number>`; else the name of the work, such as `plan`. */
  readonly step: string;
  readonly kind: EnvelopeKind;
  /** Fencing token of the leader that decided this; 0 before the task has seen one. */
  readonly term: number;
  readonly version: 1;
  /** What the task may use; left out where nothing is limited. */
  readonly budget?: Spending;
}

/** True for an activity's first argument that is an envelope of a version this build reads. */
export function isEnvelope(value: unknown): value is Envelope {
  const envelope = value as Envelope | null | undefined;
  return (
    typeof envelope === 'object' &&
    envelope !== null &&
    envelope.version === 1 &&
    typeof envelope.root === 'string' &&
    typeof envelope.step === 'string' &&
    typeof envelope.term === 'number' &&
    KINDS.includes(envelope.kind)
  );
}

/**
 * The same for every attempt of an action, on whatever worker, and over continue-as-new; different for
 * another step, for undoing it, and for a fork. Give it to the outside world as its idempotency key.
 */
export function idempotencyKey(envelope: Pick<Envelope, 'root' | 'step' | 'kind'>): string {
  return `${envelope.root}/${envelope.step}/${envelope.kind}`;
}
