/**
 * Values that are kept out of texts. Owns how they are found there; which values are secret is the matter of who adds them.
 */
import { isRecord } from './json';

/** What is shorter, such as `1` or `debug`, is no secret, and stands in any text. */
const MINIMUM_LENGTH = 8;

/** Names of variables whose values are secret. */
export const SECRET_NAME = /KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL/i;

export class Secrets {
  /** What stands in the place of each. */
  private readonly places = new Map<string, string>();

  /** As it is, and as it stands in JSON. Left out where it has fewer than 8 characters, or was added before. */
  add(secret: string, place: string): void {
    for (const form of [secret, JSON.stringify(secret).slice(1, -1)]) {
      if (form.length >= MINIMUM_LENGTH && !this.places.has(form)) this.places.set(form, place);
    }
  }

  /** Also its parts between blanks, such as the token after `Bearer`. */
  addParts(secret: string, place: string): void {
    for (const part of [secret, ...secret.split(/\s+/)]) this.add(part, place);
  }

  /** Of the longest, in characters; 0 where there is none. */
  get length(): number {
    return Math.max(0, ...Array.from(this.places.keys(), ({ length }) => length));
  }

  /** `text` without them. */
  hide(text: string): string {
    // The longest first: one may be part of another.
    const longestFirst = [...this.places].toSorted(([one], [other]) => other.length - one.length);
    return longestFirst.reduce((rest, [secret, place]) => rest.replaceAll(secret, () => place), text);
  }

  /** The same of all texts in JSON. */
  hideIn(value: unknown): unknown {
    if (typeof value === 'string') return this.hide(value);
    if (Array.isArray(value)) return value.map((item) => this.hideIn(item));
    if (!isRecord(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [this.hide(key), this.hideIn(item)]),
    );
  }
}
