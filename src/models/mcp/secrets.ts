import { isRecord } from '../../core/json';

/** Shorter ones are in any text. */
const LENGTH_MINIMUM = 8;
const HIDDEN = '[hidden]';

/** The secrets that a server is given, which it may repeat. */
export class Secrets {
  private readonly known = new Set<string>();

  /** Also its parts between blanks, such as the token after `Bearer`, and how it stands in JSON. */
  add(secret: string): void {
    for (const part of [secret, ...secret.split(/\s+/)]) {
      for (const form of [part, JSON.stringify(part).slice(1, -1)]) {
        if (form.length >= LENGTH_MINIMUM) this.known.add(form);
      }
    }
  }

  /** `text` without them; of 8 characters or more. */
  hide(text: string): string {
    // The longest first: one may be part of another.
    const longestFirst = [...this.known].toSorted((a, b) => b.length - a.length);
    return longestFirst.reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text);
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
