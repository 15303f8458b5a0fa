import { inputInvalid } from './failures';
import { isRecord } from './json';
import { RESOLUTIONS, type Resolution } from './saga';

/** What a person says of a compensation that failed for good. */
export interface Resolving {
  readonly step: string;
  readonly how: Resolution;
  /** Why; stands in the log. Up to 500 characters, empty for none. */
  readonly note: string;
}

const NOTE_MAXIMUM_LENGTH = 500;

/** `candidate` as a resolution. Throws InputInvalid, naming the field. */
export function readResolving(candidate: unknown): Resolving {
  const { step, how, note = '' } = isRecord(candidate) ? candidate : {};
  const known = RESOLUTIONS.find((one) => one === how);
  if (typeof step !== 'string') throw inputInvalid('`step`', 'the id of a step', step);
  if (known === undefined) throw inputInvalid('`how`', RESOLUTIONS.join(' or '), how);
  if (typeof note !== 'string' || note.length > NOTE_MAXIMUM_LENGTH) {
    throw inputInvalid('`note`', `a text of at most ${NOTE_MAXIMUM_LENGTH} characters`, note);
  }
  return { step, how: known, note };
}

/** `candidate` as a resolution; undefined where it is none. */
export function resolvingOf(candidate: unknown): Resolving | undefined {
  try {
    return readResolving(candidate);
  } catch {
    return undefined;
  }
}
