/** A log in lines: of `log`, `show --events`, `state`, `diff` and `why`. */
import { stripVTControlCharacters } from 'node:util';
import type { ArtifactStore } from '../storage/artifact-store';
import { openArtifacts } from '../storage/open-artifacts';
import { load } from '../storage/stored-values';
import { inputInvalid, isCadreError } from '../core/failures';
import { TASK_EVENT_TYPES } from '../core/log/diff';
import { oneLine } from '../core/one-line';
import { type Stored, isArtifactReference } from '../core/stored';
import type { LoggedTaskEvent } from '../core/task-projection';
import { EventLines, whoOf } from './event-lines';
import type { OpenLog } from './log-source';
import { Output, count, size } from './output';

/** Which events of a log are wanted; left out, all are. */
export interface LogFilter {
  /** Those that this agent did, or was asked for. */
  readonly agent?: string;
  /** Types of events, with commas between them. */
  readonly type?: string;
  readonly step?: string;
}

/** True for an event that is wanted. Throws InputInvalid for a type that there is not. */
export function filterOf({ agent, type, step }: LogFilter): (event: LoggedTaskEvent) => boolean {
  const types = type?.split(',').map((one) => one.trim());
  const unknown = types?.find((one) => !TASK_EVENT_TYPES.includes(one));
  if (unknown !== undefined) {
    throw inputInvalid('--type', `types of events (${TASK_EVENT_TYPES.join(', ')})`, unknown);
  }
  return (event) =>
    (types === undefined || types.includes(event.type)) &&
    (step === undefined || stepOf(event) === step) &&
    (agent === undefined || event.actor === agent || ('agent' in event && event.agent === agent));
}

function stepOf(event: LoggedTaskEvent): string | undefined {
  if (!('step' in event)) return undefined;
  return typeof event.step === 'string' ? event.step : event.step.id;
}

/** Writes the events that are wanted, as they come: as lines, or for a program as JSON. Says where there are none. */
export async function writeEvents(
  events: AsyncIterable<LoggedTaskEvent>,
  isWanted: (event: LoggedTaskEvent) => boolean,
  output: Output,
): Promise<void> {
  const lines = new LogLines(output);
  let [written, all] = [0, 0];
  for await (const event of events) {
    all += 1;
    if (!isWanted(event)) lines.pass(event);
    else {
      written += 1;
      output.value(event);
      if (!output.json) lines.write(event);
    }
  }
  if (written === 0) output.line(all === 0 ? 'No events' : `None of its ${count(all, 'event')} is so`);
}

const COLUMNS = { number: 5, time: 23, cause: 5, event: 5, actor: 12, who: 12 } as const;

/** Writes events as lines under headings, as they come: each with its number, time, cause, event id, actor and step. */
class LogLines {
  private readonly words: EventLines;
  private runId: string | undefined;

  constructor(private readonly output: Output) {
    this.words = new EventLines(output, true);
  }

  /** Takes up what later lines say again; writes nothing. */
  pass(event: LoggedTaskEvent): void {
    this.words.words(event);
  }

  write(event: LoggedTaskEvent): void {
    const { number, time, cause, eventId, actor, runId } = event;
    const text = this.words.words(event) ?? event.type;
    if (this.runId === undefined) {
      const names = ['#', 'TIME (UTC)', 'CAUSE', 'EVENT', 'ACTOR', 'STEP', 'WHAT'] as const;
      this.output.line(this.output.paint('dim', line(...names)));
    } else if (this.runId !== runId) {
      this.output.line(this.output.paint('dim', `${' '.repeat(COLUMNS.number)}  run ${runId}`));
    }
    this.runId = runId;
    const instant = new Date(time).toISOString().slice(0, 23);
    const from = cause === undefined ? '–' : `#${cause}`;
    this.output.line(line(String(number), instant, from, String(eventId), actor, whoOf(event), text));
  }
}

function line(
  number: string,
  time: string,
  cause: string,
  event: string,
  actor: string,
  who: string,
  text: string,
): string {
  const cells = [
    number.padStart(COLUMNS.number),
    time.padEnd(COLUMNS.time),
    cause.padStart(COLUMNS.cause),
    event.padStart(COLUMNS.event),
    actor.padEnd(COLUMNS.actor),
    who.padEnd(COLUMNS.who),
    text,
  ];
  return cells.join('  ').trimEnd();
}

/** The store that the outputs of a log are in: the session's, or the one that this process would use. */
export function artifactsOf({ session }: OpenLog): ArtifactStore {
  return session?.client.artifacts ?? openArtifacts();
}

/** A stored value, or why it cannot be had. */
export type Loaded =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'missing'; readonly artifact: string; readonly bytes: number };

/** What `stored` stands for; a value that is not in the store is named, and not thrown. */
export async function loaded(artifacts: ArtifactStore, stored: Stored): Promise<Loaded> {
  try {
    return { kind: 'value', value: await load(artifacts, stored) };
  } catch (error) {
    if (!isArtifactReference(stored) || !isCadreError(error) || error.type !== 'ArtifactMissing') throw error;
    return { kind: 'missing', artifact: stored.artifact, bytes: stored.bytes };
  }
}

/** A stored value on one line. */
export function loadedWords(value: Loaded, maximum: number): string {
  if (value.kind === 'missing') {
    return `not in the artifact store here: ${value.artifact.slice(0, ARTIFACT_SHOWN)}… (${size(value.bytes)})`;
  }
  return valueWords(value.value, maximum);
}

/** A value as JSON on one line, a text as itself in quotation marks. */
export function valueWords(value: unknown, maximum: number): string {
  return value === undefined ? '–' : oneLine(JSON.stringify(value), maximum);
}

/** `sha256:` and so much of the digest as tells values apart. */
const ARTIFACT_SHOWN = 19;

/** What happened, in words by themselves: without what the events before it would add, and without colours. */
export function eventWords(event: LoggedTaskEvent): string {
  const words = new EventLines(new Output(false), true).words(event) ?? event.type;
  return stripVTControlCharacters(words);
}
