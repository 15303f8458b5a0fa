import { type Note, byCodeUnit } from '../documents/document';
import { locatorOf, placeOf } from '../documents/locator';
import type { Analysis, Finding, Gap } from '../threads/analyse';
import type { Difference, Quote } from '../threads/find-differences';
import { countOf } from '../../core/count-of';

const NOTES_APART = 3;

/** A report and the sentences it cites, in its order. */
export interface Report {
  /** Markdown. */
  readonly report: string;
  readonly cited: Quote[];
}

/** An answer in another's words, each sentence with the sources that support it. */
export interface Written {
  /** Who wrote it. */
  readonly by: string;
  readonly short: readonly WrittenSentence[];
  readonly sections: readonly { readonly title: string; readonly sentences: readonly WrittenSentence[] }[];
}

interface WrittenSentence {
  readonly text: string;
  readonly quotes: readonly Quote[];
}

/**
 * Composes the report. All it says about the matter are sentences of the sources, each with the place where
 * it stands, unless somebody has `written` the answer from them; its own words are headings and what it says about files.
 * `unconfirmed` are quotations that no longer stand where they stood; `notes` say how it came about.
 */
export function composeReport(
  question: string,
  analysis: Analysis,
  unconfirmed: readonly Quote[],
  written?: Written,
  notes: readonly string[] = [],
): Report {
  const composer = new Composer(analysis, unconfirmed);
  composer.title(question);
  if (written === undefined) {
    composer.shortAnswer();
    composer.findings();
  } else composer.written(written);
  composer.differences();
  composer.gaps();
  composer.notes(notes);
  composer.sources(written?.by);
  return { report: composer.text(), cited: composer.cited };
}

class Composer {
  readonly cited: Quote[] = [];
  private readonly sections: string[] = [];
  private readonly short: readonly Finding[];
  private readonly changed: ReadonlySet<string>;

  constructor(
    private readonly analysis: Analysis,
    unconfirmed: readonly Quote[],
  ) {
    const each = analysis.parts.length === 1 ? 2 : 1;
    this.short = analysis.parts.flatMap((_, part) =>
      analysis.findings.filter((finding) => finding.part === part).slice(0, each),
    );
    this.changed = new Set(unconfirmed.map((quote) => quote.file));
  }

  title(question: string): void {
    this.sections.push(`# ${escaped(onOneLine(question))}`);
  }

  shortAnswer(): void {
    if (this.short.length === 0) return this.noAnswer();
    this.section(
      'Short answer',
      this.short.map((finding) => this.bullet(finding, this.doubt(finding))),
    );
  }

  written({ short, sections }: Written): void {
    if (short.length + sections.length === 0) return this.noAnswer();
    const lines = (sentences: readonly WrittenSentence[]): string[] =>
      sentences.map(({ text, quotes }) => {
        const doubt = quotes.map((quote) => this.doubt(quote)).find((words) => words !== '') ?? '';
        return `- ${escaped(onOneLine(text))} ${quotes.map((quote) => this.cite(quote)).join(' ')}${doubt}`;
      });
    this.section('Short answer', lines(short));
    for (const { title, sentences } of sections) this.section(escaped(onOneLine(title)), lines(sentences));
  }

  private noAnswer(): void {
    const read = countOf(this.analysis.filesRead, 'document');
    this.sections.push(`None of the ${read} read answers this question.`);
  }

  /** A sentence of the short answer comes again only with those of other files that support it. */
  findings(): void {
    const agreed = this.analysis.findings.filter((finding) => finding.support.length > 0);
    const single = this.analysis.findings.filter((finding) => {
      return finding.support.length === 0 && !this.short.includes(finding) && !this.differs(finding);
    });
    this.section(
      'What the sources agree on',
      agreed.map((finding) => this.agreement(finding)),
    );
    const title =
      agreed.length + this.analysis.differences.length > 0 ? 'What one source says' : 'What the sources say';
    this.section(
      title,
      single.map((finding) => this.bullet(finding)),
    );
  }

  differences(): void {
    this.section(
      'Sources differ — check',
      this.analysis.differences.map((difference) => {
        const { left, right } = difference;
        return [`- **${subject(difference)}**`, `  ${this.bullet(left)}`, `  ${this.bullet(right)}`].join(
          '\n',
        );
      }),
    );
  }

  gaps(): void {
    this.section('What the sources do not answer', this.analysis.gaps.map(gapLine));
  }

  notes(more: readonly string[]): void {
    const formats = Object.entries(this.analysis.otherFormats).map(
      ([format, count]) => `${count} .${format}`,
    );
    const notes = [...more.map((note) => `- ${escaped(note)}`), ...groupedNotes(this.analysis.notes)];
    if (formats.length > 0) notes.push(`- Not a supported format yet: ${code(formats.join(', '))}`);
    for (const file of [...this.changed].sort(byCodeUnit)) {
      notes.push(
        `- ${code(file)}: changed after it was read; its ${placeOf(file)} numbers are those of the state that was read`,
      );
    }
    this.section('Notes', notes);
  }

  /** `by`: who wrote the answer, where the sources' own sentences are not it. */
  sources(by?: string): void {
    const counts = new Map<string, number>();
    for (const { file } of this.cited) counts.set(file, (counts.get(file) ?? 0) + 1);
    const files = [...counts].sort(([left], [right]) => byCodeUnit(left, right));
    this.section(
      'Sources',
      files.map(([file, count]) => `- ${code(file)}: ${countOf(count, 'sentence')}`),
    );
    if (files.length === 0) return;
    const read = countOf(this.analysis.filesRead, 'document');
    const places = [...new Set(files.map(([file]) => placeOf(file)))].sort();
    const place = places.length === 1 ? places[0] : 'place';
    const how =
      by === undefined
        ? `Every sentence is quoted from the ${place} it cites.`
        : `Written by ${escaped(by)}; every sentence was compared with the ${place} it cites.`;
    this.sections.push(`${read} read, ${files.length} cited. ${how}`);
  }

  text(): string {
    return `${this.sections.join('\n\n')}\n`;
  }

  private section(title: string, lines: readonly string[]): void {
    if (lines.length > 0) this.sections.push(`## ${title}\n\n${lines.join('\n')}`);
  }

  /** The same sentence in several files stands once, with all places. */
  private agreement(finding: Finding): string {
    const same = finding.support.filter((quote) => quote.text === finding.text);
    const others = finding.support.filter((quote) => quote.text !== finding.text);
    const first = [this.bullet(finding), ...same.map((quote) => this.cite(quote))].join(' ');
    return [first + this.doubt(finding), ...others.map((quote) => `  ${this.bullet(quote)}`)].join('\n');
  }

  private bullet(quote: Quote, doubt = ''): string {
    return `- ${escaped(quote.text)} ${this.cite(quote)}${doubt}`;
  }

  private cite(quote: Quote): string {
    this.cited.push({ text: quote.text, file: quote.file, line: quote.line });
    return code(locatorOf(quote));
  }

  private doubt(quote: Quote): string {
    return this.differs(quote) ? ' (sources differ, see below)' : '';
  }

  private differs(quote: Quote): boolean {
    const same = (other: Quote): boolean => {
      return other.file === quote.file && other.line === quote.line && other.text === quote.text;
    };
    return this.analysis.differences.some(({ left, right }) => same(left) || same(right));
  }
}

/** One line a file, or one for all files where more than {@link NOTES_APART} have the same note. */
function groupedNotes(notes: readonly Note[]): string[] {
  const files = new Map<string, string[]>();
  for (const { file, problem } of notes) files.set(problem, [...(files.get(problem) ?? []), file]);
  return [...files].flatMap(([problem, all]) => {
    if (all.length <= NOTES_APART) return all.map((file) => `- ${code(file)}: ${problem}`);
    const shown = all.slice(0, NOTES_APART).map(code).join(', ');
    return [`- ${shown} and ${all.length - NOTES_APART} more: ${problem}`];
  });
}

function subject({ kind, left, right }: Difference): string {
  const [one, other] = [escaped(left.says), escaped(right.says)];
  if (kind === 'negation') return `One says it is so, the other denies it: ${one} / ${other}`;
  return `${one} / ${other}`;
}

function gapLine({ part, missing }: Gap): string {
  const words = missing.map((word) => `“${escaped(word)}”`).join(', ');
  const why = missing.length === 0 ? 'no source brings these words together' : `no source mentions ${words}`;
  return `- “${escaped(part)}”: ${why}`;
}

/** A code span, whatever `text` holds: file names may hold brackets, backquotes and line ends. */
function code(text: string): string {
  // oxlint-disable-next-line no-control-regex -- a line end in a file name would end the line of the report.
  const line = text.replace(/[\u0000-\u001f\u007f]/g, '\uFFFD');
  if (!line.includes('`')) return `\`${line}\``;
  const longest = Math.max(...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence} ${line} ${fence}`;
}

/** What would turn quoted text into a list, a heading, HTML, a link or emphasis. */
const MARKUP =
  /^[#+>-](?=\s)|(?<=^\d{1,9})[.)](?=\s)|<(?=[\p{L}/!?])|\[(?=[^\]]*\]\()|\\(?=\p{P})|\*(?=\S)|(?<=\S)\*|(?<![\p{L}\p{N}])_(?=\S)|(?<=\S)_(?![\p{L}\p{N}])/gu;

function onOneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** Quoted text stays text: only code spans keep their meaning. */
function escaped(text: string): string {
  return text
    .split(/(`[^`]+`)/)
    .map((piece, index) => (index % 2 === 1 ? piece : piece.replace(MARKUP, '\\$&')))
    .join('');
}
