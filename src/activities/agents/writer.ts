import { z } from 'zod';
import { defineAgent } from '../define-agent';
import { locatorOf } from '../documents/locator';
import { runInThread } from '../threads';
import { countOf } from './count-of';
import { indexFolder } from './index-folder';
import { composeReport } from './report';
import { analysisSchema, docsSchema, questionSchema, reportSchema } from './schemas';

/** Writes the report: sentences of the sources, each with the place where it stands, checked there once more. */
export const writer = defineAgent({
  name: 'writer',
  description: 'Writes a report whose every sentence is quoted from a source and cited',
  skills: ['write', 'cite'],
  input: z.object({ question: questionSchema, docs: docsSchema, analysis: analysisSchema }),
  output: reportSchema,
  policy: { startToClose: '1 minute' },
  async act({ question, docs, analysis }, context) {
    const draft = composeReport(question, analysis, []);
    const unconfirmed = await runInThread(
      'checkCitations',
      { docs, citations: draft.cited, index: indexFolder() },
      context.signal,
    );
    const { report, cited } = composeReport(question, analysis, unconfirmed);
    const checked = cited.length - unconfirmed.length;
    const files = new Set(unconfirmed.map((citation) => citation.file)).size;
    const changed = files === 0 ? '' : ` of ${cited.length}; ${countOf(files, 'file')} changed meanwhile`;
    context.decide({
      type: 'reportWritten',
      rationale: `${countOf(cited.length, 'sentence')}, ${countOf(checked, 'citation')} checked${changed}`,
      evidence: { unconfirmed: unconfirmed.map(locatorOf) },
    });
    return { report, sentences: cited.length, citations: cited.length, cited, unconfirmed };
  },
});
