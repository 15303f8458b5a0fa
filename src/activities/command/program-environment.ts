import { delimiter, isAbsolute } from 'node:path';
import type { AgentContext } from '../agent-context';

/** What a program finds in its environment, by name: `true` is the worker's own value, a text is the value. */
export type ProgramVariables = Readonly<Record<string, string | true>>;

type Environment = Readonly<Record<string, string | undefined>>;

const INHERITED = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR'];

/** What is told to each program, which no `env` may say otherwise. */
export const TOLD = [
  'CADRE_IDEMPOTENCY_KEY',
  'CADRE_TASK',
  'CADRE_STEP',
  'CADRE_ATTEMPT',
  'CADRE_TERM',
  'CADRE_INPUT_FROM',
] as const;

/** What `env` gives of the worker's environment, `from`. A variable that the worker has not is left out. */
export function givenVariables(env: ProgramVariables, from: Environment): Record<string, string> {
  return present(Object.entries(env).map(([name, value]) => [name, value === true ? from[name] : value]));
}

/** All that a program finds in its environment: keys of models that the worker has are not in it, unless `given`. */
export function programEnvironment(
  given: Readonly<Record<string, string>>,
  from: Environment,
  context: ToldOf,
): Record<string, string> {
  const inherited = INHERITED.map((name): Entry => [name, inheritedValue(name, from[name])]);
  return { ...present(inherited), ...given, ...told(context) };
}

type Entry = readonly [name: string, value: string | undefined];
type ToldOf = Pick<AgentContext, 'idempotencyKey' | 'task' | 'step' | 'attempt' | 'term' | 'inputFrom'>;

function told(context: ToldOf): Record<(typeof TOLD)[number], string> {
  return {
    CADRE_IDEMPOTENCY_KEY: context.idempotencyKey,
    CADRE_TASK: context.task,
    CADRE_STEP: context.step,
    CADRE_ATTEMPT: String(context.attempt),
    CADRE_TERM: String(context.term),
    CADRE_INPUT_FROM: context.inputFrom.join(','),
  };
}

/** A PATH that names a folder by where the program runs would find programs that others have put there. */
function inheritedValue(name: string, value: string | undefined): string | undefined {
  if (name !== 'PATH') return value;
  return value
    ?.split(delimiter)
    .filter((folder) => isAbsolute(folder))
    .join(delimiter);
}

function present(entries: readonly Entry[]): Record<string, string> {
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
