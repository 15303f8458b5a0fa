import { existsSync } from 'node:fs';
import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Agent, defineAgent } from 'cadre';
import { z } from 'zod';
import { again, edition, embedded, putBack, replace } from './desk';

const writer = embedded('writer');
const input = edition.extend({ docs: z.string(), analysis: z.unknown() });
const output = z.object({ text: z.string() });
type Input = z.infer<typeof input>;
type Output = z.infer<typeof output>;

/** Writes the file `articles/ARTICLE.md`, and adds it to `index.md`. */
export function writerAgent(desk: string): Agent<Input, Output> {
  const articleOf = (article: string): string => join(desk, 'articles', `${article}.md`);
  const index = join(desk, 'index.md');
  return defineAgent({
    name: 'writer',
    description: 'Writes the article whose every sentence is cited, and enters it in the index',
    input,
    output,
    async act({ article, question, docs, analysis }, context) {
      const { report }: { report: string } = await writer.act({ question, docs, analysis }, context);
      const { idempotencyKey: key, once } = context;
      const file = articleOf(article);
      await once('article', () => replace(file, key, () => writeFile(file, report)), again);
      const entry = entryOf({ article, question }, key);
      // Adding it again would add it twice, so look first.
      await once('index', () => appendFile(index, entry), {
        reconcile: async () =>
          (await textOf(index)).includes(entry) ? { done: true, result: undefined } : { done: false },
      });
      return { text: report };
    },
    async compensate({ input: { article, question }, action }) {
      await removeEntry(index, entryOf({ article, question }, action));
      await putBack(articleOf(article), action);
    },
  });
}

function entryOf({ article, question }: Pick<Input, 'article' | 'question'>, key: string): string {
  return `- [${question}](articles/${article}.md) <!-- ${key} -->\n`;
}

async function textOf(file: string): Promise<string> {
  return existsSync(file) ? readFile(file, 'utf8') : '';
}

/** In one step: nobody sees half an index. An index without entries is no file. */
async function removeEntry(index: string, entry: string): Promise<void> {
  const text = await textOf(index);
  if (!text.includes(entry)) return;
  const rest = text.replace(entry, '');
  if (rest === '') return rm(index);
  await writeFile(`${index}.new`, rest);
  await rename(`${index}.new`, index);
}
