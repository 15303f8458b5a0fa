/** Exponential backoff: the wait after `count` failures in a row, doubling from `initial` up to `maximum`, in ms; 0 after none. */
export function backoff(count: number, initial: number, maximum: number): number {
  return count <= 0 ? 0 : Math.min(maximum, initial * 2 ** (count - 1));
}
