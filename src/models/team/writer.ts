import { z } from 'zod';
import type { Written } from '../../activities/agents/report';
import { reportSchema } from '../../activities/agents/schemas';
import { reportChecked, writer, writerInput } from '../../activities/agents/writer';
import { defineAgent } from '../../activities/define-agent';
import type { Quote } from '../../activities/threads/find-differences';
import { generate } from '../generate';
import { modelPolicy } from '../policy';
import { untrusted } from '../untrusted';
import { showQuotes } from './passages';
import { weighedSchema, type Weighed } from './schemas';
import { addDropped, type Dropped, droppedWords, NOTHING_DROPPED, supportedOf } from './support';

/** Has a model write the answer; a sentence stands in the report only with a source that supports it. */
export function modelWriter(model: string, fallback: string) {
  return defineAgent({
    name: writer.name,
    description: 'Writes a report whose every sentence cites the sources that support it',
    input: writerInput.extend({ analysis: weighedSchema }),
    output: reportSchema,
    skills: writer.skills,
    policy: modelPolicy(model, { onOpen: { fallback } }),
    async act(request, context) {
      const { question, analysis } = request;
      if (analysis.findings.length === 0) return reportChecked(request, context);
      const { text, byId } = showQuotes(quotesOf(analysis));
      const claims = analysis.findings.flatMap(({ claim }) => claim ?? []);
      const analysed =
        claims.length === 0
          ? ''
          : `\n\nWhat the analysis says of them:\n${untrusted('analysis', claims.join('\n'))}`;
      const said = await generate(context, {
        model,
        system: SYSTEM,
        prompt: `Question: ${question}\n\nSentences:\n${text}${analysed}`,
        output: SAID,
      });
      const { written, notes, dropped } = writtenOf(said, byId, model, analysis.dropped);
      if (dropped !== undefined) context.decide({ type: 'citationsDropped', rationale: dropped });
      return reportChecked(request, context, written, notes);
    },
  });
}

/** The writer that does it where `model` does not: its report says so. */
export function plainWriter(model: string, name: string) {
  const note = `The embedded agent wrote this in the place of ${model}; the log of the task says why.`;
  return defineAgent({
    ...writer,
    name,
    act: (request, context) => reportChecked(request, context, undefined, [note]),
  });
}

const SYSTEM = `You write a report that answers a question from sentences of documents. Each sentence begins with its number in square brackets.
- answer: the answer in short, one to three sentences for each part of the question.
- sections: what else the documents say on it, by subject; none where the answer says it all.
Each of your sentences states one thing, keeps to the words and numbers of the documents, and names the numbers of the sentences that it rests on. Write no sentence that rests on none. Plain text, without Markdown and without the numbers in it.`;

const sentence = z.object({
  text: z.string(),
  sentences: z.array(z.int()).describe('The numbers of the sentences that it rests on'),
});

const SAID = z.object({
  answer: z.array(sentence),
  sections: z.array(z.object({ title: z.string(), sentences: z.array(sentence) })),
});

function quotesOf({ findings, differences }: Weighed): Quote[] {
  return [
    ...findings.flatMap((finding) => [finding, ...finding.support]),
    ...differences.flatMap(({ left, right }) => [left, right]),
  ].map(({ text, file, line }) => ({ text, file, line }));
}

/** What the model wrote, as far as it is supported, and what was dropped of it, in words: of it all, and here. */
function writtenOf(
  said: z.output<typeof SAID>,
  byId: ReadonlyMap<number, Quote>,
  model: string,
  before: Dropped = NOTHING_DROPPED,
): { written: Written; notes: readonly string[]; dropped: string | undefined } {
  let dropped = NOTHING_DROPPED;
  const checked = (sentences: readonly z.output<typeof sentence>[]) => {
    const claims = sentences.map(({ text, sentences: ids }) => ({ text, ids }));
    const found = supportedOf(claims, byId);
    dropped = addDropped(dropped, found.dropped);
    return found.kept.map(({ by }) => by);
  };
  const short = checked(said.answer);
  const sections = said.sections
    .map(({ title, sentences }) => ({ title, sentences: checked(sentences) }))
    .filter(({ sentences }) => sentences.length > 0);
  const all = droppedWords(addDropped(before, dropped), model);
  return {
    written: { by: model, short, sections },
    notes: all === undefined ? [] : [all],
    dropped: droppedWords(dropped, model),
  };
}
