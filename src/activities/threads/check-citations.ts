import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { citableSentences, passagesOf } from '../documents/passages';
import { readDocument } from '../documents/read-document';

/** A sentence and the place where it is said to stand. */
export interface Citation {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/**
 * Reads the cited files again and returns the citations that do not hold now: the file vanished, or another
 * sentence stands on that line.
 */
export function checkCitations(request: {
  readonly docs: string;
  readonly citations: readonly Citation[];
}): Citation[] {
  const sentences = new Map<string, ReadonlySet<string>>();
  const folder = rootOf(request.docs);
  return request.citations.filter((citation) => {
    const known = sentences.get(citation.file) ?? sentencesOf(folder, citation.file);
    sentences.set(citation.file, known);
    return !known.has(`${citation.line} ${citation.text}`);
  });
}

function rootOf(docs: string): string {
  try {
    return realpathSync(docs);
  } catch {
    return resolve(docs);
  }
}

function sentencesOf(folder: string, file: string): Set<string> {
  const document = readDocument(folder, file);
  if (document.kind === 'skipped') return new Set();
  const sentences = passagesOf(document.blocks).flatMap(citableSentences);
  return new Set(sentences.map((sentence) => `${sentence.line} ${sentence.text}`));
}
