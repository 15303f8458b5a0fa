/** Where a sentence stands in a folder. */
export interface Location {
  /** Relative to the folder, divided by `/`. */
  readonly file: string;
  /** 1 for the first: a line; in a PDF a page; in DOCX a paragraph, of those that hold text. */
  readonly line: number;
}

/** What the numbers of a document's places count. */
export type Place = 'line' | 'page' | 'paragraph';

/** By extension, where it is not lines. */
const PLACES: Readonly<Record<string, Place>> = { pdf: 'page', docx: 'paragraph' };

/** How a place is cited: `notes.md#L7`, `contract.pdf p. 2`, `minutes.docx para. 12`. */
export function locatorOf({ file, line }: Location): string {
  const place = placeOf(file);
  if (place === 'page') return `${file} p. ${line}`;
  return place === 'paragraph' ? `${file} para. ${line}` : `${file}#L${line}`;
}

/** What the numbers of a file's places count. */
export function placeOf(file: string): Place {
  const extension = extensionOf(file);
  return (Object.hasOwn(PLACES, extension) ? PLACES[extension] : undefined) ?? 'line';
}

/** The extension in lower case, without the dot; empty where there is none. */
export function extensionOf(file: string): string {
  return /[^/]\.([^./]{1,16})$/.exec(file)?.[1]?.toLowerCase() ?? '';
}
