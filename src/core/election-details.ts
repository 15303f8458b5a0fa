import { WEB_UI_END, utc } from './details-text';
import type { ElectionState, PastTerm, TermEnd } from './election';

const ROWS_MAXIMUM = 10;

/** Who leads and who led before, as short Markdown, for the Web UI's current details. */
export function electionDetails({ term, leader, past }: ElectionState): string {
  const present =
    leader === undefined
      ? `**Nobody leads**: term ${term} waits for a candidate`
      : `**${leader.identity}** leads in term ${term}, since ${utc(leader.since)}`;
  const lines = [present];
  if (past.length > 0) lines.push('', '| term | leader | until | ended |', '|---|---|---|---|');
  for (const ended of past.slice(0, ROWS_MAXIMUM)) {
    lines.push(`| ${ended.term} | ${ended.leader ?? '–'} | ${utc(ended.to)} | ${termEndWords(ended)} |`);
  }
  return [...lines, WEB_UI_END].join('\n');
}

/** How a term ended, in words that fit a table. */
export function termEndWords({ how, reason }: Pick<PastTerm, 'how' | 'reason'>): string {
  return reason === undefined ? HOW[how] : `${HOW[how]}: ${reason.replace(/[\s|]+/g, ' ')}`;
}

const HOW = {
  resigned: 'resigned',
  steppedDown: 'stepped down',
  lostHeartbeat: 'lost its heartbeat',
  cancelled: 'cancelled',
  failed: 'failed',
} as const satisfies Record<TermEnd, string>;
