/** What workers tell the fleet's breaker, what persons tell it, and what it answers. These payloads stand in history. */
import { inputInvalid } from '../failures';
import { cut } from '../one-line';
import { assertNever, isRecord, valueAt } from '../json';
import {
  type BreakerEvent,
  type BreakerState,
  type BreakerView,
  type ProbeEnd,
  evolveBreaker,
  viewOf,
} from './breaker';
import { BREAKER_WORDS } from './details';
import { type BreakerSettings, settingsProblems } from './settings';
import type { Tally } from './window';

/** Calls since the last report. Times are ages in ms, since clocks differ. */
export interface ReportedCalls extends Tally {
  /** How long ago the first of them began. */
  readonly began: number;
  /** How long ago the last of them ended. */
  readonly ended: number;
}

/** What a worker tells the breaker of a key. */
export interface BreakerReport {
  /**
   * Who tells, for the how manieth time, and the permits that it holds: of what else it was granted it never heard. A
   * report may arrive after a later one.
   */
  readonly holds?: {
    readonly worker: string;
    readonly turn: number;
    readonly permits: readonly string[];
  };
  readonly settings: BreakerSettings;
  /** The oldest first. */
  readonly calls: readonly ReportedCalls[];
  /** What the last of them that failed failed with. */
  readonly error?: string;
  /** Probes of this worker that have ended. */
  readonly probes: readonly { readonly permit: string; readonly end: ProbeEnd }[];
  /** The provider asked for no calls for so many ms. */
  readonly pacedFor?: number;
  /** Calls that the worker refused since its last report. */
  readonly refused: number;
  /** How many calls wait to hear whether they may go. */
  readonly wanted: number;
}

/** What the breaker answers. */
export interface BreakerReply {
  readonly view: BreakerView;
  /** Of probes that calls which waited to hear are to be. */
  readonly permits: readonly string[];
}

/** What a person may tell a breaker. */
export const BREAKER_COMMANDS = ['trip', 'reset', 'isolate', 'release'] as const;
export type BreakerCommandKind = (typeof BREAKER_COMMANDS)[number];

export interface BreakerCommand {
  readonly how: BreakerCommandKind;
  /** Up to 500 characters. */
  readonly note: string;
  /** For a breaker that is not there yet. */
  readonly settings?: BreakerSettings;
}

/** The most a report may say. */
const GROUPS_MAXIMUM = 1000;
const PROBES_MAXIMUM = 1000;
const WORKER_MAXIMUM_LENGTH = 200;
const ERROR_MAXIMUM_LENGTH = 300;
const NOTE_MAXIMUM_LENGTH = 500;

/** `error` as a report carries it. */
export function reportedError(message: string): string {
  return cut(message, ERROR_MAXIMUM_LENGTH);
}

/** Throws InputInvalid where `candidate` is no report. */
export function readReport(candidate: unknown): BreakerReport {
  if (!isRecord(candidate)) throw inputInvalid('a report', 'an object', candidate);
  const { settings, calls, error, probes, pacedFor, refused, wanted, holds } = candidate;
  checkSettings(settings);
  if (!isListOf(calls, GROUPS_MAXIMUM, isReportedCalls)) {
    throw inputInvalid(
      '`calls`',
      `up to ${GROUPS_MAXIMUM} of { calls, failures, slow, began, ended }`,
      calls,
    );
  }
  if (!isListOf(probes, PROBES_MAXIMUM, isProbe)) {
    throw inputInvalid('`probes`', `up to ${PROBES_MAXIMUM} of { permit, end }`, probes);
  }
  if (error !== undefined && typeof error !== 'string') throw inputInvalid('`error`', 'a text', error);
  if (pacedFor !== undefined && !isAmount(pacedFor))
    throw inputInvalid('`pacedFor`', 'milliseconds', pacedFor);
  if (holds !== undefined && !isHolding(holds)) {
    throw inputInvalid('`holds`', '{ worker, turn, permits }', holds);
  }
  if (!isCount(refused)) throw inputInvalid('`refused`', 'a whole number', refused);
  if (!isCount(wanted)) throw inputInvalid('`wanted`', 'a whole number', wanted);
  return {
    settings: settings as BreakerSettings,
    calls,
    probes,
    refused,
    wanted,
    ...(holds === undefined ? {} : { holds }),
    ...(error === undefined ? {} : { error: reportedError(error) }),
    ...(pacedFor === undefined ? {} : { pacedFor }),
  };
}

/** Throws InputInvalid where `candidate` is no command, or the breaker does not take it as it stands. */
export function readCommand(candidate: unknown, { phase }: BreakerState): BreakerCommand {
  if (!isRecord(candidate)) throw inputInvalid('a command', 'an object', candidate);
  const { how, note = '', settings } = candidate;
  if (!BREAKER_COMMANDS.some((one) => one === how)) {
    throw inputInvalid('`how`', BREAKER_COMMANDS.join(', '), how);
  }
  if (typeof note !== 'string' || note.length > NOTE_MAXIMUM_LENGTH) {
    throw inputInvalid('`note`', `a text of up to ${NOTE_MAXIMUM_LENGTH} characters`, note);
  }
  if (settings !== undefined) checkSettings(settings);
  if (phase.kind === 'isolated' && (how === 'trip' || how === 'reset')) {
    throw inputInvalid('`how`', 'release, since the breaker is isolated', how);
  }
  if (phase.kind !== 'isolated' && how === 'release') {
    throw inputInvalid(
      '`how`',
      `trip, reset or isolate, since the breaker is ${BREAKER_WORDS[phase.kind]} and not isolated`,
      how,
    );
  }
  return {
    how: how as BreakerCommandKind,
    note,
    ...(settings === undefined ? {} : { settings: settings as BreakerSettings }),
  };
}

function checkSettings(settings: unknown): void {
  const [problem] = isRecord(settings)
    ? settingsProblems(settings as unknown as BreakerSettings)
    : [[[], 'an object'] as const];
  if (problem !== undefined) {
    const [path, expected] = problem;
    const field = ['settings', ...path].join('.');
    throw inputInvalid(`\`${field}\``, expected, valueAt(settings, path));
  }
}

function isListOf<Item>(
  value: unknown,
  most: number,
  isItem: (item: unknown) => item is Item,
): value is Item[] {
  return Array.isArray(value) && value.length <= most && value.every(isItem);
}

function isReportedCalls(value: unknown): value is ReportedCalls {
  return (
    isRecord(value) &&
    isCount(value['calls']) &&
    isCount(value['failures']) &&
    value['failures'] <= value['calls'] &&
    isCount(value['slow']) &&
    value['slow'] <= value['calls'] &&
    isAmount(value['began']) &&
    isAmount(value['ended'])
  );
}

function isProbe(value: unknown): value is BreakerReport['probes'][number] {
  if (!isRecord(value) || typeof value['permit'] !== 'string') return false;
  const { end } = value;
  return (
    end === 'ignored' ||
    (isRecord(end) && typeof end['failed'] === 'boolean' && typeof end['slow'] === 'boolean')
  );
}

function isHolding(value: unknown): value is NonNullable<BreakerReport['holds']> {
  if (!isRecord(value) || typeof value['worker'] !== 'string') return false;
  const { worker, turn, permits } = value;
  const isPermit = (one: unknown): one is string => typeof one === 'string';
  return (
    worker.length <= WORKER_MAXIMUM_LENGTH && isCount(turn) && isListOf(permits, PROBES_MAXIMUM, isPermit)
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value);
}

/** What a report changes, in order. `at` is in ms, `random` from 0 to 1. */
export function reportEvents(
  report: BreakerReport,
  { settings }: BreakerState,
  at: number,
  random: number,
): BreakerEvent[] {
  const events: BreakerEvent[] = [];
  if (JSON.stringify(settings) !== JSON.stringify(report.settings)) {
    events.push({ type: 'configured', settings: report.settings });
  }
  const error = report.error === undefined ? {} : { error: report.error };
  for (const { permit, end } of report.probes) {
    events.push({
      type: 'probeEnded',
      at,
      random,
      permit,
      end,
      ...(end !== 'ignored' && end.failed ? error : {}),
    });
  }
  const { holds } = report;
  if (holds !== undefined) events.push({ type: 'permitsHeld', ...holds });
  for (const { began, ended, calls, failures, slow } of report.calls) {
    const group = { calls, failures, slow, beganAt: at - began, endedAt: at - ended };
    events.push({ type: 'callsEnded', at, random, calls: group, ...(failures > 0 ? error : {}) });
  }
  if (report.pacedFor !== undefined) events.push({ type: 'paced', at, until: at + report.pacedFor });
  if (report.refused > 0) events.push({ type: 'callsRefused', count: report.refused });
  if (report.wanted > 0) {
    const by = holds === undefined ? {} : { by: { worker: holds.worker, turn: holds.turn } };
    events.push({ type: 'probesAsked', at, wanted: report.wanted, ...by });
  }
  return events;
}

/** What a command changes, in order. */
export function commandEvents(
  { how, note, settings }: BreakerCommand,
  at: number,
  random: number,
): BreakerEvent[] {
  const configured: BreakerEvent[] = settings === undefined ? [] : [{ type: 'configured', settings }];
  switch (how) {
    case 'trip':
      return [...configured, { type: 'tripped', at, random, note }];
    case 'reset':
      return [...configured, { type: 'reset', at }];
    case 'isolate':
      return [...configured, { type: 'isolated', at, note }];
    case 'release':
      return [{ type: 'released', at }];
    default:
      return assertNever(how);
  }
}

/** The answer to a report that changed `before` to `after`. */
export function replyTo(before: BreakerState, after: BreakerState, at: number): BreakerReply {
  const granted = after.granted - before.granted;
  const permits = Array.from({ length: granted }, (_, index) => String(before.granted + index + 1));
  return { view: viewOf(after, at), permits };
}

/** The state after `events`, in order. */
export function foldBreaker(state: BreakerState, events: Iterable<BreakerEvent>): BreakerState {
  let next = state;
  for (const event of events) next = evolveBreaker(next, event);
  return next;
}
