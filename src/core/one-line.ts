/** `text` of at most `maximum` characters, with an ellipsis where it was cut. */
export function cut(text: string, maximum: number): string {
  return text.length <= maximum ? text : `${text.slice(0, maximum - 1)}…`;
}

/** `text` on one line of at most `maximum` characters, without control characters, with an ellipsis where it was cut. */
export function oneLine(text: string, maximum: number): string {
  return cut(text.replace(/[\s\p{Cc}]+/gu, ' ').trim(), maximum);
}
