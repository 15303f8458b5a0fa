/**
 * A conversation with a model, until there is an answer that can be used. Owns the repairs; the loop of calls and tools is
 * the AI SDK's.
 *
 * 1. An answer that was cut off, is not what was asked for, or is none, is never the result: it is sent back with the
 *    reason, at most twice, and then it is a failure. A person who has the step tried again after that has it sent back
 *    again.
 * 2. The AI SDK retries nothing: what a call fails with ends the attempt.
 * 3. All calls of models and tools are recorded, whatever the settings' own hooks put in their place.
 */
import type { LanguageModelV3 } from '@ai-sdk/provider';
import type {
  LanguageModel,
  ModelMessage,
  OutputInterface as Output,
  StopCondition,
  ToolLoopAgent,
  ToolLoopAgentSettings,
  ToolSet,
} from 'ai';
import type { AgentContext } from '../activities/agent-context';
import { countOf } from '../core/count-of';
import { CadreError } from '../core/failures';
import { openModel } from './providers';
import { type ModelWatch, recordedModel } from './recorded-model';
import { type ToolRights, type ToolRun, recordedTool } from './tool-run';
import { UNTRUSTED_RULE, holdsUntrusted } from './untrusted';

/** A model of the AI SDK's, or `provider/model` of a provider that Cadre knows. */
export type Model = string | LanguageModelV3;

export type LoopSettings = ToolLoopAgentSettings<never, ToolSet, Output>;
export type Loop = ToolLoopAgent<never, ToolSet, Output>;

/** What a model said last. */
export type Answer = Awaited<ReturnType<Loop['generate']>>;

/** What comes of an answer: a value, or what is wrong with it, to tell the model. */
export type Reading<Value> = { readonly value: Value } | { readonly problem: string };

export interface Conversation<Value> {
  readonly context: AgentContext;
  readonly tools: ToolRun;
  readonly settings: LoopSettings;
  /** By the name of the tool. */
  readonly rights: (tool: string) => ToolRights;
  /** Makes the loop. */
  readonly loop: (settings: LoopSettings) => Loop;
  readonly prompt: string;
  /** Paragraphs that are added to the instructions. */
  readonly system: readonly string[];
  /** Calls of the model in all. */
  readonly maxSteps: number;
  /**
   * Whether the model is asked for streams. Default: where it is one by name. A model object may have been wrapped by middleware
   * that sees whole answers alone.
   */
  readonly stream?: boolean;
  readonly read: (answer: Answer) => Promise<Reading<Value>> | Reading<Value>;
}

/** How often an answer is sent back. */
const REPAIRS_MAXIMUM = 2;
/** The most output tokens of a call, where nothing says it; twice as many after an answer that was cut off. */
const OUTPUT_TOKENS = 4096;

/**
 * The value of the first answer that can be used. Throws ModelOutputInvalid after two repairs, or where the model asks for
 * tools to the end; what {@link recordedModel} throws; and what a tool ends the attempt with.
 */
export async function converse<Value>(conversation: Conversation<Value>): Promise<Value> {
  const { context, tools, prompt, maxSteps, read } = conversation;
  const limits: Limits = {
    outputTokens: conversation.settings.maxOutputTokens ?? OUTPUT_TOKENS,
    steps: maxSteps,
    made: false,
  };
  const loop = conversation.loop(recorded(conversation, limits));
  let messages: ModelMessage[] | undefined;
  let { resolutions } = context;
  for (let repairs = 0; ; repairs += 1) {
    const answer = await ask(loop, messages === undefined ? { prompt } : { messages }, context.signal);
    tools.throwIfEnded();
    limits.steps -= answer.steps.length;
    const reading = await readingOf(answer, limits, read);
    if ('value' in reading) return reading.value;
    const { problem } = reading;
    if (reading.final === true || repairs === REPAIRS_MAXIMUM || limits.steps <= 0) {
      if (limits.made || resolutions === 0) throw invalid(reading, repairs);
      // All of it is recorded, and failed the step: whoever has it tried again wants another answer.
      resolutions -= 1;
      repairs = 0;
      limits.steps = maxSteps;
    }
    context.decide({ type: 'answerSentBack', rationale: `An answer of the model was sent back: ${problem}` });
    messages = [
      ...(messages ?? [{ role: 'user', content: prompt }]),
      ...usable(answer),
      { role: 'user', content: repairText(problem) },
    ];
    if (answer.finishReason === 'length' && conversation.settings.maxOutputTokens === undefined) {
      limits.outputTokens *= 2;
    }
  }
}

async function ask(
  loop: Loop,
  asked: { readonly prompt: string } | { readonly messages: ModelMessage[] },
  signal: AbortSignal,
): Promise<Answer> {
  try {
    return await loop.generate({ ...asked, abortSignal: signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

interface Limits {
  outputTokens: number;
  /** Calls of the model that are left. */
  steps: number;
  /** Whether any call was made, and not only read from its record. */
  made: boolean;
}

/** What is wrong with an answer; `final`: no repair is made of it. */
interface Problem {
  readonly problem: string;
  readonly final?: true;
}

async function readingOf<Value>(
  answer: Answer,
  limits: Limits,
  read: Conversation<Value>['read'],
): Promise<{ readonly value: Value } | Problem> {
  const { finishReason, toolCalls } = answer;
  if (finishReason === 'content-filter') {
    throw new CadreError('ModelRefused', "The provider's filter withheld the answer of the model");
  }
  if (finishReason === 'length') return { problem: `it was cut off after ${limits.outputTokens} tokens` };
  if (finishReason === 'error') return { problem: 'the model ended it with an error' };
  if (finishReason !== 'tool-calls' && toolCalls.length === 0) return read(answer);
  const names = [...new Set(toolCalls.map(({ toolName }) => toolName))].join(', ');
  const problem =
    limits.steps <= 0
      ? `The model asked for tools to the end of its steps (\`maxSteps\`), and gave no answer; for ${names} last`
      : `The model ended with calls of tools, and gave no answer: ${names}`;
  return { problem, final: true };
}

function invalid({ problem, final }: Problem, repairs: number): CadreError {
  if (final === true) return new CadreError('ModelOutputInvalid', problem);
  const after = repairs === 0 ? '' : ` after ${countOf(repairs, 'repair')}`;
  return new CadreError(
    'ModelOutputInvalid',
    `The answer of the model could not be used${after}: ${problem}`,
    { details: { problem, repairs } },
  );
}

function repairText(problem: string): string {
  return `Your last answer was not used: ${problem}. Answer again, from the start, with the answer alone.`;
}

/** The messages of an answer that the next call may go on from: none that is empty, broke off, or asks for a tool in vain. */
function usable({ response: { messages }, finishReason, text, toolCalls }: Answer): ModelMessage[] {
  const last = messages.at(-1);
  const broken =
    last?.role === 'assistant' && (finishReason === 'length' || text.trim() === '' || toolCalls.length > 0);
  return broken ? messages.slice(0, -1) : messages;
}

/** The settings, with all that they call recorded. Their own hooks run as before. */
function recorded<Value>(
  { context, tools, settings, rights, system, prompt, stream }: Conversation<Value>,
  limits: Limits,
): LoopSettings {
  const record = recorder(context, tools, limits, stream);
  const { prepareCall, prepareStep, output } = settings;
  return {
    ...settings,
    stopWhen: settings.stopWhen ?? [],
    ...(output === undefined ? {} : { output: unread(output) }),
    ...(prepareStep === undefined
      ? {}
      : {
          prepareStep: async (step) => {
            const said = await prepareStep(step);
            return said?.model === undefined ? said : { ...said, model: await record(said.model) };
          },
        }),
    prepareCall: async (options) => {
      const prepared = (await prepareCall?.(options)) ?? options;
      const marks = prepared.tools !== undefined || holdsUntrusted(prompt) ? [UNTRUSTED_RULE] : [];
      const call = {
        ...prepared,
        maxRetries: 0,
        model: await record(prepared.model),
        tools: recordedTools(prepared.tools, rights, tools),
        instructions: withParagraphs(prepared.instructions, [...system, ...marks]),
        stopWhen: [prepared.stopWhen ?? [], stopsAt(limits)].flat(),
      };
      return call as Awaited<ReturnType<NonNullable<LoopSettings['prepareCall']>>>;
    },
  };
}

/** Opens and records models, each once. */
function recorder(
  context: AgentContext,
  tools: ToolRun,
  limits: Limits,
  stream: boolean | undefined,
): (model: LanguageModel) => Promise<LanguageModelV3> {
  const watch: Omit<ModelWatch, 'stream'> = {
    maxOutputTokens: () => limits.outputTokens,
    onCall: (asked) => {
      tools.beforeCall();
      if (holdsUntrusted(asked)) tools.holds('text of others in its prompt');
    },
    onMake: () => {
      limits.made = true;
    },
    onAnswer: ({ content }) => {
      if (content.some(({ type }) => LOOKED_UP.includes(type))) tools.holds('what the provider looked up');
    },
  };
  const recordings = new WeakSet<object>();
  return async (model) => {
    if (typeof model === 'object' && recordings.has(model)) return model as LanguageModelV3;
    const recording = await recordedModel(await opened(model), modelName(model), context, {
      ...watch,
      stream: stream ?? typeof model === 'string',
    });
    recordings.add(recording);
    return recording;
  };
}

/** In an answer, what a provider's own tools found. */
const LOOKED_UP: readonly string[] = ['tool-result', 'source'];

async function opened(model: LanguageModel): Promise<LanguageModelV3> {
  if (typeof model === 'string') return openModel(model);
  if (model.specificationVersion === 'v3') return model;
  throw new CadreError(
    'ModelUnknown',
    `Expected a model of AI SDK 6, got one of ${model.specificationVersion}`,
  );
}

/** `provider/model`, by which a model is charged and shown. */
export function modelName(model: LanguageModel): string {
  if (typeof model === 'string') return model;
  const [provider] = model.provider.split('.');
  return `${provider}/${model.modelId}`;
}

function stopsAt(limits: Limits): StopCondition<ToolSet> {
  return ({ steps }) => steps.length >= limits.steps;
}

function recordedTools(
  tools: ToolSet | undefined,
  rights: (tool: string) => ToolRights,
  run: ToolRun,
): ToolSet | undefined {
  if (tools === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(tools).map(([name, tool]) => [name, recordedTool(name, tool, rights(name), run)]),
  );
}

type Instructions = LoopSettings['instructions'];

function withParagraphs(instructions: Instructions, paragraphs: readonly string[]): Instructions {
  if (paragraphs.length === 0) return instructions;
  const more = paragraphs.join('\n\n');
  if (instructions === undefined) return more;
  if (typeof instructions === 'string') return `${instructions}\n\n${more}`;
  return [instructions, { role: 'system' as const, content: more }].flat();
}

/** The same output, read from the text of the answer here, where it can be sent back. */
function unread(output: Output): Output {
  return { ...output, parseCompleteOutput: ({ text }) => Promise.resolve(text) };
}
