import { REFUSAL_WORDS, waitsFor } from '../core/breaker/refusal';
import { countOf } from '../core/count-of';
import { CALL_REPEATED, type Decision, FELL_BACK, TIME_EXPECTED } from '../core/decision';
import type { FailureInfo } from '../core/failures';
import { assertNever } from '../core/json';
import type { Stored } from '../core/stored';
import type { PendingStep } from '../client/task-handle';
import { LEADER_WORK } from '../core/names';
import { oneLine } from '../core/one-line';
import { answerCommand, resolveCommand, shortHash } from '../core/task-details';
import type { ReturnReason } from '../core/task-events';
import type { Undecided } from '../core/vote';
import type { LoggedTaskEvent } from '../core/task-projection';
import { usageIn } from '../core/task-usage';
import { type Output, duration } from './output';
import { usageWords } from './usage-words';
import { isStandIn } from './without-model';

const LINE_MAXIMUM_LENGTH = 160;
/** A failover takes about so long, in ms. */
const WAIT_MINIMUM = 3000;
const RETURNED = {
  handedBack: 'the leader handed over',
  heartbeatLost: 'the leader was lost',
  staleTerm: 'done by a leader that was replaced',
  refused: "the leader's agent may not ask yet",
} as const satisfies Record<ReturnReason, string>;

const UNDECIDED = {
  tie: 'a tie',
  noQuorum: 'no quorum',
  noBallots: 'no answer that counts',
  timeLimit: 'no quorum in time',
} as const satisfies Record<Undecided, string>;

/** Turns a task's events into lines for a person. */
export class EventLines {
  private startedAt: number | undefined;
  /** When the waits that were told of began. */
  private readonly waits = new Set<number>();
  private readonly decisions = new Map<string, Stored<readonly Decision[]>>();
  /** Steps whose outcome was told with the vote. */
  private readonly votes = new Set<string>();
  /** By step: the attempt that was told of. */
  private readonly attempts = new Map<string, number>();

  /**
   * With `every` each event has its line; without, only those that mark progress. With the task's `id` a line that asks
   * something of a person is followed by what to type.
   */
  constructor(
    private readonly output: Output,
    private readonly every: boolean,
    private readonly id?: string,
  ) {}

  /** Tells of attempts that failed since the last call, while their steps are still tried. */
  writeRetries(pending: readonly PendingStep[]): void {
    for (const { step, attempt, lastFailure } of pending) {
      if (attempt <= (this.attempts.get(step) ?? 1)) continue;
      this.attempts.set(step, attempt);
      const text = `attempt ${attempt - 1} failed: ${oneLine(lastFailure ?? 'no reason given', LINE_MAXIMUM_LENGTH)}; trying again`;
      this.line(Date.now(), step, this.output.paint('yellow', text));
    }
  }

  /** Says once of each wait that the leader's work waits because nobody leads. */
  writeWaits(pending: readonly PendingStep[]): void {
    for (const { step, agent, kind, since } of pending) {
      const forLeader = LEADER_WORK.some((work) => work === agent);
      if (!forLeader || kind === 'started' || Date.now() - since < WAIT_MINIMUM || this.waits.has(since))
        continue;
      this.waits.add(since);
      this.line(Date.now(), step, this.output.paint('yellow', 'waits for a leader (see `cadre leader`)'));
    }
  }

  write(event: LoggedTaskEvent): void {
    this.startedAt ??= event.time;
    const text = this.words(event);
    if (text === undefined) return;
    this.line(event.time, whoOf(event), text);
    const command = this.id === undefined ? undefined : commandFor(this.id, event);
    if (command !== undefined) this.output.line(`        → ${command}`);
  }

  /** What there is to say of an event, given those before it; undefined where that is nothing. */
  words(event: LoggedTaskEvent): string | undefined {
    if (event.type === 'voteDecided') this.votes.add(event.step);
    if (event.type === 'decisionsRecorded') this.decisions.set(event.step, event.decisions);
    const text = this.every ? this.full(event) : this.brief(event);
    if (text === undefined) return undefined;
    const usage = usageIn(event);
    return `${text}${usage === undefined ? '' : ` (${usageWords(usage)})`}${repeatedWords(event)}`;
  }

  private line(time: number, who: string, text: string): void {
    const seconds = `${(Math.max(0, time - (this.startedAt ?? time)) / 1000).toFixed(1)}s`;
    this.output.line(`${this.output.paint('dim', seconds.padStart(6))}  ${who.padEnd(12)}  ${text}`);
  }

  private brief(event: LoggedTaskEvent): string | undefined {
    switch (event.type) {
      case 'planned': {
        const agents = new Map<string, number>();
        for (const agent of event.plan.steps.flatMap(({ agent: name = 'vote' }) => name))
          agents.set(agent, (agents.get(agent) ?? 0) + 1);
        const parts = [...agents].map(([agent, count]) => `${count} ${agent}`);
        const { length } = event.plan.steps;
        const term = event.term === 0 ? '' : ` (term ${event.term})`;
        return `${countOf(length, 'step')}: ${parts.join(', ')}${term}${toldOf(event.decisions)}`;
      }
      case 'stepCompleted':
        return this.votes.has(event.step) ? undefined : (this.rationale(event.step) ?? 'done');
      case 'stepRetried': {
        if (this.attempts.has(event.step) && !this.every) return undefined;
        const times = event.attempts === 1 ? 'once' : `${event.attempts} times`;
        return this.output.paint(
          'yellow',
          `tried ${times} before: ${event.failure?.message ?? 'no reason given'}`,
        );
      }
      case 'stepFailed':
      case 'planFailed':
      case 'assignFailed':
      case 'arbitrationFailed':
      case 'aggregateFailed':
        return this.output.paint('red', `failed: ${this.failureWords(event.failure)}`);
      case 'leaderWorkReturned':
        return event.retryAfter === undefined
          ? `${RETURNED[event.why]}; asked of the next (${event.work})`
          : `${RETURNED[event.why]}; asked again in ${duration(event.retryAfter)} (${event.work})`;
      case 'assigned':
        return `goes to ${event.agent}${isStandIn(event.agent) ? ', which asks no model' : ''}: ${event.reason} (term ${event.term})`;
      case 'notAssigned':
        // Else the failure, which its line says, is all there is to know.
        return this.every ? `nobody else: ${event.reason}` : undefined;
      case 'ballotCast':
        return `${event.late ? 'too late: ' : ''}${event.agent} votes ${choiceText(event.choice)}${event.reason === undefined ? '' : `: ${oneLine(event.reason, LINE_MAXIMUM_LENGTH)}`}`;
      case 'ballotSpoiled':
        return this.output.paint('yellow', `no vote of ${event.agent}: ${event.failure.message}`);
      case 'voteTimedOut':
        return 'the time to vote is over';
      case 'arbitrationRequested':
        return `${UNDECIDED[event.why]}: the leader decides`;
      case 'voteDecided':
        return `${choiceText(event.outcome.choice)}, ${event.outcome.by === 'quorum' ? 'by quorum' : `by the leader: ${event.outcome.reason ?? ''}`} (term ${event.outcome.term})`;
      case 'stepCancelled':
      case 'taskCancelled':
        return 'cancelled';
      case 'stepRefused':
      case 'ballotRefused': {
        const who = event.type === 'ballotRefused' ? `${event.agent} ` : '';
        const { why, retryAfter } = event;
        const text = `${who}waits ${duration(retryAfter)} for ${waitsFor(event)}: ${REFUSAL_WORDS[why]}`;
        return this.output.paint('yellow', text);
      }
      case 'stepFellBack':
        return `goes to ${event.agent}, the fallback of ${event.from}: of its breaker ${event.breaker}, ${REFUSAL_WORDS[event.why]}`;
      case 'stepHandedBack':
        return 'handed back by a worker that stops; goes on at another';
      case 'compensationScheduled':
        return event.outcome === 'completed' ? 'is undone' : 'is undone, whether or not it happened';
      case 'compensated':
        return 'undone';
      case 'compensationFailed':
        return this.output.paint('red', `cannot be undone: ${event.failure.message}; needs attention`);
      case 'stepResolved':
      case 'compensationResolved':
        return `${event.how}${noteText(event.note)}`;
      case 'approvalRequested':
        return this.output.paint('yellow', `asks for approval of its input ${shortHash(event.hash)}`);
      case 'approvalAnswered':
        return `${event.answer === 'yes' ? 'approved' : 'refused'}${byText(event.by)}${noteText(event.note)}`;
      case 'questionAsked':
        return this.output.paint('yellow', `asks: ${oneLine(event.question, LINE_MAXIMUM_LENGTH)}`);
      case 'questionAnswered': {
        const answer = oneLine(event.answer, LINE_MAXIMUM_LENGTH);
        return `answered${byText(event.by)}: ${answer}${event.note === '' ? '' : ` (${oneLine(event.note, LINE_MAXIMUM_LENGTH)})`}`;
      }
      case 'approvalTimedOut':
      case 'questionExpired':
        return this.output.paint('yellow', 'nobody answered in time');
      case 'approvalWithdrawn':
      case 'questionWithdrawn':
        return 'asks no more';
      case 'stepParked':
        return this.output.paint('red', `failed: ${event.failure.message}; needs attention`);
      case 'lockAcquired':
        return `holds the lock ${event.key}`;
      case 'lockRefused':
        return this.output.paint('red', event.failure.message);
      case 'rememberFailed':
        return this.output.paint('yellow', `its agents were not told: ${event.failure.message}`);
      case 'timeLimitReached':
        return this.output.paint('yellow', 'the time limit is over');
      case 'cancelRequested':
        return 'cancel requested';
      case 'continuedAsNew':
        return 'goes on in a new run, to keep the history short';
      case 'taskTerminated':
        return this.output.paint('red', event.how === 'timedOut' ? 'timed out' : 'terminated');
      case 'taskStarted':
      case 'taskResumed':
      case 'pinned':
      case 'stepAdded':
      case 'lockRequested':
      case 'compensationStarted':
      case 'planRequested':
      case 'assignRequested':
      case 'ballotRequested':
      case 'ballotWithdrawn':
      case 'aggregateRequested':
      case 'aggregated':
      case 'stepScheduled':
      case 'stepStarted':
      case 'decisionsRecorded':
      case 'remembered':
      case 'taskCompleted':
      case 'taskFailed':
        return undefined;
      default:
        return assertNever(event);
    }
  }

  /** What a budget allows and what was used the task's end says, and says alone. */
  private failureWords({ message, short }: FailureInfo): string {
    return short === undefined || this.every ? message : 'it would use more than its budget allows';
  }

  private full(event: LoggedTaskEvent): string {
    const { type } = event;
    if (type === 'stepStarted' || type === 'compensationStarted')
      return `${type} attempt ${event.attempt} on ${event.worker}`;
    if (type === 'decisionsRecorded') return `${type} ${describeDecisions(event.decisions)}`;
    if (type === 'taskFailed') return `${type} ${event.failure.type}: ${event.failure.message}`;
    if (type === 'ballotRequested' || type === 'ballotWithdrawn') return `${type} of ${event.agent}`;
    if (type === 'aggregated') return `${type} by ${event.by} (term ${event.term})`;
    const brief = this.brief(event);
    return brief === undefined ? type : `${type} ${brief}`;
  }

  private rationale(step: string): string | undefined {
    const decisions = this.decisions.get(step);
    return decisions !== undefined && 'value' in decisions ? decisions.value.at(-1)?.rationale : undefined;
  }
}

function choiceText(choice: unknown): string {
  return oneLine(typeof choice === 'string' ? choice : JSON.stringify(choice), LINE_MAXIMUM_LENGTH);
}

function describeDecisions(decisions: Stored<readonly Decision[]>): string {
  if (!('value' in decisions)) return `${decisions.bytes} bytes in the artifact store`;
  return decisions.value.map(({ type, rationale }) => `${type}: ${rationale}`).join('; ');
}

function noteText(note: string): string {
  return note === '' ? '' : `: ${oneLine(note, LINE_MAXIMUM_LENGTH)}`;
}

function byText(by = ''): string {
  return by === '' ? '' : ` by ${oneLine(by, LINE_MAXIMUM_LENGTH)}`;
}

/** What a person is to type about `event`, where it asks for one. */
function commandFor(id: string, event: LoggedTaskEvent): string | undefined {
  if (event.type === 'approvalRequested') return answerCommand(id, event);
  if (event.type === 'questionAsked') {
    return answerCommand(id, { ...event, options: event.options ?? [] });
  }
  const parked = event.type === 'stepParked' || event.type === 'compensationFailed';
  return parked ? resolveCommand(id, event.step) : undefined;
}

/** Of what is kept in the artifact store nothing. */
function madeOf(decisions: Stored<readonly Decision[]> | undefined): readonly Decision[] {
  return decisions !== undefined && 'value' in decisions ? decisions.value : [];
}

/** What it says of calls that were paid again, or may have been; of a step's output its decisions say it. */
function repeatedWords(event: LoggedTaskEvent): string {
  const made = 'decisions' in event && event.type !== 'decisionsRecorded' ? madeOf(event.decisions) : [];
  const failed = 'failure' in event && event.type !== 'taskFailed' ? event.failure?.repeated : undefined;
  return [...made, ...(failed ?? [])]
    .filter(({ type }) => type === CALL_REPEATED)
    .map(({ rationale }) => `; ${rationale}`)
    .join('');
}

/** What is told beside a plan of how it came about: how long it will take, and who made it for whom, if anything. */
function toldOf(decisions: Stored<readonly Decision[]> | undefined): string {
  return madeOf(decisions)
    .filter(({ type }) => type === TIME_EXPECTED || type === FELL_BACK)
    .map(({ rationale }) => `; ${oneLine(rationale, LINE_MAXIMUM_LENGTH)}`)
    .join('');
}

/** What an event is about, in a word: its step, who planned, or `task`. */
export function whoOf(event: LoggedTaskEvent): string {
  if ('step' in event) return typeof event.step === 'string' ? event.step : event.step.id;
  return event.type === 'planned' ? event.by : event.type === 'planFailed' ? event.actor : 'task';
}
