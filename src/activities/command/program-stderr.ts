/**
 * What a program writes to stderr. Owns what of it the worker's log and a failure get: values of the variables that it was given
 * stand in neither.
 */
import { stripVTControlCharacters } from 'node:util';
import { oneLine } from '../../core/one-line';
import type { AgentLog } from '../agent-context';

/** Shorter values, such as `1` or `debug`, are no secrets, and stand in any text. */
const SECRET_MINIMUM_LENGTH = 8;
/** In characters. */
const TAIL_LENGTH = 1000;
const LINE_LENGTH = 1000;
/** What an attempt writes to the log. */
const LINES_MAXIMUM = 1000;

/** Puts `[NAME]` in the place of values of `variables`, of 8 characters and more. */
export class Redaction {
  private readonly secrets: readonly (readonly [name: string, value: string])[];
  /** Of the longest value; 0 where there is none. */
  readonly length: number;

  constructor(variables: Readonly<Record<string, string>>) {
    this.secrets = Object.entries(variables)
      .flatMap(([name, value]) => formsOf(value).map((form) => [name, form] as const))
      .filter(([, value]) => value.length >= SECRET_MINIMUM_LENGTH)
      .toSorted(([, one], [, other]) => other.length - one.length);
    this.length = this.secrets[0]?.[1].length ?? 0;
  }

  of(text: string): string {
    return this.secrets.reduce((clean, [name, value]) => clean.replaceAll(value, `[${name}]`), text);
  }
}

/** Also its parts between blanks, such as the token after `Bearer`, and how it stands in JSON. */
function formsOf(value: string): string[] {
  return [value, ...value.split(/\s+/)].flatMap((part) => [part, JSON.stringify(part).slice(1, -1)]);
}

export class ProgramStderr {
  /** The end of what was written, which may be the beginning of a secret. */
  private pending = '';
  private line = '';
  private lines = 0;
  private kept = '';

  constructor(
    private readonly redaction: Redaction,
    private readonly log: AgentLog,
    private readonly program: string,
  ) {}

  take(text: string): void {
    this.pending = this.redaction.of(this.pending + text);
    this.pass(Math.max(0, this.pending.length - Math.max(0, this.redaction.length - 1)));
  }

  /** After the last of it. */
  end(): void {
    this.pass(this.pending.length);
    this.write(this.line);
    this.line = '';
  }

  /** The last of it, on one line of at most 1,000 characters. */
  get tail(): string {
    const text = oneLine(stripVTControlCharacters(this.kept), 2 * TAIL_LENGTH);
    return text.length <= TAIL_LENGTH ? text : `…${text.slice(1 - TAIL_LENGTH)}`;
  }

  private pass(length: number): void {
    const text = this.pending.slice(0, length);
    this.pending = this.pending.slice(length);
    this.kept = (this.kept + text).slice(-2 * TAIL_LENGTH);
    const [first = '', ...rest] = text.split('\n');
    this.line = (this.line + first).slice(0, LINE_LENGTH);
    for (const next of rest) {
      this.write(this.line);
      this.line = next.slice(0, LINE_LENGTH);
    }
  }

  private write(line: string): void {
    const text = oneLine(stripVTControlCharacters(line), LINE_LENGTH);
    if (text === '') return;
    this.lines += 1;
    if (this.lines <= LINES_MAXIMUM) this.log.info(text, { program: this.program });
    else if (this.lines === LINES_MAXIMUM + 1) {
      this.log.warn(`The program wrote more than ${LINES_MAXIMUM} lines to stderr; the rest is left out`, {
        program: this.program,
      });
    }
  }
}
