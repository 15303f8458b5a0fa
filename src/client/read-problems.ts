/** What a reading of a history could not read, so that it can be named. */
import type { HistoryFact } from '../core/history-facts';

/** One thing that could not be read. */
export interface ReadProblem {
  /**
   * `unknownEvent`: an event of a kind that this version does not know. `payload`: one with a payload that cannot be
   * decoded, such as an encrypted one. `damaged`: a line of a file that is not what it should be. `cutOff`: the file
   * ends too early. `earlierRuns`: the history goes on from a run that is not there, such as one past its retention.
   */
  readonly kind: 'unknownEvent' | 'payload' | 'damaged' | 'cutOff' | 'earlierRuns';
  /** How many there are of it; the rest says where the first is. */
  readonly count: number;
  readonly runId?: string;
  /** Temporal's event id within the run. */
  readonly eventId?: number;
  /** Of the file, from 1. */
  readonly line?: number;
  /** In words, on one line. */
  readonly message: string;
}

type Found = Omit<ReadProblem, 'count' | 'message'> & { readonly words: (count: number) => string };

/** The problems of one reading, like ones counted together. */
export class ReadProblems {
  private readonly found = new Map<string, { first: Found; count: number }>();
  private facts = 0;

  get list(): readonly ReadProblem[] {
    return [...this.found.values()].map(({ first: { words, ...first }, count }) => ({
      ...first,
      count,
      message: words(count),
    }));
  }

  /** Notes what `fact` says could not be read. */
  note(fact: HistoryFact): void {
    this.facts += 1;
    const { runId, eventId } = fact;
    if (fact.kind === 'unread') {
      const { eventType, why } = fact;
      const where = `event ${eventId}${runId === '' ? '' : ` of run ${runId}`}`;
      const kind = why === 'payload' ? 'payload' : 'unknownEvent';
      this.add(`${kind} ${eventType}`, {
        kind,
        runId,
        eventId,
        words: (count) =>
          kind === 'payload'
            ? `payloads of ${eventType} cannot be decoded: ${where}${more(count)}`
            : `events of the type ${eventType} are not known to this version: ${where}${more(count)}`,
      });
    } else if (fact.kind === 'workflowStarted' && this.facts === 1 && fact.continuedFrom !== undefined) {
      this.add('earlierRuns', {
        kind: 'earlierRuns',
        runId: fact.continuedFrom,
        words: () =>
          `the history begins with run ${runId}; the runs before it, up to ${fact.continuedFrom}, are gone`,
      });
    }
  }

  damaged(line: number, message: string): void {
    this.add(`damaged ${message}`, {
      kind: 'damaged',
      line,
      words: (count) => `line ${line}: ${message}${more(count)}`,
    });
  }

  cutOff(line: number, message: string): void {
    this.add('cutOff', { kind: 'cutOff', line, words: () => message });
  }

  private add(key: string, problem: Found): void {
    const before = this.found.get(key);
    if (before === undefined) this.found.set(key, { first: problem, count: 1 });
    else before.count += 1;
  }
}

function more(count: number): string {
  return count === 1 ? '' : `, and ${count - 1} more`;
}
