import { oneLine } from '../../core/one-line';
import { optionalPackage } from './optional-package';
import { type PdfItem, type PdfLine, blocksOfLines, linesOfItems } from './pdf-layout';
import type { ReadDocument } from './readers';

type Unpdf = Awaited<ReturnType<typeof loadUnpdf>>;

const PAGES_MAXIMUM = 5000;
const PROBLEM_MAXIMUM_LENGTH = 120;

/**
 * Reads a PDF by the package unpdf, an optional dependency. The `line` of a place is the number of the page, 1 for the
 * first one.
 */
export async function readPdf(bytes: Buffer): Promise<ReadDocument> {
  const found = await optionalPackage('unpdf', loadUnpdf);
  if (found.kind === 'skipped') return found;
  try {
    return await readPages(found.module, bytes);
  } catch (error) {
    return { kind: 'skipped', problem: problemOf(error) };
  }
}

const loadUnpdf = () => import('unpdf');

async function readPages(
  { getDocumentProxy }: Pick<Unpdf, 'getDocumentProxy'>,
  bytes: Buffer,
): Promise<ReadDocument> {
  // A copy: the library takes the memory for itself.
  const pdf = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 });
  try {
    const lines: PdfLine[] = [];
    const pages = Math.min(pdf.numPages, PAGES_MAXIMUM);
    for (let number = 1; number <= pages; number++) {
      const page = await pdf.getPage(number);
      const { items } = await page.getTextContent();
      lines.push(...linesOfItems(number, items as PdfItem[]));
      page.cleanup();
    }
    const blocks = blocksOfLines(lines);
    if (blocks.length === 0) return { kind: 'skipped', problem: 'holds no text; its pages may be pictures' };
    const unread = pdf.numPages - pages;
    return {
      kind: 'read',
      blocks,
      ...(unread > 0 ? { flaw: `${unread} pages after page ${pages} are not read` } : {}),
    };
  } finally {
    await pdf.destroy();
  }
}

/** By name: classes differ between the copies of the library that a process may hold. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return 'is broken';
  if (error.name === 'PasswordException') return 'is protected by a password';
  return `is broken: ${oneLine(error.message, PROBLEM_MAXIMUM_LENGTH)}`;
}
