import { type FieldProblem, valueAt } from '../json';

/** How a breaker decides. It travels with every report, so that what is deployed last is in force. */
export interface BreakerSettings {
  /** Opens where at least this share of the calls in the window failed. */
  readonly failureRate: number;
  /** Opens where at least this share of the calls in the window was slow. */
  readonly slowCallRate: number;
  /** A call that takes longer, in ms, is slow. */
  readonly slowCallDuration: number;
  /** The last so many calls, or those that ended in the last so many seconds. */
  readonly window: { readonly calls: number } | { readonly seconds: number };
  /** It never opens on fewer calls in the window. */
  readonly minimumCalls: number;
  /** How long it stays open at first, in ms; twice as long after each probe in a row that fails. */
  readonly cooldown: number;
  /** No cooldown is longer, in ms. */
  readonly cooldownMax: number;
  /** How many calls the whole fleet makes to find out whether it may close. */
  readonly probes: number;
  /** A probe that has not reported for so long, in ms, is given to another call. */
  readonly maxProbeTime: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** For calls of models: they are seconds long, and an outage takes minutes. */
export const BREAKER_DEFAULTS: BreakerSettings = {
  failureRate: 0.5,
  slowCallRate: 1,
  slowCallDuration: MINUTE,
  window: { seconds: 60 },
  minimumCalls: 10,
  cooldown: 30 * SECOND,
  cooldownMax: 10 * MINUTE,
  probes: 1,
  maxProbeTime: 2 * MINUTE,
};

/** What each number may be: the least and the most, durations in ms; rates are shares, above 0 and at most 1. */
export const BREAKER_RANGES = {
  failureRate: [0.001, 1],
  slowCallRate: [0.001, 1],
  slowCallDuration: [1, 24 * 60 * MINUTE],
  'window.calls': [1, 1000],
  'window.seconds': [1, 24 * 60 * 60],
  minimumCalls: [1, 1_000_000],
  cooldown: [10, 7 * 24 * 60 * MINUTE],
  cooldownMax: [10, 7 * 24 * 60 * MINUTE],
  probes: [1, 100],
  maxProbeTime: [10, 24 * 60 * MINUTE],
} as const satisfies Record<string, readonly [number, number]>;

/** What must be a whole number. */
const WHOLE: readonly string[] = ['window.calls', 'minimumCalls', 'probes'];

/** What is wrong with settings, which must have every field. */
export function settingsProblems(settings: BreakerSettings): FieldProblem[] {
  const { window, minimumCalls, cooldown, cooldownMax } = settings;
  const fields = Object.keys({ ...BREAKER_DEFAULTS, ...settings }).filter((field) => field !== 'window');
  const problems = fields.flatMap((field) => numberProblems([field], valueAt(settings, [field])));
  const sized = windowSize(window);
  if (sized === undefined) return [...problems, [['window'], 'either { calls } or { seconds }']];
  problems.push(...numberProblems(['window', sized.field], sized.value));
  if (problems.length > 0) return problems;
  if (cooldownMax < cooldown) return [[['cooldownMax'], `at least the cooldown, ${cooldown} ms`]];
  if ('calls' in window && minimumCalls > window.calls) {
    return [[['minimumCalls'], `at most the calls of the window, ${window.calls}`]];
  }
  return [];
}

function windowSize(window: unknown): { field: string; value: unknown } | undefined {
  const fields = typeof window === 'object' && window !== null ? Object.entries(window) : [];
  const [[field, value] = ['', undefined], ...more] = fields;
  return more.length === 0 && (field === 'calls' || field === 'seconds') ? { field, value } : undefined;
}

function numberProblems(path: readonly string[], value: unknown): FieldProblem[] {
  const field = path.join('.');
  if (!Object.hasOwn(BREAKER_RANGES, field)) {
    return [[path, `left out (the fields are ${Object.keys(BREAKER_RANGES).join(', ')})`]];
  }
  const [least, most] = BREAKER_RANGES[field as keyof typeof BREAKER_RANGES];
  const whole = WHOLE.includes(field);
  const fits = typeof value === 'number' && value >= least && value <= most;
  return fits && (!whole || Number.isInteger(value))
    ? []
    : [[path, `a ${whole ? 'whole ' : ''}number from ${least} to ${most}`]];
}
