import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Agent, defineAgent } from 'cadre';
import { z } from 'zod';
import { again, edition, embedded, putBack, replace } from './desk';

interface Found {
  readonly candidates: readonly { readonly file: string; readonly sentences: readonly { text: string }[] }[];
}

const research = embedded('research');
const input = edition.extend({ docs: z.string() });
type Input = z.infer<typeof input>;

/** Finds the passages that may answer, and puts them into the folder `notes/ARTICLE`: a file a source. */
export function researchAgent(desk: string): Agent<Input, Found> {
  const notesOf = (article: string): string => join(desk, 'notes', article);
  return defineAgent({
    name: 'research',
    description: 'Finds passages that may answer a question, and files them as notes',
    input,
    output: research.output,
    async act({ article, question, docs }, context) {
      const found: Found = await research.act({ question, docs, shard: { index: 0, of: 1 } }, context);
      const notes = notesOf(article);
      const write = (): Promise<void> => writeNotes(notes, found);
      await context.once('notes', () => replace(notes, context.idempotencyKey, write), again);
      return found;
    },
    compensate: ({ input: { article }, action }) => putBack(notesOf(article), action),
  });
}

async function writeNotes(folder: string, { candidates }: Found): Promise<void> {
  await mkdir(folder);
  for (const { file, sentences } of candidates) {
    const lines = sentences.map(({ text }) => `- ${text}\n`);
    await writeFile(join(folder, `${file.replaceAll('/', '_')}.txt`), lines.join(''), { flag: 'a' });
  }
}
