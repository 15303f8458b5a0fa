/**
 * Votes: several agents answer the same question, and a quorum of equal answers decides. Counts over all voters, so
 * that an absent voter never makes a minority a majority.
 */
import { canonicalJson, isRecord, jsonBytes } from './json';
import { CadreError } from './failures';

/** How many voters must agree: more than half, at least two thirds, or all. */
export const QUORUMS = ['majority', 'twoThirds', 'unanimous'] as const;
export type Quorum = (typeof QUORUMS)[number];

/** The vote of a plan's step. */
export interface Vote {
  /** Names of the agents that vote, 2 to 25. One that is named twice is asked twice. */
  readonly agents: readonly string[];
  /** Default `majority`. */
  readonly quorum?: Quorum;
  /** The answers that count, 2 to 25; any other is no vote. Left out: any answer counts. */
  readonly choices?: readonly unknown[];
  /** Milliseconds until what was cast must do. Default 60,000; 1 to 30 days. */
  readonly timeLimit?: number;
}

export const VOTERS_MINIMUM = 2;
export const VOTERS_MAXIMUM = 25;
export const VOTE_TIME_LIMIT = 60_000;
const CHOICE_MAXIMUM_BYTES = 1024;
const REASON_MAXIMUM_LENGTH = 500;

/** What a voter's activity returns. */
export interface Ballot {
  readonly choice: unknown;
  readonly reason?: string;
}

/** A ballot as it was cast. */
export interface CastBallot extends Ballot {
  /** The voter's place in {@link Vote.agents}, from 1. */
  readonly voter: number;
  readonly agent: string;
}

/** One answer, and how many gave it. */
export interface Tally {
  readonly choice: unknown;
  readonly ballots: number;
}

/** Why a vote went to the leader. */
export type Undecided = 'tie' | 'noQuorum' | 'noBallots' | 'timeLimit';

/** What a vote step puts out. */
export interface VoteOutcome {
  readonly choice: unknown;
  /** `leader`: no quorum was reached, and the leader decided. */
  readonly by: 'quorum' | 'leader';
  /** The term it was decided in: a value of a lower term never takes its place. */
  readonly term: number;
  readonly tally: readonly Tally[];
  /** Voters in all, whether or not they answered. */
  readonly voters: number;
  /** Why the leader decided so. */
  readonly reason?: string;
}

/**
 * An agent's output as a ballot: `{ choice, reason? }`, or any other value as the choice itself.
 * Throws AgentOutputInvalid for a choice of more than 1 KiB, or one that is not among `choices`.
 */
export function ballotOf(output: unknown, choices: readonly unknown[] | undefined): Ballot {
  const named = isRecord(output) && 'choice' in output;
  const choice: unknown = (named ? output['choice'] : output) ?? null;
  const reason = named ? output['reason'] : undefined;
  const bytes = jsonBytes(choice);
  if (bytes > CHOICE_MAXIMUM_BYTES) {
    throw new CadreError(
      'AgentOutputInvalid',
      `Expected a choice of at most ${CHOICE_MAXIMUM_BYTES} bytes, got ${bytes}: vote for an id or a hash`,
    );
  }
  if (choices !== undefined && !choices.some((one) => sameChoice(one, choice))) {
    throw new CadreError(
      'AgentOutputInvalid',
      `Expected a choice of ${JSON.stringify(choices).slice(0, 200)}, got ${JSON.stringify(choice).slice(0, 80)}`,
    );
  }
  return {
    choice,
    ...(typeof reason === 'string' ? { reason: reason.slice(0, REASON_MAXIMUM_LENGTH) } : {}),
  };
}

/** How many equal ballots decide. */
export function ballotsNeeded(quorum: Quorum, voters: number): number {
  if (quorum === 'unanimous') return voters;
  return quorum === 'majority' ? Math.floor(voters / 2) + 1 : Math.ceil((2 * voters) / 3);
}

/** The answers by number of ballots; among equals the one of the earliest voter comes first. */
export function tallyOf(ballots: readonly CastBallot[]): Tally[] {
  const counts = new Map<string, Tally>();
  for (const { choice } of [...ballots].sort((a, b) => a.voter - b.voter)) {
    const key = canonicalJson(choice);
    counts.set(key, { choice, ballots: (counts.get(key)?.ballots ?? 0) + 1 });
  }
  return [...counts.values()].sort((a, b) => b.ballots - a.ballots);
}

export type Verdict =
  | { readonly kind: 'open' }
  | { readonly kind: 'decided'; readonly choice: unknown }
  | { readonly kind: 'undecided'; readonly why: Exclude<Undecided, 'timeLimit'> };

/** Where a vote stands when `ballots` are cast and `spoiled` voters gave none that counts. */
export function verdictOf(vote: Vote, ballots: readonly CastBallot[], spoiled: number): Verdict {
  const voters = vote.agents.length;
  const [first, second] = tallyOf(ballots);
  if (first !== undefined && first.ballots >= ballotsNeeded(vote.quorum ?? 'majority', voters)) {
    return { kind: 'decided', choice: first.choice };
  }
  if (ballots.length + spoiled < voters) return { kind: 'open' };
  if (first === undefined) return { kind: 'undecided', why: 'noBallots' };
  return { kind: 'undecided', why: second?.ballots === first.ballots ? 'tie' : 'noQuorum' };
}

/** The step of a voter's ballot in envelopes and keys. */
export function ballotStep(step: string, voter: number): string {
  return `${step}/${voter}`;
}

/** The parts of a {@link ballotStep}; undefined for any other step. */
export function readBallotStep(step: string): { step: string; voter: number } | undefined {
  const match = /^([^/]+)\/([1-9]\d?)$/.exec(step);
  return match?.[1] === undefined ? undefined : { step: match[1], voter: Number(match[2]) };
}

/** By which the Web UI and the log know the timer of a vote. */
export function voteTimer(step: string): string {
  return `vote ${step}: time limit`;
}

/** The step of a {@link voteTimer}; undefined for any other timer. */
export function voteOfTimer(summary: string): string | undefined {
  return /^vote (.+): time limit$/.exec(summary)?.[1];
}

function sameChoice(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** Everything that is wrong with a candidate for a vote, as `[field, expected]`. */
export function voteProblems(vote: unknown): [field: string, expected: string][] {
  if (!isRecord(vote)) return [['vote', 'an object { agents, quorum?, choices?, timeLimit? }']];
  const { agents, quorum, choices, timeLimit, ...rest } = vote;
  const problems: [string, string][] = [];
  if (!isListOf(agents, VOTERS_MINIMUM, VOTERS_MAXIMUM) || agents.some((name) => typeof name !== 'string')) {
    problems.push(['vote.agents', `a list of ${VOTERS_MINIMUM} to ${VOTERS_MAXIMUM} agents' names`]);
  }
  if (quorum !== undefined && !QUORUMS.some((one) => one === quorum)) {
    problems.push(['vote.quorum', `one of ${QUORUMS.join(', ')}`]);
  }
  if (
    choices !== undefined &&
    (!isListOf(choices, 2, VOTERS_MAXIMUM) || choices.some((one) => jsonBytes(one) > CHOICE_MAXIMUM_BYTES))
  ) {
    problems.push(['vote.choices', `a list of 2 to ${VOTERS_MAXIMUM} values of at most 1 KiB`]);
  }
  if (
    timeLimit !== undefined &&
    !(typeof timeLimit === 'number' && timeLimit >= 1 && timeLimit <= TIME_LIMIT_MAXIMUM)
  ) {
    problems.push(['vote.timeLimit', 'milliseconds, from 1 to 30 days']);
  }
  for (const field of Object.keys(rest)) {
    problems.push([
      `vote.${field}`,
      'left out (the fields of a vote are agents, quorum, choices, timeLimit)',
    ]);
  }
  return problems;
}

const TIME_LIMIT_MAXIMUM = 30 * 24 * 60 * 60 * 1000;

function isListOf(value: unknown, minimum: number, maximum: number): value is unknown[] {
  return Array.isArray(value) && value.length >= minimum && value.length <= maximum;
}
