import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Quote } from '../../../src/activities/threads/find-differences';

/**
 * Whether a quotation's characters stand in its file, from the cited line on, with nothing but markup and
 * whitespace between them. Knows nothing of the readers under test.
 */
export function standsInSource(docs: string, quote: Quote): boolean {
  const source = readFileSync(join(docs, quote.file), 'utf8').replace(/^\uFEFF/, '');
  const lines = source.split(/\r\n|\n|\r/);
  const visible = /\.html?$/.test(quote.file) ? visibleHtml : visibleMarkdown;
  const from = visible(lines.slice(quote.line - 1).join('\n'));
  const first = visible(lines[quote.line - 1] ?? '');
  const at = from.indexOf(bare(quote.text));
  return at >= 0 && at < Math.max(1, first.length);
}

function visibleMarkdown(source: string): string {
  return bare(
    source
      .replace(/^(?:[ \t]*>)+ ?/gm, '')
      .replace(/!\[[^\]\n]*\]\([^)\n]*\)/g, '')
      .replace(/\]\((?:[^()\n]|\([^()\n]*\))*\)/g, ']')
      .replace(/\]\[[^\]\n]*\]/g, ']'),
  );
}

function visibleHtml(source: string): string {
  const entities: Record<string, string> = {
    rsquo: '’',
    euro: '€',
    nbsp: '\u00a0',
    amp: '&',
    copy: '©',
    lt: '<',
    gt: '>',
  };
  return bare(
    source.replace(/<[^>]*>/g, '').replace(/&(\w+);/g, (whole, name: string) => entities[name] ?? whole),
  );
}

function bare(text: string): string {
  return text.replace(/[\s*_[\]|~\\]/g, '');
}
