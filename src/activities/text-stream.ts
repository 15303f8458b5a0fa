/**
 * What an attempt streams to those who follow its task, by its heartbeats. Owns how much of it a heartbeat carries, and when
 * one is sent for it; where it is read is the matter of the client's `task-stream.ts`.
 *
 * 1. How many characters there were never goes down, so that a reader knows what it has missed.
 * 2. Text that has been sent leaves the heartbeats soon: what an attempt timed out with, Temporal writes into the history.
 */
import { STREAM_INTERVAL, STREAM_TEXT_MAXIMUM, type StreamDetails } from '../core/text-stream';

/** All streams of a process have as many heartbeats sent as one each so many ms. */
const SHARED_INTERVAL = 125;
/** How long, in ms, a text that was sent is sent again, so that whoever looks now and then sees it. */
const SENT_FOR = 2000;

/** Streams of this process that have something to send. */
let waiting = 0;

export class TextStream {
  private characters = 0;
  private text = '';
  /** When the last of the text was first sent, in ms since 1970; undefined until then. */
  private sentAt: number | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** Of the heartbeat without the text. */
  private lastBeat: NodeJS.Timeout | undefined;
  private stopped = false;

  /** `beat` sends a heartbeat, with what {@link take} gives. */
  constructor(private readonly beat: () => void) {}

  write(text: string): void {
    if (text === '' || this.stopped) return;
    this.characters += text.length;
    this.text = (this.text + text).slice(-STREAM_TEXT_MAXIMUM);
    this.sentAt = undefined;
    if (this.timer !== undefined) return;
    waiting += 1;
    this.timer = setTimeout(() => this.send(), Math.max(STREAM_INTERVAL, waiting * SHARED_INTERVAL));
  }

  /** For the heartbeat that is sent now; undefined where nothing was streamed. */
  take(): StreamDetails | undefined {
    if (this.characters === 0) return undefined;
    this.sentAt ??= Date.now();
    if (Date.now() - this.sentAt > SENT_FOR) this.text = '';
    return { characters: this.characters, text: this.text };
  }

  /** Sends nothing more. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.lastBeat);
    this.settle();
  }

  private send(): void {
    this.settle();
    this.beat();
    clearTimeout(this.lastBeat);
    this.lastBeat = setTimeout(() => {
      if (this.timer === undefined) this.beat();
    }, SENT_FOR + 1);
  }

  private settle(): void {
    if (this.timer === undefined) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    waiting -= 1;
  }
}
