import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Folders whose code decides what an index holds. */
const FOLDERS = [__dirname, join(__dirname, '..', 'text')];
const PACKAGES = ['htmlparser2', 'mammoth', 'unpdf'];

let known: string | undefined;

/**
 * Stands for all that decides, beside a file's bytes, what is read from them: our code, the packages that read formats,
 * and the Unicode rules of this Node. An index made by another version is not used.
 */
export function codeVersion(): string {
  known ??= makeVersion();
  return known;
}

function makeVersion(): string {
  const hash = createHash('sha256');
  for (const folder of FOLDERS) {
    for (const file of readdirSync(folder).sort()) {
      if (/(?<!\.d)\.[jt]s$/.test(file)) hash.update(file).update(readFileSync(join(folder, file)));
    }
  }
  for (const name of PACKAGES) hash.update(`${name} ${packageVersion(name)}\n`);
  return hash.update(`${process.versions['icu']} ${process.versions['unicode']}`).digest('hex');
}

/** Empty where it is not installed. */
function packageVersion(name: string): string {
  for (const folder of module.paths) {
    try {
      const text = readFileSync(join(folder, name, 'package.json'), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch {
      // It may be in a folder further up.
    }
  }
  return '';
}
