import { oneLine } from '../../core/one-line';
import { readHtml } from './html';
import { optionalPackage } from './optional-package';
import type { ReadDocument } from './readers';
import { unpackedBytes } from './zip';

/** What a document may unpack to, so that a small file cannot fill the memory. */
const UNPACKED_MAXIMUM_BYTES = 256 * 1024 * 1024;
const PROBLEM_MAXIMUM_LENGTH = 120;
const CELL = /<t[dh]\b[^>]*>[\s\S]*?<\/t[dh]>/g;
const PARAGRAPH = /<(?:p|h[1-6]|li|tr)\b/g;

/**
 * Reads a DOCX file by the package mammoth, an optional dependency. The `line` of a place is the number of the paragraph,
 * heading, list item or table row among those that hold text.
 */
export async function readDocx(bytes: Buffer): Promise<ReadDocument> {
  const unpacked = unpackedBytes(bytes);
  if (unpacked === undefined) return { kind: 'skipped', problem: 'is no DOCX file' };
  if (unpacked > UNPACKED_MAXIMUM_BYTES) return { kind: 'skipped', problem: 'unpacks to more than 256 MB' };
  const found = await optionalPackage('mammoth', () => import('mammoth'));
  if (found.kind === 'skipped') return found;
  const { module: mammoth } = found;
  try {
    const image = mammoth.images.imgElement(() => Promise.resolve({ src: '' }));
    const { value } = await mammoth.convertToHtml({ buffer: bytes }, { convertImage: image });
    const blocks = readHtml(linesOf(value));
    return blocks.length === 0 ? { kind: 'skipped', problem: 'holds no text' } : { kind: 'read', blocks };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: 'skipped', problem: `is broken: ${oneLine(reason, PROBLEM_MAXIMUM_LENGTH)}` };
  }
}

/** The HTML with each paragraph on a line of its own, and the paragraphs of a table's cell as one text. */
function linesOf(html: string): string {
  return html
    .replace(/\n/g, ' ')
    .replace(CELL, (cell) => cell.replace(/<\/?(?:p|ul|ol|li|h[1-6])\b[^>]*>/g, ' '))
    .replace(PARAGRAPH, (tag) => `\n${tag}`)
    .trimStart();
}
