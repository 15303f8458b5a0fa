import { z } from 'zod';
import { analysis, analysisInput, tellOfAnalysis } from '../../activities/agents/analysis';
import { defineAgent } from '../../activities/define-agent';
import { runInThread } from '../../activities/threads';
import type { Analysis } from '../../activities/threads/analyse';
import type { Difference, Quote } from '../../activities/threads/find-differences';
import { generate } from '../generate';
import { modelPolicy } from '../policy';
import { foremost, showSentences } from './passages';
import { weighedSchema, type Weighed } from './schemas';
import { addDropped, droppedWords, NOTHING_DROPPED, supportedOf } from './support';

/** Has a model weigh what all researchers found; what it cites is checked, and nothing else of it is used. */
export function modelAnalysis(model: string, fallback: string) {
  return defineAgent({
    name: analysis.name,
    description: analysis.description,
    input: analysisInput,
    output: weighedSchema,
    skills: analysis.skills,
    policy: modelPolicy(model, { onOpen: { fallback } }),
    async act(request, context) {
      const plain = await runInThread('analyse', request, context.signal);
      const { text, byId } = showSentences(foremost(request.question, request.shards, request.statistics));
      if (byId.size === 0) {
        tellOfAnalysis(plain, context);
        return plain;
      }
      const parts = plain.parts.map((part, index) => `${index + 1}. ${part}`).join('\n');
      const said = await generate(context, {
        model,
        system: SYSTEM,
        prompt: `Question: ${request.question}\n\nIts parts:\n${parts}\n\nPassages:\n${text}`,
        output: SAID,
      });
      const weighed = weighedOf(said, plain, byId);
      const dropped = droppedWords(weighed.dropped ?? NOTHING_DROPPED, model);
      if (dropped !== undefined) {
        context.decide({ type: 'citationsDropped', rationale: dropped, evidence: weighed.dropped });
      }
      tellOfAnalysis(weighed, context);
      return weighed;
    },
  });
}

const SYSTEM = `You weigh what documents say on a question. You get the question, its parts, and passages whose sentences each begin with their number in square brackets.
- findings: what answers a part of the question. Each is one statement that keeps to the words and numbers of the documents, with the numbers of all sentences that say so.
- differences: two sentences of different files that cannot both be right, such as two different numbers for the same thing; with the words of each sentence that differ, copied from it.
- gaps: parts of the question that no sentence answers, with the words that the documents do not mention.
State nothing that no sentence says.`;

const id = z.int().describe('The number of a sentence');

const SAID = z.object({
  findings: z.array(
    z.object({
      part: z.int().describe('The number of the part of the question'),
      statement: z.string(),
      sentences: z.array(id),
    }),
  ),
  differences: z.array(z.object({ left: id, leftWords: z.string(), right: id, rightWords: z.string() })),
  gaps: z.array(
    z.object({
      part: z.int().describe('The number of the part of the question'),
      missing: z.array(z.string()),
    }),
  ),
});

type Said = z.output<typeof SAID>;

/** What the model said, as far as the sentences bear it out. */
function weighedOf(said: Said, plain: Analysis, byId: ReadonlyMap<number, Quote>): Weighed {
  const claims = said.findings.map(({ part, statement, sentences }) => ({
    part: clampPart(part, plain),
    text: statement,
    ids: sentences,
  }));
  const { kept, dropped } = supportedOf(claims, byId);
  const differences = said.differences.flatMap((one) => differenceOf(one, byId) ?? []);
  return {
    ...plain,
    findings: kept.map(({ claim, by: { text, quotes } }) => {
      const [first, ...support] = quotes;
      return { ...first, part: claim.part, support, claim: text };
    }),
    differences: [...plain.differences, ...differences.filter((one) => !plain.differences.some(sameAs(one)))],
    gaps: said.gaps.flatMap(({ part, missing }) => {
      const text = plain.parts[part - 1];
      return text === undefined ? [] : [{ part: text, missing }];
    }),
    dropped: addDropped(dropped, {
      ...NOTHING_DROPPED,
      unsupported: said.differences.length - differences.length,
    }),
  };
}

/** A part that there is: the model counts from 1. */
function clampPart(part: number, { parts }: Analysis): number {
  return Math.min(Math.max(part - 1, 0), Math.max(parts.length - 1, 0));
}

/** The difference, where both sentences are there, of two files, and say what the model has them say. */
function differenceOf(
  { left, leftWords, right, rightWords }: Said['differences'][number],
  byId: ReadonlyMap<number, Quote>,
): Difference | undefined {
  const [one, other] = [byId.get(left), byId.get(right)];
  if (one === undefined || other === undefined || one.file === other.file) return undefined;
  if (!says(one, leftWords) || !says(other, rightWords)) return undefined;
  return { kind: 'opposite', left: { ...one, says: leftWords }, right: { ...other, says: rightWords } };
}

function says({ text }: Quote, words: string): boolean {
  return words.trim() !== '' && text.toLowerCase().includes(words.trim().toLowerCase());
}

function sameAs(difference: Difference): (other: Difference) => boolean {
  const places = ({ left, right }: Difference): string =>
    [left, right]
      .map(({ file, line }) => `${file}\n${line}`)
      .sort()
      .join('\n');
  return (other) => places(other) === places(difference);
}
