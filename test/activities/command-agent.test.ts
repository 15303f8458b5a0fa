// Real small programs, without a server.
import { existsSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type CommandAgentDefinition, commandAgent } from '../../src/activities/command-agent';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { type CallOptions, callAgent } from '../../src/testing/call-agent';
import { fakeAgentContext } from '../support/agent-context';
import { STUBBORN, isAlive } from '../support/programs';
import { TemporaryFolder } from '../support/temporary-folder';

const folder = TemporaryFolder.ofEachTest();

type Change = Partial<CommandAgentDefinition<unknown, unknown>>;

/** An agent that runs `program` in Node.js, in a folder of the test's own. */
const agentOf = (program: string, change: Change = {}) =>
  commandAgent<unknown, unknown>({
    name: 'tool',
    description: 'runs a program',
    command: process.execPath,
    args: ['-e', program],
    root: folder.path,
    ...change,
  });

const outputOf = async (
  program: string,
  change: Change = {},
  input: unknown = null,
  options: CallOptions = {},
): Promise<unknown> => (await callAgent(agentOf(program, change), input, options)).output;

const ECHO = 'process.stdin.pipe(process.stdout)';
const json = z.unknown();

/** The file, once it is written. */
async function written(name: string): Promise<string> {
  const path = join(folder.path, name);
  for (;;) {
    if (existsSync(path) && readFileSync(path, 'utf8') !== '') return readFileSync(path, 'utf8');
    await delay(10);
  }
}

describe('what goes in and comes out', () => {
  test('the input is JSON on stdin, and the output a text without the white space at its end', async () => {
    expect(await outputOf(`${ECHO}; process.stdin.on('end', () => console.log('\\n'))`, {}, { a: 1 })).toBe(
      '{"a":1}',
    );
  });

  test('with a schema the output is JSON, and what the schema makes of it', async () => {
    const output = z.object({ a: z.string().transform((text) => text.length) });
    expect(await outputOf(ECHO, { output }, { a: 'four' })).toEqual({ a: 4 });
  });

  test('a program may say nothing, and read nothing of a large input', async () => {
    expect(await outputOf('', {}, 'x'.repeat(5_000_000))).toBe('');
  });

  test('arguments and stdin may be made of the input and the context, and no shell reads them', async () => {
    const agent = commandAgent({
      name: 'tool',
      description: 'runs a program',
      command: process.execPath,
      args: ({ what }, { instruction, inputFrom }) => [
        '-e',
        'console.log(JSON.stringify(process.argv.slice(1))); process.stdin.pipe(process.stdout)',
        '--',
        what,
        instruction,
        ...inputFrom,
      ],
      stdin: ({ what }, { goal }) => `${what} for ${goal}`,
      root: folder.path,
      input: z.object({ what: z.string() }),
    });
    const { output } = await callAgent(agent, { what: '$(id); "' }, { inputFrom: ['before'] });
    expect(output).toBe('["$(id); \\"","an instruction","before"]\n$(id); " for a goal');
  });

  test.each([
    ['is not JSON', 'console.log("no {")', /is not JSON: "no \{"/],
    ['does not match its schema', 'console.log("{}")', /does not match its schema: a/],
  ])('an output that %s ends the step', async (_, program, message) => {
    await expect(outputOf(program, { output: z.object({ a: z.string() }) })).rejects.toMatchObject({
      type: 'AgentOutputInvalid',
      nonRetryable: true,
      message: expect.stringMatching(message) as string,
    });
  });

  test('an output of exactly the limit is taken; one byte more ends the program and the step', async () => {
    const program = (bytes: number): string =>
      `process.stdout.write('x'.repeat(${bytes})); setInterval(() => {}, 1000)`;
    const exact = `process.stdout.write('x'.repeat(100))`;
    expect(await outputOf(exact, { maxOutputBytes: 100 })).toHaveLength(100);
    await expect(outputOf(program(101), { maxOutputBytes: 100 })).rejects.toMatchObject({
      type: 'AgentOutputInvalid',
      nonRetryable: true,
      message: expect.stringContaining('at most 100 bytes') as string,
    });
  });

  test('a program that never stops to write is ended, and its output not held', async () => {
    const endless = `const more = () => process.stdout.write('x'.repeat(65536), more); more()`;
    const before = process.memoryUsage().rss;
    await expect(outputOf(endless)).rejects.toMatchObject({ type: 'AgentOutputInvalid' });
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });
});

describe('what the program finds around it', () => {
  const SHOW = 'console.log(JSON.stringify(process.env))';
  const environment = async (change: Change = {}): Promise<Record<string, string>> =>
    (await outputOf(SHOW, { output: json, ...change }, null, {
      inputFrom: ['one', 'two'],
      attempt: 2,
    })) as Record<string, string>;

  test('its environment has no key of the worker, but by name', async () => {
    process.env['SECRET_KEY'] = 'sk-0123456789';
    process.env['OTHER_KEY'] = 'sk-9876543210';
    try {
      const found = await environment({ env: { SECRET_KEY: true, MODE: 'quick', UNSET_KEY: true } });
      expect(found).toMatchObject({ SECRET_KEY: 'sk-0123456789', MODE: 'quick' });
      const allowed = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'SECRET_KEY', 'MODE'];
      const others = Object.keys(found).filter((name) => !allowed.includes(name));
      expect(others.every((name) => name.startsWith('CADRE_') || name.startsWith('__'))).toBe(true);
    } finally {
      delete process.env['SECRET_KEY'];
      delete process.env['OTHER_KEY'];
    }
  });

  test('it is told its key, task, step, attempt, term, and whose outputs are in the input', async () => {
    expect(await environment()).toMatchObject({
      CADRE_IDEMPOTENCY_KEY: 'test/run/step/act',
      CADRE_TASK: expect.any(String) as string,
      CADRE_STEP: 'step',
      CADRE_ATTEMPT: '2',
      CADRE_TERM: '1',
      CADRE_INPUT_FROM: 'one,two',
    });
  });

  test('no folder of its PATH is by where it runs', async () => {
    const before = process.env['PATH'];
    process.env['PATH'] = `.::bin:${before}`;
    try {
      expect((await environment())['PATH']).toBe(before);
    } finally {
      process.env['PATH'] = before;
    }
  });

  test('it starts in the root, or in a folder of it', async () => {
    folder.write('inner/file', '');
    const where = 'console.log(process.cwd())';
    const root = realpathSync(folder.path);
    expect(await outputOf(where)).toBe(root);
    expect(await outputOf(where, { cwd: 'inner' })).toBe(join(root, 'inner'));
    expect(await outputOf(where, { cwd: (input) => String(input) }, 'inner')).toBe(join(root, 'inner'));
  });

  test.each([
    ['leads up', '..', /inside/],
    ['is elsewhere', '/', /inside/],
    ['is a link that leads out', 'out', /inside/],
    ['goes through a link that leads out', 'out/usr', /inside/],
    ['is not there', 'nowhere', /cannot be opened/],
    ['is a file', 'file', /to be a folder/],
  ])('a folder that %s is refused, and nothing runs', async (_, cwd, message) => {
    symlinkSync('/', join(folder.path, 'out'));
    folder.write('file', '');
    const ran = join(folder.path, 'ran');
    const program = `require('fs').writeFileSync(${JSON.stringify(ran)}, '')`;
    await expect(outputOf(program, { cwd })).rejects.toMatchObject({
      type: 'CommandFailed',
      nonRetryable: true,
      message: expect.stringMatching(message) as string,
    });
    expect(existsSync(ran)).toBe(false);
  });

  test('a link that stays inside leads to its folder', async () => {
    folder.write('inner/file', '');
    symlinkSync('inner', join(folder.path, 'link'));
    expect(await outputOf('console.log(process.cwd())', { cwd: 'link' })).toBe(
      join(realpathSync(folder.path), 'inner'),
    );
  });

  test('a root that is not there is refused', async () => {
    await expect(outputOf('', { root: join(folder.path, 'none') })).rejects.toMatchObject({
      type: 'CommandFailed',
      nonRetryable: true,
    });
  });
});

describe('a program that fails', () => {
  const FAILS = `console.error('first\\n\\x1b[31mno such order'); process.exitCode = 3`;

  test('is tried again, and its code and the end of its stderr are in the failure', async () => {
    await expect(outputOf(FAILS)).rejects.toMatchObject({
      type: 'CommandFailed',
      nonRetryable: false,
      message: `"${process.execPath}" ended with exit code 3: first no such order`,
      details: [{ exitCode: 3 }],
    });
  });

  test('is not tried again for a code that is final', async () => {
    await expect(outputOf(FAILS, { exitCodes: { final: [2, 3] } })).rejects.toMatchObject({
      type: 'CommandFailed',
      nonRetryable: true,
    });
  });

  test('by a signal of others is tried again', async () => {
    await expect(outputOf(`process.kill(process.pid, 'SIGKILL')`)).rejects.toMatchObject({
      type: 'CommandFailed',
      nonRetryable: false,
      message: expect.stringContaining('was ended by SIGKILL') as string,
    });
  });

  test.each(['no-such-program', '/no/such/program'])('by not being there, %s, is final', async (command) => {
    await expect(outputOf('', { command })).rejects.toMatchObject({
      type: 'CommandFailed',
      nonRetryable: true,
      message: `"${command}" could not be started: there is no such program`,
    });
  });

  test('by not being a program is final', async () => {
    const command = folder.write('text', 'no program');
    await expect(outputOf('', { command })).rejects.toMatchObject({
      type: 'CommandFailed',
      nonRetryable: true,
    });
  });

  test('does not say in the failure or the log what it was given to keep secret, however it comes', async () => {
    const lines: string[] = [];
    const log = { ...fakeAgentContext().log, info: (line: string) => void lines.push(line) };
    const program = `
      const [one, two] = [process.env.KEY.slice(0, 9), process.env.KEY.slice(9)];
      process.stderr.write('key: ' + one);
      setTimeout(() => { process.stderr.write(two + '!\\nbye'); process.exitCode = 1; }, 100);`;
    const acting = agentOf(program, { env: { KEY: 'sk-0123456789abcdef' } }).act(
      null,
      fakeAgentContext({ log }),
    );
    await expect(acting).rejects.toMatchObject({
      message: expect.stringMatching(/code 1: key: \[KEY\]! bye$/) as string,
    });
    expect(lines).toEqual(['key: [KEY]!', 'bye']);
  });

  test('with much on stderr keeps the end of it, and the log its first 1,000 lines', async () => {
    const lines: string[] = [];
    const warnings: string[] = [];
    const log = {
      ...fakeAgentContext().log,
      info: (line: string) => void lines.push(line),
      warn: (line: string) => void warnings.push(line),
    };
    const program = `for (let i = 1; i <= 3000; i += 1) console.error('line ' + i); process.exitCode = 1`;
    const failing = agentOf(program).act(null, fakeAgentContext({ log })) as Promise<unknown>;
    const { message } = (await failing.catch((error: unknown) => error)) as Error;
    expect(message).toMatch(/ line 3000$/);
    expect(message.length).toBeLessThan(1200);
    expect(lines).toHaveLength(1000);
    expect(lines[999]).toBe('line 1000');
    expect(warnings).toEqual([expect.stringContaining('more than 1000 lines')]);
  });
});

describe('the end of a program', () => {
  const pids = async (): Promise<number[]> => (await written('pids')).split(' ').map(Number);

  test('a cancelled step ends it and what it started, by SIGKILL 2 s after a SIGTERM that they ignore', async () => {
    const cancelling = new AbortController();
    const running = outputOf(STUBBORN, {}, null, { signal: cancelling.signal });
    const failure = running.catch((error: unknown) => error);
    const processes = await pids();
    expect(processes.map(isAlive)).toEqual([true, true]);
    const from = performance.now();
    cancelling.abort();
    expect(await failure).toMatchObject({ name: 'CancelledFailure' });
    expect(performance.now() - from).toBeGreaterThan(1900);
    expect(performance.now() - from).toBeLessThan(4000);
    expect(processes.map(isAlive)).toEqual([false, false]);
  });

  test('a program that ends at SIGTERM may tidy up, and is not waited for longer', async () => {
    const cancelling = new AbortController();
    const program = `
      const { writeFileSync } = require('fs');
      process.on('SIGTERM', () => { writeFileSync('tidied', 'yes'); process.exit(0); });
      setInterval(() => {}, 1000); writeFileSync('ready', 'yes');`;
    const running = outputOf(program, {}, null, { signal: cancelling.signal });
    const failure = running.catch((error: unknown) => error);
    await written('ready');
    const from = performance.now();
    cancelling.abort();
    expect(await failure).toMatchObject({ name: 'CancelledFailure' });
    expect(performance.now() - from).toBeLessThan(1500);
    expect(await written('tidied')).toBe('yes');
  });

  test('what it leaves running is ended with it, also where it holds the output open', async () => {
    const program = `
      const child = require('child_process').spawn('sleep', ['60'], { stdio: 'inherit' });
      require('fs').writeFileSync('pids', String(child.pid));
      console.log('done'); child.unref();`;
    expect(await outputOf(program)).toBe('done');
    expect((await pids()).map(isAlive)).toEqual([false]);
  });

  test('none outlives a worker that exits', async () => {
    const before = process.listeners('exit');
    const running = outputOf(STUBBORN);
    const failure = running.catch((error: unknown) => error);
    const processes = await pids();
    for (const listener of process.listeners('exit')) if (!before.includes(listener)) listener(0);
    expect(await failure).toMatchObject({ message: expect.stringContaining('SIGKILL') as string });
    expect(processes.map(isAlive)).toEqual([false, false]);
    expect(process.listeners('exit')).toEqual(before);
  });

  test('a step that is cancelled before starts nothing', async () => {
    const context = fakeAgentContext({ signal: AbortSignal.abort(new Error('cancelled')) });
    const program = `require('fs').writeFileSync('ran', '')`;
    await expect(agentOf(program).act(null, context)).rejects.toThrow('cancelled');
    expect(existsSync(join(folder.path, 'ran'))).toBe(false);
  });
});

describe('over attempts', () => {
  const COUNTS = `require('fs').appendFileSync('runs', 'x'); console.log(require('fs').readFileSync('runs', 'utf8'))`;
  const runs = (): string => readFileSync(join(folder.path, 'runs'), 'utf8');

  test('what a run put out is recorded, and no retry runs it again', async () => {
    const artifacts = new FileArtifactStore(join(folder.path, 'store'));
    expect(await outputOf(COUNTS, {}, null, { artifacts })).toBe('x');
    expect(await outputOf(COUNTS, {}, null, { artifacts, attempt: 2 })).toBe('x');
    expect(runs()).toBe('x');
    // Another input is another run.
    expect(await outputOf(COUNTS, {}, 'other', { artifacts, attempt: 3 })).toBe('xx');
  });

  test('a run that failed, or whose output no one can use, is made again', async () => {
    const artifacts = new FileArtifactStore(join(folder.path, 'store'));
    const output = z.literal(3);
    const program = `const fs = require('fs'); fs.appendFileSync('runs', 'x');
      const runs = fs.readFileSync('runs', 'utf8').length;
      if (runs === 1) process.exitCode = 1; else console.log(runs)`;
    const attempt = (number: number): Promise<unknown> =>
      outputOf(program, { output }, null, { artifacts, attempt: number });
    await expect(attempt(1)).rejects.toMatchObject({ type: 'CommandFailed' });
    await expect(attempt(2)).rejects.toMatchObject({ type: 'AgentOutputInvalid' });
    expect(await attempt(3)).toBe(3);
  });
});

describe('a definition', () => {
  test.each<[string, Record<string, unknown>]>([
    ['command', { command: '' }],
    ['command', { command: './script' }],
    ['command', { command: 'bin/script' }],
    ['args', { args: 'text' }],
    ['args', { args: [1] }],
    ['args', { args: ['a\0b'] }],
    ['root', { root: undefined }],
    ['env', { env: { 'A=B': 'x' } }],
    ['env', { env: { CADRE_TASK: 'x' } }],
    ['env.A', { env: { A: 1 } }],
    ['exitCodes.final', { exitCodes: { final: [0] } }],
    ['exitCodes.final', { exitCodes: { final: [256] } }],
    ['maxOutputBytes', { maxOutputBytes: 0 }],
    ['maxOutputBytes', { maxOutputBytes: 64 * 1024 * 1024 + 1 }],
  ])('with a wrong `%s` is refused: %j', (field, change) => {
    expect(() => agentOf('', change as Change)).toThrow(`Expected \`${field}\` of agent "tool"`);
  });

  test('does not say a value of `env` that is refused', () => {
    expect(() => agentOf('', { env: { KEY: 'sk-0123\0' } })).toThrow(/`env.KEY`.*got "string"$/);
  });
});
