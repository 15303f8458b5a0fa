import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { IndexedFolder, indexIn } from '../documents/indexed-folder';

/** A sentence and the place where it is said to stand. */
export interface Citation {
  readonly file: string;
  /** See `Location`. */
  readonly line: number;
  readonly text: string;
}

/**
 * Reads the cited files again and returns the citations that do not hold now: the file vanished, or another
 * sentence stands in that place.
 */
export async function checkCitations(request: {
  readonly docs: string;
  readonly citations: readonly Citation[];
  /** Folder of the index; without it there is none. */
  readonly index?: string | undefined;
}): Promise<Citation[]> {
  const folder = new IndexedFolder(rootOf(request.docs), await indexIn(request.index));
  const sentences = new Map<string, ReadonlySet<string>>();
  for (const file of new Set(request.citations.map((citation) => citation.file)))
    sentences.set(file, await sentencesOf(folder, file));
  return request.citations.filter(({ file, line, text }) => {
    return sentences.get(file)?.has(`${line} ${text}`) !== true;
  });
}

function rootOf(docs: string): string {
  try {
    return realpathSync(docs);
  } catch {
    return resolve(docs);
  }
}

async function sentencesOf(folder: IndexedFolder, file: string): Promise<Set<string>> {
  const document = await folder.read(file);
  if (document.kind === 'skipped') return new Set();
  const sentences = document.texts().flatMap((text) => text.sentences);
  return new Set(sentences.map((sentence) => `${sentence.line} ${sentence.text}`));
}
