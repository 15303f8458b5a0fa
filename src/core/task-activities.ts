/** What the workflow `task` sends to its agents' activities and gets back: the payloads that stand in history. */
import type { GivenAnswer } from './asking';
import type { Operation } from './crdt/replica';
import type { Decision } from './decision';
import type { FailureInfo } from './failures';
import { isRecord } from './json';
import { oneLine } from './one-line';
import type { AgentStep } from './plan';
import type { ResolvedPolicy } from './policy';
import type { SagaOptions, StackEntry, StepOutcome } from './saga';
import type { Stored } from './stored';
import type { TaskEvent } from './task-events';
import { type ModelUsage, usageField } from './usage';

/** What a step's agent is sent, to do it or to undo it. */
export interface StepInputs {
  readonly goal: string;
  readonly instruction: string;
  /** The step's input as the plan has it, references to outputs included. */
  readonly input?: unknown;
  /** The outputs of the steps it needs, by step id. */
  readonly outputs: Readonly<Record<string, Stored>>;
}

/** Second argument of an agent's activity. */
export interface ActRequest extends StepInputs {
  /** An output or list of decisions of more bytes than this goes to the artifact store. */
  readonly inlineMaximum: number;
  /**
   * For workflow code: an output that goes to the artifact store comes back beside its reference, where it has at most so
   * many bytes. Default: never.
   */
  readonly returnMaximum?: number;
  /** Present for a ballot: the output is taken as one, and must be among the choices where there are some. */
  readonly ballot?: { readonly choices?: readonly unknown[] };
  /** Present where a step is undone by this agent's `act`. */
  readonly undoes?: Undoes;
  /** Present where the step may be undone: none of its attempts may begin after that. */
  readonly undoable?: true;
  /** Present for a step that no plan has: what its saga says of its undoing. */
  readonly added?: Pick<AgentStep, 'kind' | 'compensate' | 'approval' | 'policy'>;
  /** Present where workflow code made the input: it may hold outputs of other steps. */
  readonly madeByCode?: true;
  /** What earlier attempts left, where a worker that stopped handed the step back. */
  readonly handedBack?: HandedBack;
  /** How often a person said `retry` of this step. Default 0. */
  readonly resolutions?: number;
  /** What persons answered to what earlier attempts asked. Default: nothing. */
  readonly answers?: readonly GivenAnswer[];
}

/** What an agent that undoes another's step is told of it. */
export interface Undoes {
  /** Who did the step. */
  readonly agent: string;
  /** The step's input as the plan has it. */
  readonly input?: unknown;
  readonly outcome: StepOutcome;
  /** Present where the outcome is `completed`. */
  readonly output?: Stored;
  /** Why it is undone. */
  readonly reason: FailureInfo;
}

/** Second argument of the activity that undoes a step. */
export interface CompensateRequest extends StepInputs {
  readonly outcome: StepOutcome;
  /** Of the step; present where the outcome is `completed`. */
  readonly output?: Stored;
  /** Why the task is undone. */
  readonly reason: FailureInfo;
  /** How often a person said `retry` of this compensation. Default 0. */
  readonly resolutions?: number;
}

/**
 * What a worker that is told to stop gives back with a step: the attempt that it cut short does not count, and what
 * the agent had kept is not lost. The details of a failure of type `HandedBack`.
 */
export interface HandedBack {
  /** Attempts that failed before the one that was cut short. */
  readonly attemptsUsed: number;
  readonly checkpoint?: unknown;
  /** Present where an attempt made calls that are recorded. */
  readonly called?: true;
  /** Present where it was refused by a breaker, and has waited for that. */
  readonly waited?: true;
  /** For how many ms its calls, and it, have waited for what is set aside of a budget for others. Default 0. */
  readonly held?: number;
}

/** What stands in `details` of a failure of type `HandedBack`. */
export function readHandedBack(details: unknown): HandedBack {
  if (!isRecord(details) || typeof details['attemptsUsed'] !== 'number') return { attemptsUsed: 0 };
  return handedBackOf(details as unknown as HandedBack);
}

/** Of what stands in a failure, an event or a state: what the next attempt gets. */
export function handedBackOf({ attemptsUsed, checkpoint, called, held }: HandedBack): HandedBack {
  return {
    attemptsUsed,
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(called === true ? { called } : {}),
    ...(held === undefined ? {} : { held }),
  };
}

/** What an agent's activity returns. */
export interface ActOutcome {
  readonly output: Stored;
  /** What a reference in `output` stands for; see {@link ActRequest.returnMaximum}. */
  readonly returned?: unknown;
  /** Left out where the agent made none. */
  readonly decisions?: Stored<readonly Decision[]>;
  /** What it did to its knowledge, in order. Left out where that is nothing. */
  readonly knowledge?: Stored<readonly Operation[]>;
  /** What its calls came to, over all attempts. Left out where there were none. */
  readonly usage?: readonly ModelUsage[];
}

/** What the activity that undoes a step returns; nothing where it made no calls. */
export type UndoOutcome = Pick<ActOutcome, 'usage' | 'decisions'> | undefined;

/** Argument of the local activity `pin`; without `agents` all of the roster. */
export interface PinRequest extends Pinned {
  readonly agents?: readonly string[];
}

/** What a saga in workflow code says of itself: history keeps what `pin` returns, not what it was given. */
export interface Pinned {
  readonly options?: SagaOptions;
  /** See the task's state. */
  readonly deadline?: number;
}

/** What the local activity `pin` returns. */
export interface PinOutcome extends Pinned {
  readonly policies: Readonly<Record<string, ResolvedPolicy>>;
}

/** The events that a step's success leaves, in order; the same for the workflow and the log. */
export function actEvents(step: string, outcome: ActOutcome): TaskEvent[] {
  const { output, decisions, knowledge } = outcome;
  const learnt = knowledge === undefined ? {} : { knowledge };
  const completed: TaskEvent = { type: 'stepCompleted', step, output, ...learnt, ...usageField(outcome) };
  return decisions === undefined ? [completed] : [{ type: 'decisionsRecorded', step, decisions }, completed];
}

/** The event of a step's undoing; `outcome`: what its activity returned. */
export function compensatedEvent({ step, agent }: StackEntry, outcome: unknown): TaskEvent {
  const decisions = isRecord(outcome) ? (outcome as Partial<ActOutcome>).decisions : undefined;
  return {
    type: 'compensated',
    step,
    agent,
    ...(decisions === undefined ? {} : { decisions }),
    ...usageField(outcome),
  };
}

/** The Web UI cuts summaries at 200 bytes. */
export const SUMMARY_MAXIMUM_LENGTH = 100;

/**
 * The one-line summary by which the Web UI names an activity's bar, behind the agent's name. The log reads the step
 * of a local activity from it, whose input history does not keep.
 */
export function stepSummary({ id, instruction }: { id: string; instruction: string }): string {
  return instruction === '' ? id : oneLine(`${id}: ${instruction}`, SUMMARY_MAXIMUM_LENGTH);
}

/** The step of a {@link stepSummary}; undefined for any other text. */
export function stepOfSummary(summary: string): string | undefined {
  return /^([A-Za-z0-9][A-Za-z0-9._/-]*)(?:: |$)/.exec(summary)?.[1];
}
