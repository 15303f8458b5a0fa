import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow';
import { type HistoryEvent, eventFromJson } from '../../src/client/history-decoder';
import { type Exported, exportLines } from '../../src/client/history-export';
import type { ExportHeader } from '../../src/core/log/export-format';
import { ROOT } from './cli';

/** Temporal's JSON of a history. */
export interface HistoryJson {
  events: Record<string, unknown>[];
}

/** A recording of `test/replay/histories`, a run of its own. */
export function recorded(name: string): HistoryJson {
  const path = join(ROOT, 'test', 'replay', 'histories', `${name}.json`);
  return JSON.parse(readFileSync(path, 'utf8')) as HistoryJson;
}

/** What `cadre export` would write of these runs, named `run-1`, `run-2`, …; `convert`: its payloads as the exporter read them. */
export async function exportText(
  runs: readonly HistoryJson[],
  more: Partial<ExportHeader> = {},
): Promise<Exported & { text: string }> {
  const events = new Map(runs.map((run, index) => [`run-${index + 1}`, eventsOf(run)]));
  const header: ExportHeader = {
    format: 1,
    workflowId: 'trip',
    workflowType: 'task',
    cadre: 'cadre',
    exportedAt: Date.UTC(2026, 0, 31, 12),
    runs: [...events.keys()],
    ...more,
  };
  const lines: string[] = [];
  const writing = exportLines({
    header,
    converter: loadDataConverter(),
    events: async function* (runId) {
      yield* events.get(runId) ?? [];
    },
  });
  for (;;) {
    const { value, done } = await writing.next();
    if (done) return { ...value, text: lines.map((line) => `${line}\n`).join('') };
    lines.push(value);
  }
}

function eventsOf({ events }: HistoryJson): HistoryEvent[] {
  return events.map((event) => {
    const read = eventFromJson(event);
    if (read === undefined) throw new Error(`Not an event: ${JSON.stringify(event)}`);
    return read;
  });
}
