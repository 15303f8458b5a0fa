/** What an attempt streams, as its heartbeats carry it. */
import { isRecord } from './json';

/** The field `stream` of a heartbeat's details. */
export interface StreamDetails {
  /** How many there were since the attempt began. */
  readonly characters: number;
  /** The last of them; empty where none came for a while. */
  readonly text: string;
}

/** Characters that a heartbeat carries. */
export const STREAM_TEXT_MAXIMUM = 1024;
/** How often, in ms, an attempt is heard of at most. */
export const STREAM_INTERVAL = 500;

/** What the heartbeat with these details streams; undefined where that is nothing. */
export function streamIn(details: unknown): StreamDetails | undefined {
  const stream = isRecord(details) ? details['stream'] : undefined;
  if (!isRecord(stream)) return undefined;
  const { characters, text } = stream;
  return typeof characters === 'number' && typeof text === 'string' ? { characters, text } : undefined;
}
