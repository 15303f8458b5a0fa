/** `text` on one line of at most `maximum` characters, with an ellipsis where it was cut. */
export function oneLine(text: string, maximum: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= maximum ? line : `${line.slice(0, maximum - 1)}…`;
}
