import { z } from 'zod';
import type { Shard } from '../documents/shards';
import type { Analysis } from '../threads/analyse';
import type { ShardFindings } from '../threads/find-passages';

/** What the embedded agents pass on to each other. The types come from the code that makes the values. */

export const questionSchema = z.string().trim().min(1);
export const docsSchema = z.string().min(1);

const note = z.object({ file: z.string(), problem: z.string() });
/** In a PDF a page, in DOCX a paragraph. */
const line = z.int().min(1);
const count = z.int().min(0);
const quote = z.object({ text: z.string(), file: z.string(), line });
const formats = z.record(z.string(), count);

export const shardSchema = z
  .object({
    index: count,
    of: z.int().min(1),
    from: z.string().optional(),
    before: z.string().optional(),
  })
  .describe(
    'A share of the documents, by path: from `from` up to but not including `before`',
  ) satisfies z.ZodType<Shard>;

export const statisticsSchema = z
  .object({ passages: count, words: count, containing: z.array(count) })
  .describe('What passages are ranked by: how many there are, their words, and how many name each concept');

export const shardFindingsSchema = z.object({
  filesRead: count,
  candidates: z.array(
    z.object({
      file: z.string(),
      lines: z.tuple([line, line]),
      headings: z.array(z.string()),
      words: count,
      counts: z.array(z.number().min(0)),
      sentences: z.array(z.object({ text: z.string(), line, kind: z.enum(['paragraph', 'item', 'row']) })),
    }),
  ),
  statistics: statisticsSchema,
  notes: z.array(note),
  notesOmitted: count.default(0),
  otherFormats: formats,
}) satisfies z.ZodType<ShardFindings>;

const claim = quote.extend({ says: z.string() });

export const analysisSchema = z.object({
  parts: z.array(z.string()),
  findings: z.array(quote.extend({ part: count, support: z.array(quote) })),
  differences: z.array(
    z.object({ kind: z.enum(['number', 'negation', 'opposite']), left: claim, right: claim }),
  ),
  gaps: z.array(z.object({ part: z.string(), missing: z.array(z.string()) })),
  filesRead: count,
  notes: z.array(note),
  otherFormats: formats,
}) satisfies z.ZodType<Analysis>;

export const reportSchema = z.object({
  report: z.string().describe('Markdown'),
  sentences: count,
  citations: count,
  cited: z.array(quote).describe('Every sentence of the report that is cited, in its order'),
  unconfirmed: z.array(quote).describe('Those that no longer stand where they stood'),
});
