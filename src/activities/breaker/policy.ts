import type { Duration } from '@temporalio/common';
import { BREAKER_DEFAULTS, type BreakerSettings, settingsProblems } from '../../core/breaker/settings';
import { CadreError } from '../../core/failures';
import { isRecord, valueAt } from '../../core/json';
import { isKey } from '../../core/key';
import type { OnOpen, ResolvedBreaker } from '../../core/policy';
import type { Outcome } from '../../core/outcome';
import { milliseconds, refuseUnknown } from '../policy-fields';

/**
 * When an agent's breaker opens and closes. All fields are optional; durations are milliseconds or strings like `'30s'`.
 * Agents that share a key must have the same settings.
 */
export interface BreakerPolicy {
  /**
   * Agents of one key share one breaker: name the provider, account and model family. 1 to 200 characters of any script.
   * Default: the agent's name.
   */
  key?: string;
  /** Opens where at least this share of the calls in the window failed. Default 0.5; 0.001 to 1. */
  failureRate?: number;
  /** Opens where at least this share of the calls in the window was slow. Default 1; 0.001 to 1. */
  slowCallRate?: number;
  /** A call that takes longer is slow. Default 1 minute; 1 ms to 1 day. */
  slowCallDuration?: Duration;
  /** The last so many calls (1 to 1,000), or those of the last so many seconds (1 to 86,400). Default 60 seconds. */
  window?: { calls: number } | { seconds: number };
  /** It opens on no fewer calls. Default 10, or the calls of the window where these are fewer; 1 to 1,000,000. */
  minimumCalls?: number;
  /**
   * How long it stays open at first (up to a tenth longer, at random); twice as long after each probe in a row that fails.
   * Default 30 seconds; 10 ms to 7 days.
   */
  cooldown?: Duration;
  /** No cooldown is longer. Default 10 minutes, or `cooldown` where that is longer; up to 7 days. */
  cooldownMax?: Duration;
  /** After the cooldown the whole fleet makes so many calls; they decide together. Default 1; 1 to 100. */
  probes?: number;
  /** A probe that has not reported for so long is given to another call. Default 2 minutes; 10 ms to 1 day. */
  maxProbeTime?: Duration;
  /**
   * What an error says of the provider, where you know better than the table in docs/breakers.md: `failure` counts,
   * `ignored` does not, `final` does not and is not retried, `{ paced: ms }` asks for no calls for so long. Undefined leaves
   * it to the table.
   */
  classify?: (error: unknown) => Outcome | undefined;
}

/** See {@link AgentPolicy.onOpen}. `fallback`: an agent of the cadre, or its name. */
export type OnOpenPolicy = 'wait' | 'fail' | { readonly fallback: string | { readonly name: string } };

/** What a policy says of a breaker, with the defaults filled in; undefined where it says nothing. Throws PolicyInvalid. */
export function resolveBreaker(
  agent: string,
  policy: { readonly breaker?: BreakerPolicy; readonly onOpen?: OnOpenPolicy } = {},
): { breaker: ResolvedBreaker; settings: BreakerSettings } | undefined {
  const { breaker, onOpen } = policy;
  if (breaker === undefined) {
    if (onOpen === undefined) return undefined;
    throw invalid(agent, 'onOpen', 'left out, since the policy has no `breaker`', onOpen);
  }
  if (!isRecord(breaker)) throw invalid(agent, 'breaker', 'an object', breaker);
  const { key = agent, classify } = breaker as BreakerPolicy;
  if (!isKey(key)) {
    throw invalid(agent, 'breaker.key', '1 to 200 characters without control characters', key);
  }
  if (classify !== undefined && typeof classify !== 'function') {
    throw invalid(agent, 'breaker.classify', 'a function', classify);
  }
  return { breaker: { key, onOpen: onOpenOf(agent, onOpen) }, settings: settingsOf(agent, breaker) };
}

const FIELDS = [...Object.keys(BREAKER_DEFAULTS), 'key', 'classify'];
const DURATIONS = ['slowCallDuration', 'cooldown', 'cooldownMax', 'maxProbeTime'] as const;

function settingsOf(agent: string, given: BreakerPolicy): BreakerSettings {
  refuseUnknown(agent, 'policy.breaker', given, FIELDS);
  const { key: _key, classify: _classify, ...numbers } = given;
  const durations: Partial<Record<(typeof DURATIONS)[number], number>> = {};
  for (const field of DURATIONS) {
    const value = given[field];
    if (value !== undefined) durations[field] = milliseconds(agent, `breaker.${field}`, value);
  }
  const set = { ...defined(numbers), ...durations } as Partial<BreakerSettings>;
  const { window = BREAKER_DEFAULTS.window, cooldown = BREAKER_DEFAULTS.cooldown } = set;
  const most = valueAt(window, ['calls']);
  const settings: BreakerSettings = {
    ...BREAKER_DEFAULTS,
    minimumCalls: Math.min(BREAKER_DEFAULTS.minimumCalls, Number.isInteger(most) ? Number(most) : Infinity),
    cooldownMax: Math.max(BREAKER_DEFAULTS.cooldownMax, cooldown),
    ...set,
  };
  const [problem] = settingsProblems(settings);
  if (problem === undefined) return settings;
  const [path, expected] = problem;
  throw invalid(agent, ['breaker', ...path].join('.'), expected, valueAt(settings, path));
}

function defined<Fields extends object>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<Fields>;
}

function onOpenOf(agent: string, onOpen: OnOpenPolicy = 'wait'): OnOpen {
  if (onOpen === 'wait' || onOpen === 'fail') return onOpen;
  const fallback: unknown = isRecord(onOpen) ? onOpen['fallback'] : undefined;
  const name = isRecord(fallback) ? fallback['name'] : fallback;
  if (typeof name === 'string' && name !== agent) return { fallback: name };
  throw invalid(agent, 'onOpen', "'wait', 'fail' or { fallback: another agent }", onOpen);
}

function invalid(agent: string, field: string, expected: string, got: unknown): CadreError {
  return new CadreError(
    'PolicyInvalid',
    `Expected \`policy.${field}\` of agent "${agent}" to be ${expected}, got ${JSON.stringify(got)?.slice(0, 80)}`,
  );
}
