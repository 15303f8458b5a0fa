import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { isRecord } from '../core/json';

/** The Markdown report among a task's outputs; undefined where no final step wrote one. */
export function reportOf(outputs: Readonly<Record<string, unknown>>): string | undefined {
  for (const output of Object.values(outputs)) {
    if (isRecord(output) && typeof output['report'] === 'string') return output['report'];
  }
  return undefined;
}

/** Writes the report to `<folder>/<id>.md`, and returns that path, relative to the working directory. */
export async function writeReport(folder: string, id: string, report: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${id}.md`);
  await writeFile(path, report);
  return relative(process.cwd(), path) || path;
}
