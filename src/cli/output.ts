/** How the CLI writes. Lines are appended, never redrawn: they read the same on a terminal, in CI and in a README. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Styles, which stay, and all control characters but tabs and ends of lines. */
// oxlint-disable-next-line no-control-regex -- styles begin with a control character.
const CONTROL = /(\u001b\[[\d;]*m)|[^\P{Cc}\n\t]/gu;

/** Writes results to standard output, and nothing but JSON there where `--json` was given. */
export class Output {
  constructor(readonly json: boolean) {}

  /**
   * A line for a person; goes to standard error where standard output holds JSON. Much of it is text of others: what would
   * say anything to a terminal but text and styles is left out.
   */
  line(text = ''): void {
    const shown = text.replace(CONTROL, (_found, style: string | undefined) => style ?? '');
    (this.json ? process.stderr : process.stdout).write(`${shown}\n`);
  }

  /** Rows in aligned columns, indented, after an empty line. */
  table(rows: readonly (readonly string[])[]): void {
    this.line();
    for (const line of table(rows)) this.line(`  ${line}`);
  }

  /** A value for a program, on one line; nothing unless `--json` was given. */
  value(value: unknown): void {
    if (this.json) process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** `text` in a style, where the terminal has colours and nobody asked for none. */
  paint(style: Style, text: string): string {
    const stream = this.json ? process.stderr : process.stdout;
    return stream.isTTY && process.env['NO_COLOR'] === undefined ? styleText(style, text) : text;
  }
}

/** Rows in aligned columns; the last column is not padded. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length);
  }
  return rows.map((row) =>
    row
      .map((text, column) => (column === row.length - 1 ? text : text.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** A time in ms since 1970, in UTC: `2026-01-31T12:00:00`; a dash where there is none. */
export function stamp(time: number | undefined): string {
  return time === undefined ? '–' : new Date(time).toISOString().slice(0, 19);
}

export { countOf as count } from '../core/count-of';

/** A duration in ms as a person reads it: `80 ms`, `1.4 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const UNITS = [
  ['d', 24 * 60 * 60 * 1000],
  ['h', 60 * 60 * 1000],
  ['min', 60 * 1000],
  ['s', 1000],
] as const;

/** A limit in ms in the largest unit that has it as a whole number: `2 d`, `90 min`, `1500 ms`. */
export function limit(milliseconds: number): string {
  const [name, unit] = UNITS.find(([, length]) => milliseconds >= length && milliseconds % length === 0) ?? [
    'ms',
    1,
  ];
  return `${milliseconds / unit} ${name}`;
}

/** A size in bytes as a person reads it. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
