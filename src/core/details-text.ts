/** Text for persons: of messages, and of the Web UI's current details. */

/** What current details end with: the Web UI (2.42.1) clips what stands last. */
export const WEB_UI_END = '\n\u00a0';

/** A time in ms since 1970, to the second. */
export function utc(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `text` without what would be Markdown, or break a table of it. */
export function escaped(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replace(/[|*_`<>[\]]/g, (mark) => `\\${mark}`);
}
