/** What `work` comes to, or the reason of `signal` where that aborts before. The work itself goes on, and nobody hears of it. */
export async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  work.catch(() => undefined);
  // Of its own: Node warns of many listeners at one signal, and many may wait at once.
  const own = AbortSignal.any([signal]);
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(own.reason as Error);
    if (own.aborted) stop();
    else own.addEventListener('abort', stop, { once: true });
  });
  return Promise.race([work, aborted]).finally(() => own.removeEventListener('abort', stop));
}
