// Real files; what others do between the check and the use is done there by a mock around the calls of the file system.
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileTools, insideRoot, modelAgent } from '../../../src';
import { callTool } from './call-tool';
import { TemporaryFolder } from '../../support/temporary-folder';

/** What happens before files and folders are opened, or used, and whether the system says the path of a handle. */
const mockSystem = {
  beforeOpen: undefined as (() => void) | undefined,
  /** Before a folder is listed or made. */
  beforeUse: undefined as (() => void) | undefined,
  saysPaths: true,
};
jest.mock('node:fs/promises', () => {
  const actual: Record<string, (...given: unknown[]) => unknown> = jest.requireActual('node:fs/promises');
  return {
    ...actual,
    open: (...given: unknown[]) => {
      mockSystem.beforeOpen?.();
      return actual['open']?.(...given);
    },
    readdir: (...given: unknown[]) => {
      mockSystem.beforeUse?.();
      return actual['readdir']?.(...given);
    },
    mkdir: (...given: unknown[]) => {
      mockSystem.beforeUse?.();
      return actual['mkdir']?.(...given);
    },
    readlink: (...given: unknown[]) =>
      mockSystem.saysPaths ? actual['readlink']?.(...given) : Promise.reject(new Error('no /proc')),
  };
});

const folder = TemporaryFolder.ofEachTest();
let root: string;
beforeEach(() => {
  root = join(folder.path, 'root');
  folder.write('root/notes/today.md', 'sun');
  folder.write('outside/secret.md', 'the secret');
  mockSystem.beforeOpen = undefined;
  mockSystem.beforeUse = undefined;
  mockSystem.saysPaths = true;
});

const read = (path: string, from?: number): Promise<unknown> =>
  callTool(fileTools({ root }).readFile, { path, from });
const list = (path?: string): Promise<unknown> => callTool(fileTools({ root }).listFiles, { path });
const write = (path: string, text: string): Promise<unknown> =>
  callTool(fileTools({ root, write: true }).writeFile, { path, text });
const outside = (): string => readFileSync(join(folder.path, 'outside/secret.md'), 'utf8');

/** What leads out of the root, by the way it is written. */
const WAYS_OUT = [
  '../outside/secret.md',
  'notes/../../outside/secret.md',
  'notes/..',
  '..',
  './../outside/secret.md',
  '/etc/passwd',
  '//etc/passwd',
  '..\\outside\\secret.md',
  'notes\\today.md',
  '\\\\server\\share\\file',
  'C:\\Windows\\win.ini',
  'C:/Windows/win.ini',
  'c:secret.md',
  'notes/today.md\0.png',
  '\0',
];

describe('a path', () => {
  test.each(WAYS_OUT)('such as %j is used by no tool', async (path) => {
    await expect(read(path)).rejects.toThrow(/cannot be used/);
    await expect(list(path)).rejects.toThrow(/cannot be used/);
    await expect(write(path, 'gone')).rejects.toThrow(/cannot be used/);
    await expect(insideRoot(root, path)).rejects.toThrow(/cannot be used/);
    expect(outside()).toBe('the secret');
  });

  test('that begins like the root, beside it, is outside', async () => {
    folder.write('root-2/a.md', 'x');
    symlinkSync('../root-2', join(root, 'beside'));
    await expect(read('beside/a.md')).rejects.toThrow(/leads out of the folder/);
  });

  test('that begins with two dots is no way out', async () => {
    folder.write('root/..notes', 'dots');
    expect(await read('..notes')).toEqual({ text: 'dots', bytes: 4 });
  });

  test('is resolved for tools of ones own, also of what is not there yet', async () => {
    const real = realpathSync(root);
    symlinkSync('notes', join(root, 'alias'));
    expect(await insideRoot(root, 'alias/today.md')).toBe(join(real, 'notes/today.md'));
    expect(await insideRoot(root, 'alias/new/deep.md')).toBe(join(real, 'notes/new/deep.md'));
    expect(await insideRoot(root, '.')).toBe(real);
    await expect(insideRoot(join(root, 'none'), 'a')).rejects.toMatchObject({ type: 'ConfigInvalid' });
  });

  test('in an error is the one that was given, without where the root is', async () => {
    const error = await read('notes/none.md').catch((thrown: unknown) => thrown as Error);
    expect((error as Error).message).toBe('"notes/none.md" is not there');
    await expect(read('notes/today.md/x')).rejects.toThrow(
      '"notes/today.md/x" is not a folder, or not in one',
    );
    await expect(read('a'.repeat(300))).rejects.toThrow(/is too long/);
  });
});

describe('a link', () => {
  test('is followed to what is in the root, and nowhere else', async () => {
    symlinkSync('notes/today.md', join(root, 'in.md'));
    symlinkSync('../outside/secret.md', join(root, 'out.md'));
    symlinkSync(join(folder.path, 'outside'), join(root, 'out'));
    symlinkSync('out.md', join(root, 'twice.md'));
    symlinkSync('ring', join(root, 'ring'));
    symlinkSync('../outside/new.md', join(root, 'dangling.md'));
    expect(await read('in.md')).toMatchObject({ text: 'sun' });
    await write('in.md', 'rain');
    expect(readFileSync(join(root, 'notes/today.md'), 'utf8')).toBe('rain');
    for (const path of ['out.md', 'out/secret.md', 'twice.md', 'ring', 'dangling.md']) {
      await expect(read(path)).rejects.toThrow(/leads out of the folder|leads nowhere/);
      await expect(write(path, 'gone')).rejects.toThrow(/leads out of the folder|leads nowhere/);
    }
    await expect(write('out/new/file.md', 'gone')).rejects.toThrow(/leads out of the folder/);
    await expect(list('out')).rejects.toThrow(/leads out of the folder/);
    expect(outside()).toBe('the secret');
    expect(readdirSync(join(folder.path, 'outside'))).toEqual(['secret.md']);
  });

  /** Puts a link that leads out in the place of a folder, between the check and the use. */
  function swap(): void {
    renameSync(join(root, 'notes'), join(root, 'was'));
    symlinkSync(join(folder.path, 'outside'), join(root, 'notes'));
  }

  function swapAtOpen(nth: number): void {
    let opened = 0;
    mockSystem.beforeOpen = () => {
      opened += 1;
      if (opened === nth) swap();
    };
  }

  test('that leads out is no place for tools of ones own either', async () => {
    symlinkSync('../outside', join(root, 'out'));
    await expect(insideRoot(root, 'out/secret.md')).rejects.toThrow(/leads out of the folder/);
    await expect(insideRoot(root, 'out/new/file.md')).rejects.toThrow(/leads out of the folder/);
  });

  test('that is made once a folder is open does not change which one is listed, or has one made', async () => {
    mockSystem.beforeUse = swap;
    expect(await list('notes')).toEqual({ entries: [{ name: 'today.md', kind: 'file', bytes: 3 }] });
    rmSync(join(root, 'notes'));
    renameSync(join(root, 'was'), join(root, 'notes'));
    await expect(write('notes/new/file.md', 'x')).rejects.toThrow(/is not there/);
    expect(existsSync(join(root, 'was/new'))).toBe(true);
    expect(readdirSync(join(folder.path, 'outside'))).toEqual(['secret.md']);
  });

  describe.each([
    ['where the system says the path of a handle', true],
    ['where it does not', false],
  ])('that is made between the check and the use, %s,', (_where, saysPaths) => {
    beforeEach(() => {
      mockSystem.saysPaths = saysPaths;
      folder.write('root/notes/secret.md', 'harmless');
    });

    test('is not read through', async () => {
      swapAtOpen(1);
      await expect(read('notes/secret.md')).rejects.toThrow(/leads out of the folder/);
    });

    test('is not read, in the place of the file', async () => {
      mockSystem.beforeOpen = () => {
        rmSync(join(root, 'notes/secret.md'));
        symlinkSync(join(folder.path, 'outside/secret.md'), join(root, 'notes/secret.md'));
        mockSystem.beforeOpen = undefined;
      };
      await expect(read('notes/secret.md')).rejects.toThrow(/leads nowhere/);
    });

    test('is not listed through', async () => {
      folder.write('root/notes/deep/a.md', 'x');
      folder.write('outside/deep/b.md', 'x');
      swapAtOpen(1);
      await expect(list('notes/deep')).rejects.toThrow(/leads out of the folder/);
    });

    test.each([1, 2])('is not written through (before open %i)', async (nth) => {
      swapAtOpen(nth);
      await write('notes/secret.md', 'gone').catch((error: unknown) => {
        expect(String(error)).toMatch(/cannot be used|leads out|leads nowhere|not a folder|is not there/);
      });
      expect(outside()).toBe('the secret');
      expect(readdirSync(join(folder.path, 'outside'))).toEqual(['secret.md']);
    });

    test.each([1, 2, 3])('gets no folder made behind it (before open %i)', async (nth) => {
      swapAtOpen(nth);
      await write('notes/new/file.md', 'gone').catch(() => undefined);
      expect(existsSync(join(folder.path, 'outside/new'))).toBe(false);
    });
  });
});

describe('readFile', () => {
  test('reads so much a call, in whole characters, and all of it in several', async () => {
    const text = 'a€b😀c€€é'.repeat(7);
    folder.write('root/long.md', text);
    const { readFile } = fileTools({ root, maxBytes: 5 });
    let all = '';
    let from: number | undefined = 0;
    for (let calls = 0; from !== undefined && calls < 200; calls += 1) {
      const part = (await callTool(readFile, { path: 'long.md', from })) as { text: string; next?: number };
      all += part.text;
      from = part.next;
    }
    expect(all).toBe(text);
    expect(await read('long.md', 1_000_000)).toEqual({ text: '', bytes: Buffer.byteLength(text) });
  });

  test('refuses what is no text, no file, and what would never end', async () => {
    folder.write('root/a.bin', 'a\0b');
    execFileSync('mkfifo', [join(root, 'pipe')]);
    await expect(read('a.bin')).rejects.toThrow('"a.bin" is not a text');
    await expect(read('notes')).rejects.toThrow('"notes" is not a file');
    await expect(read('pipe')).rejects.toThrow('"pipe" is not a file');
  });
});

test('listFiles says names, kinds and sizes, and of a link that it is one', async () => {
  symlinkSync('../outside', join(root, 'link'));
  folder.write('root/.hidden', 'h');
  expect(await list()).toEqual({
    entries: [
      { name: '.hidden', kind: 'file', bytes: 1 },
      { name: 'link', kind: 'link' },
      { name: 'notes', kind: 'folder' },
    ],
  });
  expect(await list('notes')).toEqual({ entries: [{ name: 'today.md', kind: 'file', bytes: 3 }] });
  await expect(list('notes/today.md')).rejects.toThrow(/is not a folder/);
});

describe('writeFile', () => {
  test('makes folders, replaces what is there, keeps its mode, and leaves nothing else', async () => {
    folder.script('root/run.sh', 'true');
    expect(await write('new/deep/a.md', 'sün')).toEqual({ bytes: 4 });
    expect(readFileSync(join(root, 'new/deep/a.md'), 'utf8')).toBe('sün');
    await write('run.sh', 'false');
    expect(readFileSync(join(root, 'run.sh'), 'utf8')).toBe('false');
    expect(statSync(join(root, 'run.sh')).mode & 0o777).toBe(0o755);
    expect(readdirSync(join(root, 'new/deep'))).toEqual(['a.md']);
  });

  test('does not touch the other name of a file that is linked twice', async () => {
    linkSync(join(folder.path, 'outside/secret.md'), join(root, 'hard.md'));
    await write('hard.md', 'mine');
    expect(outside()).toBe('the secret');
    expect(readFileSync(join(root, 'hard.md'), 'utf8')).toBe('mine');
  });

  test('refuses folders, and a text that is too long', async () => {
    mkdirSync(join(root, 'folder'));
    await expect(write('folder', 'x')).rejects.toThrow('"folder" is not a file');
    await expect(write('.', 'x')).rejects.toThrow('"." is a folder');
    const { writeFile } = fileTools({ root, write: true, maxBytes: 3 });
    await expect(callTool(writeFile, { path: 'a', text: 'sün' })).rejects.toThrow(/it has 4 bytes, 3 are/);
  });
});

test('Files are tools of a model agent; there is one that writes only where it is asked for', () => {
  expect(Object.keys(fileTools({ root }))).toEqual(['readFile', 'listFiles']);
  expect(Object.keys(fileTools({ root, write: false }))).toEqual(['readFile', 'listFiles']);
  const tools = fileTools({ root, write: true });
  expect(Object.values(tools).map(({ effect }) => effect)).toEqual(['read', 'read', 'write']);
  const described = { description: 'a', instructions: 'a', model: 'openai/gpt-5-mini' };
  expect(() => modelAgent({ name: 'clerk', ...described, tools })).not.toThrow();
});

test.each([
  { root: '' },
  { root: 3 },
  { root: 'a', maxBytes: 0 },
  { root: 'a', maxBytes: 1.5 },
  { root: 'a', write: 1 },
])('fileTools refuses %j', (options) => {
  expect(() => fileTools(options as unknown as { root: string })).toThrow(/of fileTools to be/);
});
