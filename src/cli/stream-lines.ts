import type { StreamedText } from '../client/task-stream';
import { AGGREGATE_STEP, PLAN_STEP } from '../core/names';
import type { LoggedTaskEvent } from '../core/task-projection';
import type { Output } from './output';

/** A line that does not end is broken about here, in characters. */
const LINE_LENGTH = 100;
/** As long as the time that stands before an event. */
const MARGIN = ' '.repeat(6);

/** Writes what agents stream as whole lines, those of several steps one after the other. */
export class StreamLines {
  /** By step: the line that is not whole yet. */
  private readonly begun = new Map<string, { readonly attempt: number; readonly text: string }>();
  /** By step: the last event of it, by the server's clock, in ms since 1970. */
  private readonly told = new Map<string, number>();

  constructor(private readonly output: Output) {}

  /** False where the step has come further since: then nothing is written. */
  write({ step, attempt, text, skipped, time }: StreamedText): boolean {
    if (time <= (this.told.get(partOf(step)) ?? 0)) return false;
    if (this.begun.get(step)?.attempt !== attempt) this.endLine(step);
    const before = this.begun.get(step)?.text ?? '';
    const lines = `${before}${skipped === undefined ? '' : '… '}${text}`.split('\n').flatMap(broken);
    this.begun.set(step, { attempt, text: lines.pop() ?? '' });
    for (const line of lines) this.line(step, line);
    return true;
  }

  /** Writes what there is of lines of the step that `event` is about, of which nothing more is to come. */
  end(event: LoggedTaskEvent): void {
    const step = aboutOf(event);
    if (step === undefined) return;
    this.told.set(step, Math.max(event.time, this.told.get(step) ?? 0));
    for (const begun of this.begun.keys()) if (partOf(begun) === step) this.endLine(begun);
  }

  private endLine(step: string): void {
    this.line(step, this.begun.get(step)?.text ?? '');
    this.begun.delete(step);
  }

  private line(step: string, text: string): void {
    const shown = text.replace(/\p{Cc}+/gu, ' ').trimEnd();
    if (shown === '') return;
    this.output.line(this.output.paint('dim', `${MARGIN}  ${step.padEnd(12)}  │ ${shown}`));
  }
}

/** Voters of a step, and the leader for it, are named `STEP/...`. */
function partOf(id: string): string {
  return id.split('/')[0] ?? id;
}

function aboutOf(event: LoggedTaskEvent): string | undefined {
  if ('step' in event) return typeof event.step === 'string' ? event.step : event.step.id;
  if (event.type === 'planned' || event.type === 'planFailed') return PLAN_STEP;
  return event.type === 'aggregated' || event.type === 'aggregateFailed' ? AGGREGATE_STEP : undefined;
}

/** At blanks, where there are any. */
function broken(line: string): string[] {
  const parts: string[] = [];
  let rest = line;
  while (rest.length > LINE_LENGTH) {
    const blank = rest.lastIndexOf(' ', LINE_LENGTH);
    const length = blank > 0 ? blank + 1 : LINE_LENGTH;
    parts.push(rest.slice(0, length));
    rest = rest.slice(length);
  }
  return [...parts, rest];
}
