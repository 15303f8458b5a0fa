import type { Shortfall } from './budget/account';
import { shortfallFix } from './budget/words';
import type { Decision } from './decision';
import { shownJson } from './json';
import type { ModelUsage } from './usage';

/**
 * Every failure that Cadre itself raises, one row a type. A failure crosses processes as Temporal's
 * ApplicationFailure with this `type`; classify by `type`, never by `instanceof`, which neither the
 * workflow sandbox nor Jest keeps intact.
 */
export const FAILURES = {
  InputInvalid: { retryable: false, fix: 'Correct it and try again; nothing was done.' },
  InputTooLarge: {
    retryable: false,
    fix: 'Pass documents by path, and large values through the artifact store.',
  },
  NameInvalid: { retryable: false, fix: 'Use a lower-case letter, then up to 62 of a-z, 0-9 and "-".' },
  PolicyInvalid: { retryable: false, fix: "Correct the agent's policy; a worker does not start with it." },
  GoalEmpty: { retryable: false, fix: 'Say in `goal` what the team is to find out or do.' },
  PlanInvalid: { retryable: false, fix: 'Correct the plan and start again; no step was started.' },
  AgentUnknown: {
    retryable: false,
    fix: 'Name an agent of the roster, or list the missing one in the configuration file and restart the worker.',
  },
  AgentInputInvalid: {
    retryable: false,
    fix: "Make the step's input match the agent's input schema.",
  },
  AgentOutputInvalid: {
    retryable: false,
    fix: 'Make the agent return what its output schema says, or correct the schema.',
  },
  CommandFailed: {
    retryable: true,
    fix: 'Read what the program wrote to stderr in the log of the worker, and run it there by hand with the same input.',
  },
  CheckpointTooLarge: {
    retryable: false,
    fix: 'Keep the value in the artifact store and its reference in the checkpoint.',
  },
  ArtifactMissing: {
    retryable: true,
    fix: 'Let every worker and client of the cadre use the same artifact store (CADRE_ARTIFACTS).',
  },
  ArtifactsUnavailable: {
    retryable: true,
    fix: 'Let the machine reach and write to the artifact store (CADRE_ARTIFACTS); `cadre doctor` says what is missing.',
  },
  EffectInvalid: {
    retryable: false,
    fix: 'Give each effect of a step a name of its own, of 1 to 100 characters, and a function that has it.',
  },
  OutcomeUnknown: {
    retryable: false,
    fix: 'See whether it happened, then say so with `cadre saga resolve ID STEP retry|skip`; with a `reconcile` the agent finds out itself.',
  },
  ActionUndone: {
    retryable: false,
    fix: 'Nothing: the attempt came late, and the step it belongs to was undone.',
  },
  LedgerUnavailable: {
    retryable: true,
    fix: 'Let the workers of the machine write to the file of the ledger (CADRE_LEDGER), on a disk of its own.',
  },
  DocumentsUnreadable: {
    retryable: false,
    fix: 'Give --docs a readable folder with Markdown, text, HTML, PDF or DOCX files.',
  },
  HandedBack: {
    retryable: false,
    fix: 'Nothing: a worker was told to stop, and the step goes on at another one.',
  },
  BreakerOpen: {
    retryable: false,
    fix: 'See why with `cadre breakers`; by its `onOpen` an agent waits, falls back, or fails like this.',
  },
  Paced: {
    retryable: false,
    fix: 'Nothing: the provider asked to slow down, and the step waits for as long as it said.',
  },
  BudgetReached: {
    retryable: false,
    fix: 'Go on with more: `cadre resume ID --budget tokens=N`; see what was used with `cadre budget`.',
  },
  ModelRefused: {
    retryable: false,
    fix: 'Correct what the provider says is wrong: the key, the name of the model, or the request.',
  },
  ModelUnavailable: {
    retryable: true,
    fix: 'Wait until the provider is back: `cadre breakers` says how it does; or choose another model.',
  },
  ModelOutputInvalid: {
    retryable: false,
    fix: "Say in the agent's instructions what its answer must be; raise `maxOutputTokens` where it was cut off, `maxSteps` where it asked for tools to the end; or choose another model.",
  },
  ModelUnknown: {
    retryable: false,
    fix: 'Set CADRE_MODEL to provider/model, such as openai/gpt-5-mini or ollama/llama3.2; see docs/models.md.',
  },
  ModelKeyMissing: {
    retryable: false,
    fix: "Set the provider's key in the environment of the workers, and restart them.",
  },
  ToolsUnavailable: {
    retryable: true,
    fix: "Let the workers start or reach the MCP server; its name is that in the agent's `mcp`.",
  },
  ToolsChanged: {
    retryable: false,
    fix: 'Read what the server says of its tools now; if it is right, set `pinned` to what the failure says.',
  },
  PriceUnknown: {
    retryable: false,
    fix: 'Give the price of the model in the file that CADRE_PRICES of the workers names, or leave `money` out of the budget.',
  },
  QuestionAsked: {
    retryable: false,
    fix: 'Answer it with `cadre answer ID STEP ANSWER`; the step waits for that.',
  },
  QuestionInvalid: {
    retryable: false,
    fix: 'Ask with a name of its own, a question, and options that differ.',
  },
  QuestionExpired: {
    retryable: false,
    fix: 'Start again, and answer in time with `cadre answer ID STEP ANSWER`.',
  },
  StepFailed: {
    retryable: false,
    fix: 'Read the cause with `cadre show ID`; what was undone, if anything, is in `cadre saga show ID`.',
  },
  VoteUndecided: {
    retryable: false,
    fix: 'See in the log why no voter answered: `cadre show ID --events`.',
  },
  NotParked: {
    retryable: false,
    fix: 'See with `cadre show ID` what waits for a person, if anything.',
  },
  ApprovalRefused: {
    retryable: false,
    fix: 'Nothing was done of the step; see who refused and why with `cadre show ID --events`.',
  },
  ApprovalTimedOut: {
    retryable: false,
    fix: 'Start again, and answer in time with `cadre answer ID STEP yes|no`.',
  },
  NotAsked: {
    retryable: false,
    fix: 'See with `cadre show ID` which step waits for an answer, and for which input.',
  },
  TimeLimitReached: {
    retryable: false,
    fix: 'What was done is undone; start again with a longer time limit.',
  },
  TerminatedBefore: {
    retryable: false,
    fix: 'Nothing: what a terminated execution had done was undone, as asked.',
  },
  NothingToResume: {
    retryable: false,
    fix: 'See with `cadre saga show ID` how it ended and what was undone.',
  },
  LockHeld: {
    retryable: false,
    fix: 'Wait until its holder has ended; one that was terminated gives it back once it is resumed.',
  },
  AgentNotFound: {
    retryable: false,
    fix: 'See with `cadre agents` which there are; one begins when a task of its agent ends.',
  },
  ExchangeRefused: {
    retryable: false,
    fix: 'Mend what it says, and exchange again; neither side has lost anything.',
  },
  ClockAhead: {
    retryable: false,
    fix: 'Set the clock of its machine right; what it wrote is taken when its time has come.',
  },
  KnowledgeFull: {
    retryable: false,
    fix: 'Remove what is not needed (see `cadre knowledge`), or keep values in the artifact store and their references here.',
  },
  HistoryFileInvalid: {
    retryable: false,
    fix: "Give a file that `cadre export ID` wrote, or a history in JSON of Temporal's tools.",
  },
  TaskExists: { retryable: false, fix: 'Choose another id, or leave it out and get a fresh one.' },
  ForkRefused: { retryable: false, fix: 'Fork at another event: `cadre log` lists them.' },
  TaskNotFound: { retryable: false, fix: 'List the tasks there are with `cadre list`.' },
  NoLeader: {
    retryable: true,
    fix: 'Start a candidate with `cadre worker`; see who stands with `cadre leader`.',
  },
  NoWorker: {
    retryable: true,
    fix: 'Start a worker that runs workflows: `cadre worker`.',
  },
  ServerUnreachable: {
    retryable: true,
    fix: 'Start a server with `cadre server`, or set TEMPORAL_ADDRESS.',
  },
  ServerUnavailable: {
    retryable: false,
    fix: 'Set TEMPORAL_ADDRESS, put the `temporal` CLI on PATH, or install Go and run again.',
  },
  DatabaseInUse: {
    retryable: false,
    fix: 'Stop the other server, set TEMPORAL_ADDRESS to use it, or set CADRE_DATA to another folder.',
  },
  ConfigInvalid: {
    retryable: false,
    fix: 'Correct the configuration file, or the file that is named, and start the worker again.',
  },
} as const satisfies Record<string, { retryable: boolean; fix: string }>;

export type FailureType = keyof typeof FAILURES;

/** A failure as it stands in histories, events and `--json` output. */
export interface FailureInfo {
  /** A key of {@link FAILURES}, or what user code threw (`Error`, `TypeError`, an ApplicationFailure's type). */
  readonly type: string;
  readonly message: string;
  /** Present where whoever threw it said that no retry can mend it: a refusal, and not a mishap. */
  readonly final?: true;
  /** Present where an attempt before the one that failed had begun, and may have had its effect. */
  readonly began?: true;
  /** Present for BudgetReached: what did not fit. */
  readonly short?: Shortfall;
  /** What the calls of all attempts came to. Present where there were any. */
  readonly usage?: readonly ModelUsage[];
  /** Says which of these were paid again, or may have been. Present where there were any. */
  readonly repeated?: readonly Decision[];
}

/** The type of the cause of a failure that stopped an attempt from beginning, where one before it had begun. */
export const EARLIER_ATTEMPT = 'EarlierAttempt';

/** An error of Cadre's own. `message` says what is wrong; `fix` (from the table) what to do about it. */
export class CadreError extends Error {
  override readonly name = 'CadreError';
  readonly type: FailureType;
  /** JSON that helps a program, such as the problems of a plan. */
  readonly details: unknown;

  constructor(type: FailureType, message: string, options: { details?: unknown; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.type = type;
    this.details = options.details;
  }

  get retryable(): boolean {
    return FAILURES[this.type].retryable;
  }

  get fix(): string {
    return FAILURES[this.type].fix;
  }
}

/** An InputInvalid that names what was wrong, what was expected, and what came. */
export function inputInvalid(what: string, expected: string, got: unknown): CadreError {
  return new CadreError('InputInvalid', `Expected ${what} to be ${expected}, got ${shownJson(got)}`);
}

/** True for a {@link CadreError}, also one made by another copy of this module. */
export function isCadreError(error: unknown): error is CadreError {
  return error instanceof Error && error.name === 'CadreError' && isFailureType((error as CadreError).type);
}

/** True where a worker that was told to stop gave its work back; no failure of the work. */
export function isHandedBack(failure: FailureInfo): boolean {
  return failure.type === ('HandedBack' satisfies FailureType);
}

export function isFailureType(type: unknown): type is FailureType {
  return typeof type === 'string' && Object.hasOwn(FAILURES, type);
}

/**
 * What to do about a failure of this type, where we know; undefined for types of user code. The commands in it are those
 * to type where `task` and `step` are known; else they say ID and STEP. `short`: of BudgetReached what did not fit.
 */
export function fixFor(type: string, { task = 'ID', step = 'STEP', short }: FixOf = {}): string | undefined {
  if (!isFailureType(type)) return undefined;
  const names: Readonly<Record<string, string>> = { ID: task, STEP: step };
  const fix = type === 'BudgetReached' && short !== undefined ? shortfallFix(short) : FAILURES[type].fix;
  return fix.replace(/\b(ID|STEP)\b/g, (name) => names[name] ?? name);
}

/** Whose failure is to be mended. */
export interface FixOf {
  readonly task?: string;
  readonly step?: string;
  readonly short?: Shortfall | undefined;
}
