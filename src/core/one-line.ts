/** `text` on one line of at most `maximum` characters, without control characters, with an ellipsis where it was cut. */
export function oneLine(text: string, maximum: number): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return line.length <= maximum ? line : `${line.slice(0, maximum - 1)}…`;
}
