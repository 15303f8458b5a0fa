/** A breaker's standing in words, for tables and lines. */
import type { BreakerStanding } from '../client/breakers';
import type { BreakerPhase, BreakerState } from '../core/breaker/breaker';
import { BREAKER_WORDS, percent } from '../core/breaker/details';
import type { BreakerCommandKind } from '../core/breaker/report';
import type { BreakerSettings } from '../core/breaker/settings';
import { assertNever } from '../core/json';
import { count, duration, limit } from './output';

export function stateWord({ kind }: Pick<BreakerStanding, 'kind'>): string {
  return BREAKER_WORDS[kind];
}

/** Why it stands as it does, with the rate where one decided, and with what its provider asked for. */
export function whyLine({ why, state, pacedUntil }: BreakerStanding): string {
  const rate = rateOf(state.phase);
  const paced = pacedUntil === undefined ? [] : [`paced by its provider until ${clock(pacedUntil)}`];
  return [...paced, ...(rate === undefined ? [] : [percent(rate)]), why].join(', ');
}

function rateOf(phase: BreakerPhase): number | undefined {
  if (phase.kind !== 'open' && phase.kind !== 'halfOpen') return undefined;
  const { why } = phase;
  if (why.by === 'hand') return undefined;
  return (why.by === 'failures' ? why.failures : why.slow) / why.calls;
}

/** When it is probed next, in a few words. */
export function probeWords({ kind, nextProbeAt = 0 }: BreakerStanding): string {
  switch (kind) {
    case 'closed':
      return '–';
    case 'open': {
      const left = nextProbeAt - Date.now();
      return left > 0 ? `in ${duration(left)}` : 'next call';
    }
    case 'halfOpen':
      return 'under way';
    case 'isolated':
      return 'not before release';
    default:
      return assertNever(kind);
  }
}

/** What there is to know of it beside its state and why, as labels and texts. */
export function facts(standing: BreakerStanding, agents: readonly string[]): [string, string][] {
  const { since, refused, opened, state, running } = standing;
  const age = since === undefined ? '' : duration(Math.max(0, Date.now() - since));
  const probe = probeFact(standing);
  return [
    ...(since === undefined ? [] : [fact('since', `${clock(since)}, ${age} ago`)]),
    ...(probe === undefined ? [] : [fact('next probe', probe)]),
    ...(running ? [fact('refused', count(refused, 'call'))] : []),
    ...(running ? [fact('opened', `${count(opened, 'time')} by itself`)] : []),
    ...settingsFacts(state.settings),
    fact('agents', agents.length === 0 ? 'none of this configuration' : agents.join(', ')),
  ];
}

function fact(label: string, text: string): [string, string] {
  return [label, text];
}

function probeFact({ kind, nextProbeAt = 0, state }: BreakerStanding): string | undefined {
  const { phase, settings } = state;
  if (kind === 'isolated') return 'none: it is left by hand alone';
  if (phase.kind === 'halfOpen') {
    return `under way: ${phase.permits.length} out, ${phase.reported.calls} of ${settings.probes} reported`;
  }
  if (phase.kind !== 'open') return undefined;
  const left = nextProbeAt - Date.now();
  return left > 0 ? `in ${duration(left)}, at ${clock(nextProbeAt)}` : 'with the next call';
}

function settingsFacts(settings: BreakerSettings): [string, string][] {
  const { failureRate, slowCallRate, slowCallDuration, window, minimumCalls } = settings;
  const { cooldown, cooldownMax, probes, maxProbeTime } = settings;
  const over = 'calls' in window ? `the last ${count(window.calls, 'call')}` : limit(window.seconds * 1000);
  const rates = `${percent(failureRate)} failed, or ${percent(slowCallRate)} slower than ${limit(slowCallDuration)}`;
  return [
    fact('opens at', `${rates}, over ${over}, with ${count(minimumCalls, 'call')} or more`),
    fact(
      'stays open',
      cooldownMax > cooldown
        ? `${limit(cooldown)}, twice as long after each probe that fails, up to ${limit(cooldownMax)}`
        : limit(cooldown),
    ),
    fact('probes', `${probes}, each given to another call after ${limit(maxProbeTime)} without a word`),
  ];
}

/** What a breaker as it stands means for calls, and for what waits. */
export function meaning(standing: BreakerStanding, how: BreakerCommandKind): [string, string] {
  return [effect(standing), SPREAD[how]];
}

function effect({ key, kind, nextProbeAt = 0, state }: BreakerStanding): string {
  switch (kind) {
    case 'closed':
      return 'calls go through, and are counted anew';
    case 'open':
    case 'halfOpen': {
      const left = duration(Math.max(0, nextProbeAt - Date.now()));
      const { probes } = state.settings;
      return `no calls until ${clock(nextProbeAt)}, in ${left}; then ${count(probes, 'probe')} ${probes === 1 ? 'finds' : 'find'} out`;
    }
    case 'isolated':
      return `no calls until \`${breakerCommandLine(key, 'release')}\``;
    default:
      return assertNever(kind);
  }
}

const HEARD = 'Workers hear of it within about 6 s.';
const WAITS = 'What waits for it asks again when its wait is over.';
const SPREAD = {
  trip: HEARD,
  isolate: HEARD,
  reset: WAITS,
  release: WAITS,
} as const satisfies Record<BreakerCommandKind, string>;

/** What a person may do of a breaker as it stands, and what for. */
export const NEXT = {
  closed: [
    ['trip', 'no calls for a cooldown, then a probe'],
    ['isolate', 'no calls until you release it'],
  ],
  open: [
    ['reset', 'closes it at once'],
    ['isolate', 'no calls until you release it'],
  ],
  halfOpen: [
    ['reset', 'closes it at once'],
    ['isolate', 'no calls until you release it'],
  ],
  isolated: [['release', 'closes it']],
} as const satisfies Record<
  BreakerState['phase']['kind'],
  readonly (readonly [BreakerCommandKind, string])[]
>;

/** What to type to operate a breaker. */
export function breakerCommandLine(key: string, how: BreakerCommandKind): string {
  return `cadre breaker ${shellWord(key)} ${how}`;
}

/** `text` as a shell takes it for one word. */
function shellWord(text: string): string {
  return /^[\w@%+:,./][\w@%+:,./-]*$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A time in ms since 1970 as a time of day, with the date where that is not today. */
export function clock(time: number): string {
  const [day, rest = ''] = new Date(time).toISOString().split('T');
  const [today] = new Date().toISOString().split('T');
  return `${day === today ? '' : `${day} `}${rest.slice(0, 8)} UTC`;
}
