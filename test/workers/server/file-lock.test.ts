// Files of its own: no server.
import { existsSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { withFileLock } from '../../../src/workers/server/file-lock';
import { TemporaryFolder } from '../../support/temporary-folder';

const folder = TemporaryFolder.ofEachTest();
let path: string;

beforeEach(() => {
  path = join(folder.path, 'deep', 'work.lock');
});

/** A promise and what settles it. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('withFileLock', () => {
  test('lets the second in when the first is done, and says that it waits', async () => {
    const order: string[] = [];
    const { opened, open } = gate();
    const first = withFileLock(path, {}, async () => {
      await opened;
      order.push('first');
    });
    const waiting = gate();
    const second = withFileLock(path, { onWait: waiting.open }, async () => {
      order.push('second');
    });
    await waiting.opened;
    open();
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
  });

  test('is free again after a failure', async () => {
    await expect(withFileLock(path, {}, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(existsSync(path)).toBe(false);
  });

  test('takes over from a holder that has died', async () => {
    folder.write('deep/work.lock', '');
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(path, longAgo, longAgo);
    await expect(withFileLock(path, {}, async () => 'done')).resolves.toBe('done');
  });

  test('stops waiting when aborted', async () => {
    folder.write('deep/work.lock', '');
    const abort = new AbortController();
    const onWait = (): void => abort.abort(new Error('interrupted'));
    const work = withFileLock(path, { signal: abort.signal, onWait }, async () => 'done');
    await expect(work).rejects.toMatchObject({ name: 'AbortError' });
  });
});
