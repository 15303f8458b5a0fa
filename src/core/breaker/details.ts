import { countOf } from '../count-of';
import { assertNever } from '../json';
import { WEB_UI_END, escaped, utc } from '../details-text';
import { oneLine } from '../one-line';
import { type BreakerReason, type BreakerState, viewOf } from './breaker';
import { currentWindow } from './window';

/** Words for a state of a breaker that fit a table. */
export const BREAKER_WORDS = {
  closed: 'closed',
  open: 'open',
  halfOpen: 'half-open',
  isolated: 'isolated',
} as const satisfies Record<BreakerState['phase']['kind'], string>;

/** Why a breaker is not closed, in a few words; of one that is closed, what its window has. */
export function whyWords({ phase, settings, lastError }: BreakerState, at: number): string {
  switch (phase.kind) {
    case 'closed': {
      const { calls, failures, slow } = currentWindow(phase.window, settings.window, at);
      return calls === 0
        ? 'no calls in its window'
        : `${failures} of ${countOf(calls, 'call')} failed, ${slow} slow`;
    }
    case 'open':
    case 'halfOpen': {
      const { failedProbes } = phase;
      const since =
        failedProbes === 0 ? '' : `; probed in vain ${failedProbes === 1 ? 'once' : `${failedProbes} times`}`;
      const told = lastError !== undefined && (phase.why.by === 'failures' || failedProbes > 0);
      const last = told ? `, last: ${oneLine(lastError, 120)}` : '';
      return `${reasonWords(phase.why)}${since}${last}`;
    }
    case 'isolated':
      return reasonWords({ by: 'hand', note: phase.note });
    default:
      return assertNever(phase);
  }
}

export function reasonWords(why: BreakerReason): string {
  if (why.by === 'hand') return why.note === '' ? 'by hand' : `by hand: ${oneLine(why.note, 120)}`;
  const { by, calls, failures, slow } = why;
  return by === 'failures'
    ? `${failures} of ${countOf(calls, 'call')} failed`
    : `${slow} of ${countOf(calls, 'call')} ${slow === 1 ? 'was' : 'were'} slow`;
}

/** A breaker as short Markdown, for the Web UI's current details. */
export function breakerDetails(key: string, state: BreakerState, at: number): string {
  const { phase, settings, opened, refused, pacedUntil = 0 } = state;
  const lines = [`**${escaped(key)}** is **${BREAKER_WORDS[phase.kind]}**: ${escaped(whyWords(state, at))}`];
  if (phase.since > 0) lines.push('', `since ${utc(phase.since)}`);
  if (phase.kind === 'open') lines.push('', `next probe at ${utc(phase.until)}`);
  if (phase.kind === 'halfOpen') {
    lines.push(
      '',
      `${phase.permits.length} of ${settings.probes} probes out, ${phase.reported.calls} reported`,
    );
  }
  if (pacedUntil > at) lines.push('', `paced by the provider until ${utc(pacedUntil)}`);
  const { failureRate, slowCallRate, slowCallDuration, window, minimumCalls, cooldown, cooldownMax } =
    settings;
  const over = 'calls' in window ? countOf(window.calls, 'call') : `${window.seconds} s`;
  lines.push(
    '',
    '| opened | refused | opens at | over | at least | slow from | cooldown |',
    '|---|---|---|---|---|---|---|',
    `| ${opened}× | ${countOf(refused, 'call')} | ${percent(failureRate)} failed, ${percent(slowCallRate)} slow | ${over} | ${countOf(minimumCalls, 'call')} | ${slowCallDuration / 1000} s | ${cooldown / 1000} to ${cooldownMax / 1000} s |`,
  );
  return [...lines, WEB_UI_END].join('\n');
}

/**
 * When a breaker may be probed, in ms since 1970: in the past where it may be now, and nobody calls. Undefined where it is
 * closed, or left by hand alone.
 */
export function nextProbeAt(state: BreakerState, at: number): number | undefined {
  const { phase } = state;
  if (phase.kind === 'open') return phase.until;
  return phase.kind === 'halfOpen' ? at + viewOf(state, at).retryAfter : undefined;
}

/** A share, such as 0.5, as `50 %`. */
export function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`;
}
