/** The breakers of a worker's agents: one a key, which agents may share. */
import { randomUUID } from 'node:crypto';
import type { BreakerView } from '../../core/breaker/breaker';
import { BREAKER_WORDS, reasonWords } from '../../core/breaker/details';
import type { BreakerReply, BreakerReport } from '../../core/breaker/report';
import { CadreError } from '../../core/failures';
import { canonicalJson } from '../../core/json';
import { type OpenBreaker, fallbackOf } from '../../core/policy';
import type { AnyAgent } from '../define-agent';
import type { Guard } from './guard';
import { LocalBreaker, type Surroundings } from './local-breaker';

/** The breakers that the whole cadre shares. */
export interface SharedBreakers {
  /** Tells the breaker of `key`, and hears where it stands. Rejects where it does not answer in time. */
  report(key: string, report: BreakerReport): Promise<BreakerReply>;
  /** Those that are not closed, about a second behind. Rejects where the server does not say. */
  notClosed(): Promise<readonly OpenBreaker[]>;
}

/** How often, in ms, a worker looks whether somebody else has heard that a breaker is not closed. */
const LOOK_INTERVAL = 5000;

/** How long a worker that stops waits for its last reports, in ms. */
const SETTLING_MAXIMUM = 1000;

const AROUND: Omit<Surroundings, 'id'> = {
  now: () => performance.now(),
  random: Math.random,
  later: (work, wait) => void setTimeout(work, wait).unref(),
};

export class Breakers {
  private readonly byKey = new Map<string, LocalBreaker>();
  private stopped = false;

  constructor(
    agents: readonly AnyAgent[],
    private readonly shared: SharedBreakers,
    /** Told in a sentence how a breaker stands, when this worker hears of a change. */
    say: (message: string) => void = () => undefined,
    private readonly around: Surroundings = { ...AROUND, id: randomUUID() },
  ) {
    checkBreakers(agents);
    for (const { breakerSettings, resolvedPolicy } of agents) {
      const { key } = resolvedPolicy.breaker ?? {};
      if (key === undefined || breakerSettings === undefined || this.byKey.has(key)) continue;
      const tell = (report: BreakerReport): Promise<BreakerReply> => shared.report(key, report);
      const changed = ({ kind, retryAfter, why }: BreakerView): void => {
        const because = why === undefined ? '' : `: ${reasonWords(why)}`;
        const again = kind === 'open' ? `; to be probed in ${Math.ceil(retryAfter / 1000)} s` : '';
        say(`The breaker "${key}" is ${BREAKER_WORDS[kind]}${because}${again}`);
      };
      this.byKey.set(key, new LocalBreaker(breakerSettings, tell, around, changed));
    }
  }

  /** What guards `agent`; undefined where nothing does. */
  guardOf(agent: AnyAgent): Guard | undefined {
    const { key, onOpen } = agent.resolvedPolicy.breaker ?? {};
    const breaker = this.byKey.get(key ?? '');
    if (key === undefined || breaker === undefined) return undefined;
    return { key, breaker, fails: onOpen === 'fail', classify: agent.policy?.breaker?.classify };
  }

  /** Those that are not closed, as the leader is told; none where the server does not say. */
  async notClosed(): Promise<readonly OpenBreaker[]> {
    return this.byKey.size === 0 ? [] : this.shared.notClosed().catch(() => []);
  }

  /** Looks now and every {@link LOOK_INTERVAL} ms, until {@link stop}. */
  watch(): void {
    if (this.stopped || this.byKey.size === 0) return;
    this.look();
    this.around.later(() => this.watch(), LOOK_INTERVAL);
  }

  /**
   * A worker whose own calls go well would otherwise not hear that somebody tripped or isolated a breaker. No call waits
   * for it.
   */
  look(): void {
    this.shared.notClosed().then(
      (open) => open.forEach(({ key }) => this.byKey.get(key)?.suspect()),
      // The next look comes.
      () => undefined,
    );
  }

  stop(): void {
    this.stopped = true;
  }

  /** Resolves when the fleet has heard of what ended last, such as a probe that a stopping worker gave back; or in a second. */
  async settled(): Promise<void> {
    const all = Promise.all([...this.byKey.values()].map((breaker) => breaker.settled()));
    await Promise.race([all, new Promise<void>((resolve) => this.around.later(resolve, SETTLING_MAXIMUM))]);
  }
}

/** Throws ConfigInvalid where agents of one key disagree, or a fallback is nobody or leads back to where it began. */
export function checkBreakers(agents: readonly AnyAgent[]): void {
  const byName = new Map(agents.map((agent) => [agent.name, agent]));
  const settings = new Map<string, { agent: string; json: string }>();
  for (const { name, resolvedPolicy, breakerSettings } of agents) {
    const { breaker } = resolvedPolicy;
    if (breaker === undefined) continue;
    const json = canonicalJson(breakerSettings);
    const first = settings.get(breaker.key) ?? { agent: name, json };
    settings.set(breaker.key, first);
    if (first.json !== json) {
      throw new CadreError(
        'ConfigInvalid',
        `Expected the agents "${first.agent}" and "${name}", which share the breaker "${breaker.key}", to have the same settings of it, got ${first.json} and ${json}`,
      );
    }
    checkFallbacks(name, byName);
  }
}

function checkFallbacks(name: string, byName: ReadonlyMap<string, AnyAgent>): void {
  const chain = [name];
  const after = (of: string): string | undefined => fallbackOf(byName.get(of)?.resolvedPolicy);
  for (let next = after(name); next !== undefined; next = after(next)) {
    if (!byName.has(next)) {
      throw new CadreError('ConfigInvalid', `No agent is named "${next}", the fallback of "${chain.at(-1)}"`);
    }
    if (chain.includes(next)) {
      throw new CadreError('ConfigInvalid', `Expected fallbacks to end, got ${[...chain, next].join(' → ')}`);
    }
    chain.push(next);
  }
}
