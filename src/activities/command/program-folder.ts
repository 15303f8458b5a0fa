import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { commandFailed } from './command-failed';

/**
 * The folder `inner` of `root`, without symbolic links. Throws CommandFailed, final, where one of them is no folder, or `inner`
 * leads out of `root`, be it by a link.
 */
export async function programFolder(root: string, inner: string): Promise<string> {
  const top = await openFolder('root', resolve(root));
  const folder = await openFolder('cwd', resolve(top, inner));
  const way = relative(top, folder);
  if (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)) return folder;
  throw commandFailed(`Expected \`cwd\` to be inside ${top}, got ${inner}`, { final: true });
}

async function openFolder(field: string, path: string): Promise<string> {
  try {
    const real = await realpath(path);
    if ((await stat(real)).isDirectory()) return real;
  } catch (cause) {
    throw commandFailed(`The folder ${path} (\`${field}\`) cannot be opened`, { final: true, cause });
  }
  throw commandFailed(`Expected \`${field}\` to be a folder: ${path} is none`, { final: true });
}
