/** A value that survives `JSON.parse(JSON.stringify(value))` unchanged. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Length in bytes of `value` as UTF-8 JSON; 0 for `undefined`. Throws TypeError where JSON.stringify does. */
export function jsonBytes(value: unknown): number {
  const text = JSON.stringify(value);
  return text === undefined ? 0 : utf8Bytes(text);
}

/** Length in bytes of `text` in UTF-8. The workflow sandbox has no Buffer, hence the count by code unit. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && index + 1 < text.length) {
      bytes += 4;
      index++;
    } else bytes += 3;
  }
  return bytes;
}

/** True where lists and objects in `value` hold each other more than `levels` deep. Does not recurse, so that no depth harms it; `value` must not hold itself. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > levels) return true;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return false;
}

/** JSON in which objects that are equal are written alike, whatever the order of their fields. `value` must be JSON. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    isRecord(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
}

/** True for an object that is neither null nor an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Ends a switch over one of our unions: a new member is then a compile error, not a silent default. */
export function assertNever(value: never): never {
  throw new TypeError(`Unexpected member of a union: ${JSON.stringify(value)}`);
}

/** What stands in `value` at a path of field names; undefined where there is nothing. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((of, key) => (isRecord(of) ? of[key] : undefined), value);
}

/** `value` for a message: the beginning of its JSON; of what has none (a BigInt, a ring, what is nested too deep) its type. */
export function shownJson(value: unknown): string {
  try {
    return JSON.stringify(value)?.slice(0, 80) ?? 'nothing';
  } catch {
    return typeof value;
  }
}

/** What is wrong with a field of an object: the path to it, and what was expected. */
export type FieldProblem = readonly [path: readonly string[], expected: string];

/** The same, as a message: `prefix` stands before the field's name. */
export function fieldMessage(of: unknown, [path, expected]: FieldProblem, prefix = ''): string {
  const got = shownJson(valueAt(of, path));
  return `Expected ${prefix}${path.join('.')} to be ${expected}, got ${got}`;
}
