import type { Stored } from '../core/stored';
import type { Effect, EffectLedger, EffectStanding, Intent, Settlement } from './effect-ledger';

type Entry =
  | { readonly kind: 'intended'; readonly intent: Intent }
  /** `outcome` is JSON, as a ledger outside of the process keeps it. */
  | { readonly kind: 'settled'; readonly outcome: string };

/** An {@link EffectLedger} that lasts as long as the object: for tests. */
export class MemoryLedger implements EffectLedger {
  private readonly entries = new Map<string, Entry>();
  private readonly tombstones = new Set<string>();

  async begin(effect: Effect, intent: Intent, replaces?: string): Promise<EffectStanding> {
    if (this.tombstones.has(effect.action)) return { kind: 'undone' };
    const entry = this.entries.get(keyOf(effect));
    if (entry?.kind === 'settled') return { kind: 'done', outcome: JSON.parse(entry.outcome) as Stored };
    if (entry !== undefined && entry.intent.id !== intent.id && entry.intent.id !== replaces) {
      return { kind: 'unknown', intent: entry.intent };
    }
    this.entries.set(keyOf(effect), { kind: 'intended', intent });
    return { kind: 'fresh' };
  }

  async settle(effect: Effect, outcome: Stored): Promise<Settlement> {
    const entry = this.entries.get(keyOf(effect));
    const json = entry?.kind === 'settled' ? entry.outcome : JSON.stringify(outcome);
    this.entries.set(keyOf(effect), { kind: 'settled', outcome: json });
    return { outcome: JSON.parse(json) as Stored, undone: this.tombstones.has(effect.action) };
  }

  async withdraw(effect: Effect, intentId: string): Promise<void> {
    const entry = this.entries.get(keyOf(effect));
    if (entry?.kind === 'intended' && entry.intent.id === intentId) this.entries.delete(keyOf(effect));
  }

  async tombstone(action: string): Promise<void> {
    this.tombstones.add(action);
  }

  async isTombstoned(action: string): Promise<boolean> {
    return this.tombstones.has(action);
  }
}

function keyOf({ action, agent, name }: Effect): string {
  return JSON.stringify([action, agent, name]);
}
