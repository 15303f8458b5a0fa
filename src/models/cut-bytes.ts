/** What a model is shown of a tool's result, in bytes, where nothing says it. */
export const RESULT_BYTES = 256 * 1024;

/** At most so many bytes of UTF-8, and how many there were where it was cut. */
export function cutBytes(text: string, maximum: number): string {
  // No character is more than 3 bytes long for each of its code units.
  if (text.length * 3 <= maximum) return text;
  const bytes = Buffer.from(text);
  if (bytes.byteLength <= maximum) return text;
  // As a stream: half a character at the end is left out.
  const kept = new TextDecoder().decode(bytes.subarray(0, maximum), { stream: true });
  return `${kept}\n[cut after ${maximum} of ${bytes.byteLength} bytes]`;
}
