/** From `offset` on, a block's text comes from `line` of the file (1 for the first). */
export interface LineStart {
  readonly offset: number;
  readonly line: number;
}

/** Text of a document as a reader sees it: no markup, whitespace runs collapsed to one space. */
export interface Block {
  /**
   * `item` is a list item, `row` one row of a table with its cells divided by ` | `. `label` is text that
   * helps to find a passage and is never cited: code, a table's header.
   */
  readonly kind: 'heading' | 'paragraph' | 'item' | 'row' | 'label';
  /** 1 to 6 for headings; 0 for everything else. */
  readonly level: number;
  readonly text: string;
  /** Ascending; the first one has the offset 0. */
  readonly starts: readonly LineStart[];
}

/** A file or folder that was not read, or not in full, and why. */
export interface Note {
  /** Relative to the folder, divided by `/`; `.` is the folder itself. */
  readonly file: string;
  readonly problem: string;
}

/** A file that can be read; listing does not open it. */
export interface ListedDocument {
  /** Relative to the folder, divided by `/`. */
  readonly file: string;
  readonly bytes: number;
}

/** The line of the character at `offset`. */
export function lineAt(starts: readonly LineStart[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle]?.offset ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return starts[low]?.line ?? 1;
}

/** Orders by code unit: the same on every machine, unlike `localeCompare`. */
export function byCodeUnit(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
