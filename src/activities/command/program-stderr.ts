/**
 * What a program writes to stderr. Owns what of it the worker's log and a failure get: values of the variables that it was given
 * stand in neither.
 */
import { stripVTControlCharacters } from 'node:util';
import { oneLine } from '../../core/one-line';
import { Secrets } from '../../core/secrets';
import type { AgentLog } from '../agent-context';

/** In characters. */
const TAIL_LENGTH = 1000;
const LINE_LENGTH = 1000;
/** What an attempt writes to the log. */
const LINES_MAXIMUM = 1000;

/** The values of `variables`, in whose places stands `[NAME]`. */
export function secretsOf(variables: Readonly<Record<string, string>>): Secrets {
  const secrets = new Secrets();
  for (const [name, value] of Object.entries(variables)) secrets.addParts(value, `[${name}]`);
  return secrets;
}

export class ProgramStderr {
  /** The end of what was written, which may be the beginning of a secret. */
  private pending = '';
  private line = '';
  private lines = 0;
  private kept = '';

  constructor(
    private readonly secrets: Secrets,
    private readonly log: AgentLog,
    private readonly program: string,
  ) {}

  take(text: string): void {
    this.pending = this.secrets.hide(this.pending + text);
    this.pass(Math.max(0, this.pending.length - Math.max(0, this.secrets.length - 1)));
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
