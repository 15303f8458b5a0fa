/** Text for persons: of messages, and of the Web UI's current details. */

/** A time in ms since 1970, to the second. */
export function utc(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `text` without what would be Markdown, or break a table of it. */
export function escaped(text: string): string {
  return text.replace(/[|*_`<>[\]]/g, (mark) => `\\${mark}`);
}
