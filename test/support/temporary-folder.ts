import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

function made(): string {
  return mkdtempSync(join(tmpdir(), 'cadre-test-'));
}

/** A folder of a test's own. */
export class TemporaryFolder {
  private current = made();

  /** Another one for each test of a file, or of a `describe`, where it is called outside of the tests. */
  static ofEachTest(): TemporaryFolder {
    const folder = new TemporaryFolder();
    afterEach(() => {
      folder.remove();
      folder.current = made();
    });
    afterAll(() => folder.remove());
    return folder;
  }

  get path(): string {
    return this.current;
  }

  /** Writes a file, with the folders above it; returns its path. */
  write(name: string, text: string): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** Writes a program for /bin/sh. */
  script(name: string, ...lines: string[]): string {
    const path = this.write(name, ['#!/bin/sh', ...lines, ''].join('\n'));
    chmodSync(path, 0o755);
    return path;
  }

  removeFile(name: string): void {
    rmSync(join(this.path, name));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
