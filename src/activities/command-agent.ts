/**
 * Agents that run a local program: a coding agent's CLI, a script. Owns how one is defined, what it is given and how its output
 * is read; `command/run-program.ts` owns the process.
 */
import { basename, isAbsolute } from 'node:path';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { CadreError } from '../core/failures';
import { assertNever, shownJson } from '../core/json';
import { cut } from '../core/one-line';
import type { Secrets } from '../core/secrets';
import type { AgentContext } from './agent-context';
import { ANYTHING, invalid, without } from './agent-fields';
import { commandFailed } from './command/command-failed';
import {
  type ProgramVariables,
  TOLD,
  givenVariables,
  programEnvironment,
} from './command/program-environment';
import { programFolder } from './command/program-folder';
import { ProgramStderr, secretsOf } from './command/program-stderr';
import { type ProgramEnd, runProgram } from './command/run-program';
import { type Agent, type AgentDefinition, defineAgent } from './define-agent';
import { validate } from './validate';

/** What a program's arguments, input and folder may be made of: what is the same in every attempt. */
export type CommandContext = Pick<
  AgentContext,
  'goal' | 'instruction' | 'inputFrom' | 'step' | 'task' | 'idempotencyKey'
>;

/** What {@link commandAgent} takes, beside what `defineAgent` does. */
export interface CommandAgentDefinition<Input, Output>
  extends Omit<AgentDefinition<Input, Output>, 'input' | 'output' | 'act'> {
  /** A program: a name that is looked up in PATH, or an absolute path. No shell sees it. */
  readonly command: string;
  /** What the program gets, each as one argument, or a function that says it. Default: none. */
  readonly args?: readonly string[] | ((input: Input, context: CommandContext) => readonly string[]);
  /** What the program reads on stdin. Default: the input as JSON. */
  readonly stdin?: (input: Input, context: CommandContext) => string;
  /** A folder, which the program starts in, or in a folder of it. It is no jail: see docs/models.md. */
  readonly root: string;
  /** The folder of `root` that the program starts in, also by symbolic links. Default: `root` itself. */
  readonly cwd?: string | ((input: Input, context: CommandContext) => string);
  /**
   * What the program finds in its environment beside PATH, HOME, LANG, TZ and TMPDIR: a text is the value, `true` the worker's
   * own. In the log and in failures `[NAME]` stands for values of 8 characters and more.
   */
  readonly env?: ProgramVariables;
  /** `final`: codes, from 1 to 255, after which no retry helps. Default: none, each but 0 is tried again by the policy. */
  readonly exitCodes?: { readonly final?: readonly number[] };
  /** More than so many bytes on stdout end the program. Default 1 MiB; 1 to 64 MiB. */
  readonly maxOutputBytes?: number;
  /** Any Standard Schema. Default: anything, as the plan gives it. */
  readonly input?: StandardSchemaV1<unknown, Input>;
  /** What stdout must be, as JSON. Default: a text, without the white space at its end. */
  readonly output?: StandardSchemaV1<unknown, Output>;
}

const MIB = 1024 * 1024;
const OUTPUT_MAXIMUM_BYTES = 64 * MIB;

/**
 * Defines an agent that runs a program; without `output` its output is the text that the program puts out. What a run has put
 * out is recorded: a retry takes it from there. The program and all that it started are ended by SIGTERM, and 2 s later by
 * SIGKILL, when the task is cancelled, the attempt has timed out or the worker stops.
 *
 * Throws like `defineAgent`, and ConfigInvalid for another field that is out of its range. The step fails as CommandFailed where
 * the program does, and as AgentOutputInvalid for an output that is too long, no JSON, or not what `output` says.
 */
export function commandAgent<Input = unknown, Output = string, const Name extends string = string>(
  definition: CommandAgentDefinition<Input, Output> & { readonly name: Name },
): Agent<Input, Output> & { readonly name: Name } {
  checkDefinition(definition);
  const { name, command, input, output } = definition;
  return defineAgent<Input, Output, Name>({
    ...without(definition, OWN_FIELDS),
    name,
    input: input ?? (ANYTHING as StandardSchemaV1<unknown, Input>),
    output: output ?? (ANYTHING as StandardSchemaV1<unknown, Output>),
    act: (given, context) => {
      const asked = askedOf(definition, given, context);
      return context.calls.run<Output>({
        kind: 'tool',
        name: basename(command),
        request: { command, ...asked },
        run: () => run(definition, asked, context),
      });
    },
  });
}

const OWN_FIELDS = [
  'command',
  'args',
  'stdin',
  'root',
  'cwd',
  'env',
  'exitCodes',
  'maxOutputBytes',
] as const satisfies (keyof CommandAgentDefinition<never, never>)[];

/** What one run is asked. */
interface Asked {
  readonly args: readonly string[];
  readonly stdin: string;
  readonly cwd: string;
}

function askedOf<Input>(
  { name, args = [], stdin = json, cwd = '.' }: CommandAgentDefinition<Input, unknown>,
  input: Input,
  context: CommandContext,
): Asked {
  return {
    args: checkedArgs(name, typeof args === 'function' ? args(input, context) : args),
    stdin: checkedStdin(name, stdin(input, context)),
    cwd: typeof cwd === 'function' ? cwd(input, context) : cwd,
  };
}

function json(input: unknown): string {
  return JSON.stringify(input ?? null);
}

type Definition<Output> = Pick<
  CommandAgentDefinition<never, Output>,
  'name' | 'command' | 'root' | 'env' | 'exitCodes' | 'maxOutputBytes' | 'output'
>;

async function run<Output>(
  definition: Definition<Output>,
  { args, stdin, cwd }: Asked,
  context: AgentContext,
): Promise<Output> {
  const { command, root, env = {}, maxOutputBytes = MIB } = definition;
  const given = givenVariables(env, process.env);
  const secrets = secretsOf(given);
  const stderr = new ProgramStderr(secrets, context.log, basename(command));
  try {
    const end = await runProgram({
      command,
      args,
      folder: await programFolder(root, cwd),
      environment: programEnvironment(given, process.env, context),
      stdin,
      maxOutputBytes,
      onStderr: (text) => stderr.take(text),
      signal: context.signal,
    });
    stderr.end();
    return await outputOf(definition, end, { tail: stderr.tail, secrets });
  } finally {
    stderr.end();
  }
}

/** What is known of a run beside its end. */
interface Said {
  readonly tail: string;
  readonly secrets: Secrets;
}

/** What failed is not recorded: neither is an output that no one can use. */
function outputOf<Output>(definition: Definition<Output>, end: ProgramEnd, said: Said): Promise<Output> {
  const { name, command, exitCodes, maxOutputBytes = MIB } = definition;
  switch (end.kind) {
    case 'notStarted':
      throw notStarted(command, end.error);
    case 'tooLong':
      throw new CadreError(
        'AgentOutputInvalid',
        `Expected the output of agent "${name}" to be at most ${maxOutputBytes} bytes; "${command}" was ended when it put out more`,
      );
    case 'killed':
      throw ended(command, `was ended by ${end.by}`, said.tail, {
        final: false,
        details: { signal: end.by },
      });
    case 'exited': {
      const { code, stdout } = end;
      if (code === 0) return read(definition, stdout, said.secrets);
      const final = exitCodes?.final?.includes(code) === true;
      throw ended(command, `ended with exit code ${code}`, said.tail, { final, details: { exitCode: code } });
    }
  }
  return assertNever(end);
}

async function read<Output>(
  { name, output }: Definition<Output>,
  stdout: string,
  secrets: Secrets,
): Promise<Output> {
  if (output === undefined) return stdout.trimEnd() as Output;
  let value: unknown;
  try {
    value = JSON.parse(stdout);
  } catch {
    const shown = shownJson(cut(secrets.hide(stdout.trim()), SHOWN_LENGTH));
    throw new CadreError('AgentOutputInvalid', `The output of agent "${name}" is not JSON: ${shown}`);
  }
  await validate(output, value, 'AgentOutputInvalid', `The output of agent "${name}"`);
  // As it came: what the schema makes of it is made where each agent's output is checked.
  return value as Output;
}

const SHOWN_LENGTH = 80;

function ended(
  command: string,
  how: string,
  tail: string,
  failure: Parameters<typeof commandFailed>[1],
): Error {
  return commandFailed(`"${command}" ${how}${tail === '' ? '' : `: ${tail}`}`, failure);
}

/** The machine has no room for it at the moment. */
const PASSING: readonly (string | undefined)[] = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'];

function notStarted(command: string, error: NodeJS.ErrnoException): Error {
  const { code } = error;
  const why = code === 'ENOENT' ? 'there is no such program' : (code ?? error.message);
  return commandFailed(`"${command}" could not be started: ${why}`, { final: !PASSING.includes(code) });
}

function checkDefinition<Input, Output>({
  name,
  command,
  args,
  root,
  env,
  exitCodes,
  maxOutputBytes = MIB,
}: CommandAgentDefinition<Input, Output>): void {
  if (!isText(command) || command === '' || (basename(command) !== command && !isAbsolute(command))) {
    throw invalid(name, 'command', 'the name of a program, or an absolute path', command);
  }
  if (typeof args !== 'function' && args !== undefined) checkedArgs(name, args);
  if (!isText(root) || root === '') throw invalid(name, 'root', 'a folder', root);
  for (const [variable, value] of Object.entries(env ?? {})) checkVariable(name, variable, value);
  for (const code of exitCodes?.final ?? []) {
    if (!isWhole(code, 255)) throw invalid(name, 'exitCodes.final', 'whole numbers from 1 to 255', code);
  }
  if (!isWhole(maxOutputBytes, OUTPUT_MAXIMUM_BYTES)) {
    const expected = `a whole number from 1 to ${OUTPUT_MAXIMUM_BYTES}`;
    throw invalid(name, 'maxOutputBytes', expected, maxOutputBytes);
  }
}

/** The value is shown nowhere: it may be a secret. */
function checkVariable(agent: string, variable: string, value: unknown): void {
  const known: readonly string[] = TOLD;
  if (!/^[A-Za-z_]\w*$/.test(variable) || known.includes(variable)) {
    throw invalid(agent, 'env', `variables other than ${TOLD.join(', ')}`, variable);
  }
  if (value !== true && !isText(value)) {
    throw invalid(agent, `env.${variable}`, 'a text, or true for the value of the worker', typeof value);
  }
}

function checkedArgs(agent: string, args: readonly string[]): readonly string[] {
  if (Array.isArray(args) && args.every(isText)) return args;
  // What they are is shown nowhere: one may be a text of others.
  throw invalid(agent, 'args', 'a list of texts without NUL', typeof args);
}

function checkedStdin(agent: string, stdin: unknown): string {
  if (typeof stdin === 'string') return stdin;
  throw invalid(agent, 'stdin', 'a function that returns a text', typeof stdin);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0');
}

function isWhole(value: unknown, maximum: number): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= maximum;
}
