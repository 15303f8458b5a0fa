import { z } from 'zod';
import type { AgentContext } from '../agent-context';
import { defineAgent } from '../define-agent';
import { locatorOf } from '../documents/locator';
import { runInThread } from '../threads';
import { countOf } from '../../core/count-of';
import { indexFolder } from './index-folder';
import { type Written, composeReport } from './report';
import { analysisSchema, docsSchema, questionSchema, reportSchema } from './schemas';

/** What {@link writer} takes. */
export const writerInput = z.object({ question: questionSchema, docs: docsSchema, analysis: analysisSchema });

/** Writes the report: sentences of the sources, each with the place where it stands, checked there once more. */
export const writer = defineAgent({
  name: 'writer',
  description: 'Writes a report whose every sentence is quoted from a source and cited',
  skills: ['write', 'cite'],
  input: writerInput,
  output: reportSchema,
  policy: { startToClose: '1 minute' },
  act: (request, context) => reportChecked(request, context),
});

/**
 * The report, its quotations looked up once more where they stand. `written`: the answer in another's words; `notes`: what it
 * is to say of how it came about.
 */
export async function reportChecked(
  { question, docs, analysis }: z.output<typeof writerInput>,
  { signal, decide }: AgentContext,
  written?: Written,
  notes: readonly string[] = [],
): Promise<z.output<typeof reportSchema>> {
  const draft = composeReport(question, analysis, [], written, notes);
  const unconfirmed = await runInThread(
    'checkCitations',
    { docs, citations: draft.cited, index: indexFolder() },
    signal,
  );
  const { report, cited } = composeReport(question, analysis, unconfirmed, written, notes);
  const checked = cited.length - unconfirmed.length;
  const files = new Set(unconfirmed.map((citation) => citation.file)).size;
  const changed = files === 0 ? '' : ` of ${cited.length}; ${countOf(files, 'file')} changed meanwhile`;
  decide({
    type: 'reportWritten',
    rationale: `${countOf(cited.length, 'sentence')}, ${countOf(checked, 'citation')} checked${changed}`,
    evidence: { unconfirmed: unconfirmed.map(locatorOf) },
  });
  return { report, sentences: cited.length, citations: cited.length, cited, unconfirmed };
}
