/**
 * The tools of one conversation with a model. Owns which of them may run, what is recorded of them, and how what they
 * return stands in the prompt.
 *
 * 1. Whether a tool may run depends on the answer that asks for it and the prompt of that, and on these alone: so an attempt
 *    that comes after decides the same.
 * 2. A tool that may write does not run once these held text of others, unless its rights allow it.
 * 3. What a tool returned, or threw, is recorded, with what it decided; so is neither done nor lost twice.
 *    A call is known by the tool, its input, and how manieth of these it is: not by its place, which is another where the
 *    next attempt asks the model in other words.
 * 4. What must end the attempt is never told to the model: it ends the conversation at the next call.
 */
import { createHash } from 'node:crypto';
import { TemporalFailure } from '@temporalio/common';
import type { ToolSet } from 'ai';
import type { AgentContext } from '../activities/agent-context';
import { isAsking } from '../core/asking';
import type { Decision } from '../core/decision';
import { isCadreError } from '../core/failures';
import { failureInfo } from '../core/failure-info';
import { assertNever, canonicalJson } from '../core/json';
import { WORKFLOW_CODE } from '../core/step-inputs';
import { RESULT_BYTES, cutBytes } from './cut-bytes';
import { untrusted } from './untrusted';

/** What a tool may do, and what its results are. All fields are optional. */
export interface ToolRights {
  /**
   * `read`: it changes nothing anywhere. `write`: it may, so it is refused once the model has read text of others: results of
   * tools, outputs of other steps. Default `write`.
   */
  readonly effect?: 'read' | 'write';
  /** Lets a tool that writes run all the same. For what does no harm whoever asks for it. Default false. */
  readonly allowWritesAfterUntrusted?: boolean;
  /** Its results are the program's own words (a sum, a receipt) and hold no text of others. Default false. */
  readonly trusted?: boolean;
  /**
   * What the model is shown of each text of a result, or of what the tool throws, in bytes; the rest is cut off, and the
   * model told so. What is recorded is whole. Default 262,144; 1,024 to 16,777,216, or `Infinity`.
   */
  readonly maxResultBytes?: number;
}

/**
 * What a tool may use while it runs. `idempotencyKey` is the call's own; names given to `once` and `ask` are of the call. Calls
 * inside it are not recorded: it is, as a whole.
 */
export type ToolContext = Omit<AgentContext, 'calls' | 'knowledge' | 'checkpoint' | 'lastCheckpoint'>;

/** A call of a tool, as it is about to run. */
export interface ToolCall {
  readonly name: string;
  readonly rights: ToolRights;
  readonly input: unknown;
  readonly run: (context: ToolContext) => unknown;
}

/** What is recorded of one. */
interface Ran {
  readonly output?: unknown;
  /** What it threw. */
  readonly error?: string;
  readonly decisions?: readonly Decision[];
}

export class ToolRun {
  private calls = 0;
  /** How many there were of each tool with each input. */
  private readonly alike = new Map<string, number>();
  private ended: { readonly by: unknown } | undefined;
  /** Where the first text of others came from that the next prompt holds, by the place of the call that read it. */
  private read: { readonly place: number; readonly origin: string } | undefined;
  /** The same of the prompt that the latest answer came to. */
  private known: string | undefined;

  constructor(private readonly context: AgentContext) {
    const [step] = context.inputFrom;
    if (step !== undefined) {
      this.reads(step === WORKFLOW_CODE ? 'an input that workflow code made' : `the output of step ${step}`);
    }
  }

  /** Before each call of the model. Throws what a tool ended the attempt with. */
  beforeCall(): void {
    this.throwIfEnded();
    this.known = this.read?.origin;
  }

  throwIfEnded(): void {
    if (this.ended !== undefined) throw this.ended.by;
  }

  /**
   * What stands in the prompt from now on, of others. Of calls that are made at once the first in order is the one that is
   * named, whichever ends first: the model is told, and a retry must ask it the same.
   */
  reads(origin: string, place = 0): void {
    if (this.read === undefined || place < this.read.place) this.read = { place, origin };
  }

  /** The same of what is in the prompt of the next call, or in the answer that it came to: it counts for that answer's tools. */
  holds(origin: string): void {
    if (this.read === undefined) this.reads(origin);
    this.known ??= origin;
  }

  /** What the tool returns, or throws for the model to read. Calls that are made at once keep their order. */
  execute({ name, rights, input, run }: ToolCall): Promise<unknown> {
    const place = (this.calls += 1);
    const { effect = 'write', allowWritesAfterUntrusted = false, trusted = false } = rights;
    const { maxResultBytes = RESULT_BYTES } = rights;
    if (effect === 'write' && !allowWritesAfterUntrusted && this.known !== undefined) {
      return this.refuse(name, this.known);
    }
    const id = this.idOf(name, input);
    const ran = this.context.calls.run<Ran>({
      kind: 'tool',
      name,
      request: { input },
      run: () => this.runOnce(place, id, run),
      unpaid: (error) => !this.context.signal.aborted || (isCadreError(error) && isAsking(error)),
    });
    return ran.then(
      ({ output, error, decisions = [] }) => {
        if (!trusted) this.reads(`the result of the tool ${name}`, place);
        for (const decision of decisions) this.context.decide(decision);
        if (error !== undefined) {
          const told = cutBytes(error, maxResultBytes);
          throw new Error(trusted ? told : untrusted(`tool ${name}`, told));
        }
        return output;
      },
      (error: unknown) => {
        this.ended ??= { by: error };
        throw error;
      },
    );
  }

  /** The same in each attempt that has the tool do the same. */
  private idOf(name: string, input: unknown): string {
    const hash = createHash('sha256').update(canonicalJson({ name, input })).digest('hex').slice(0, 16);
    const nth = (this.alike.get(hash) ?? 0) + 1;
    this.alike.set(hash, nth);
    return `${hash}-${nth}`;
  }

  private refuse(name: string, because: string): Promise<never> {
    this.context.decide({
      type: 'toolRefused',
      rationale: `The tool ${name} was not run: it may write, and the model had read ${because}`,
    });
    return Promise.reject(
      new Error(
        `The tool ${name} is not available any more, since ${because} was read. Go on without it, and say so.`,
      ),
    );
  }

  private async runOnce(place: number, id: string, run: ToolCall['run']): Promise<Ran> {
    const decisions: Decision[] = [];
    const kept = (): Pick<Ran, 'decisions'> => (decisions.length === 0 ? {} : { decisions });
    const context = toolContext(this.context, { place, id }, (decision) => void decisions.push(decision));
    try {
      const output = (await run(context)) ?? null;
      return { output, ...kept() };
    } catch (error) {
      if (this.endsAttempt(error)) throw error;
      return { error: failureInfo(error).message, ...kept() };
    }
  }

  /** What Cadre or Temporal is to hear; all else a tool throws is for the model. */
  private endsAttempt(error: unknown): boolean {
    return this.context.signal.aborted || isCadreError(error) || error instanceof TemporalFailure;
  }
}

function toolContext(
  context: AgentContext,
  { place, id }: { readonly place: number; readonly id: string },
  decide: AgentContext['decide'],
): ToolContext {
  const { calls: _calls, knowledge: _knowledge, checkpoint: _set, lastCheckpoint: _last, ...rest } = context;
  return {
    ...rest,
    idempotencyKey: `${context.idempotencyKey}/tool-${id}`,
    once: (name, run, options) => context.once(`${id}.${name}`, run, options),
    ask: (question) => context.ask({ ...question, name: `${place}.${question.name}` }),
    decide,
  };
}

export type AiTool = ToolSet[string];

/** What an AI SDK tool is given beside its input: with what Cadre has for it. */
export interface ToolOptions {
  readonly cadre: ToolContext;
}

type ToModelOutput = NonNullable<AiTool['toModelOutput']>;
type ModelOutput = Awaited<ReturnType<ToModelOutput>>;

/** `tool`, run and recorded by `tools` with these rights. One that nothing runs here stays as it is. */
export function recordedTool(name: string, tool: AiTool, rights: ToolRights, tools: ToolRun): AiTool {
  const { execute, toModelOutput = plainOutput } = tool;
  if (execute === undefined) return tool;
  return {
    ...tool,
    execute: (input: unknown, options: Parameters<typeof execute>[1]) =>
      tools.execute({
        name,
        rights,
        input,
        run: (context) => lastOf(execute.call(tool, input, { ...options, cadre: context })),
      }),
    toModelOutput: async (options: Parameters<ToModelOutput>[0]) => {
      const { trusted = false, maxResultBytes = RESULT_BYTES } = rights;
      const origin = `tool ${name}`;
      return withTexts(await toModelOutput(options), (text) => {
        const shown = cutBytes(text, maxResultBytes);
        return trusted ? shown : untrusted(origin, shown);
      });
    },
  };
}

/** Also of a tool that tells how far it is: what it says last. */
async function lastOf(result: unknown): Promise<unknown> {
  if (!isAsyncIterable(result)) return result;
  let last: unknown;
  for await (const one of result) last = one;
  return last;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

function plainOutput({ output }: { readonly output: unknown }): ModelOutput {
  return { type: 'text', value: typeof output === 'string' ? output : JSON.stringify(output ?? null) };
}

/** The same with its texts as `shown` has them; JSON becomes one. */
function withTexts(output: ModelOutput, shown: (text: string) => string): ModelOutput {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return { ...output, value: shown(output.value) };
    case 'json':
      return { ...output, type: 'text', value: shown(JSON.stringify(output.value)) };
    case 'error-json':
      return { ...output, type: 'error-text', value: shown(JSON.stringify(output.value)) };
    case 'content':
      return {
        ...output,
        value: output.value.map((part) =>
          part.type === 'text' ? { ...part, text: shown(part.text) } : part,
        ),
      };
    case 'execution-denied':
      return output;
  }
  return assertNever(output);
}
