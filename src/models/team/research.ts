import { z } from 'zod';
import { countOf } from '../../core/count-of';
import { findIn, research, researchInput, tellOf } from '../../activities/agents/research';
import { defineAgent } from '../../activities/define-agent';
import { generate } from '../generate';
import { modelPolicy } from '../policy';
import { foremost, showPassages } from './passages';

/** Reads a share of a folder, and has a model choose among the passages that were found. */
export function modelResearch(model: string, fallback: string) {
  return defineAgent({
    name: research.name,
    description: research.description,
    input: researchInput,
    output: research.output,
    skills: research.skills,
    policy: modelPolicy(model, { startToClose: '30 minutes', onOpen: { fallback } }),
    async act(request, context) {
      const findings = await findIn(request, context);
      const { text, byId } = showPassages(foremost(request.question, [findings], request.statistics));
      if (byId.size === 0) {
        tellOf(findings, context);
        return findings;
      }
      const { passages } = await generate(context, {
        model,
        system: SYSTEM,
        prompt: `Question: ${request.question}\n\nPassages:\n${text}`,
        output: CHOICE,
      });
      const chosen = new Set(passages.flatMap((id) => byId.get(id) ?? []));
      const unknown = passages.filter((id) => !byId.has(id)).length;
      if (unknown > 0) {
        context.decide({
          type: 'citationsDropped',
          rationale: `${model} chose ${countOf(unknown, 'passage')} that there ${unknown === 1 ? 'is' : 'are'} not`,
        });
      }
      const kept = { ...findings, candidates: findings.candidates.filter((one) => chosen.has(one)) };
      tellOf(kept, context);
      return kept;
    },
  });
}

const SYSTEM = `You choose passages of documents that help to answer a question. Each passage begins with its number in square brackets.
Answer with the numbers of all passages that answer a part of the question, that say something else on it than another passage, or that are needed to understand one of these. Leave out what only uses the same words. Answer with an empty list where no passage helps.`;

const CHOICE = z.object({
  passages: z.array(z.int()).describe('The numbers of the passages that help, the most helpful first'),
});
