/** What the calls of tasks came to, by agent, model or day. Owns the memo in which an ended task says it. */
import { isRecord } from './json';
import { type UsageRow, usageRows } from './task-usage';
import type { TaskState } from './task-state';
import { type ModelUsage, addUsage, readUsage } from './usage';

/** One row a model, by the agent whose calls they were. */
export type UsageByAgent = ReadonlyMap<string, readonly ModelUsage[]>;

/** By what costs may be added up. */
export const COST_KEYS = ['agent', 'model', 'day'] as const;
export type CostKey = (typeof COST_KEYS)[number];

/** What calls came to that have something in common: `key`, such as the name of their agent. */
export interface Cost extends Omit<ModelUsage, 'model'> {
  readonly key: string;
}

/** What one task's calls came to. */
export interface TaskUsage {
  /** In UTC, such as `2026-11-22`. */
  readonly day: string;
  readonly usage: UsageByAgent;
}

export function usageByAgent(state: Pick<TaskState, 'usage'>): UsageByAgent {
  const byAgent = new Map<string, readonly ModelUsage[]>();
  for (const { agent, usage } of usageRows(state)) {
    byAgent.set(agent, addUsage(byAgent.get(agent) ?? [], usage));
  }
  return byAgent;
}

/** What stands in the memo of a task once it has ended; undefined where there were no calls. */
export function usageMemo(
  state: Pick<TaskState, 'usage'>,
): Record<string, readonly ModelUsage[]> | undefined {
  return state.usage === undefined ? undefined : Object.fromEntries(usageByAgent(state));
}

/** Reads {@link usageMemo}; undefined where `value` is none. */
export function readUsageMemo(value: unknown): UsageByAgent | undefined {
  if (!isRecord(value)) return undefined;
  const byAgent = new Map<string, readonly ModelUsage[]>();
  for (const [agent, rows] of Object.entries(value)) {
    const usage = readUsage(rows);
    if (usage === undefined) return undefined;
    byAgent.set(agent, usage);
  }
  return byAgent;
}

/** `usage` without what was used `before`: what goes on with a task begins with that. */
export function usageBeyond(usage: UsageByAgent, before: UsageByAgent): UsageByAgent {
  const beyond = new Map<string, readonly ModelUsage[]>();
  for (const [agent, rows] of usage) {
    const earlier = before.get(agent) ?? [];
    const left = rows.flatMap((row) => {
      const less = subtracted(
        row,
        earlier.find(({ model }) => model === row.model),
      );
      return less.calls === 0 ? [] : [less];
    });
    if (left.length > 0) beyond.set(agent, left);
  }
  return beyond;
}

/** The costs by `key`, sorted by it. */
export function addCosts(tasks: readonly TaskUsage[], key: CostKey): Cost[] {
  const rows = tasks.flatMap(({ day, usage }) =>
    [...usage].flatMap(([agent, models]) =>
      models.map((row) => ({ ...row, model: { agent, day, model: row.model }[key] })),
    ),
  );
  return costsOf(rows);
}

/** The costs of a task's pieces of work by what `key` says of each, sorted by it. */
export function addRows(rows: readonly UsageRow[], key: (row: UsageRow, model: string) => string): Cost[] {
  return costsOf(
    rows.flatMap((row) => row.usage.map((usage) => ({ ...usage, model: key(row, usage.model) }))),
  );
}

/** All of them together. */
export function totalCost(costs: readonly Cost[]): Cost {
  const [total] = costsOf(costs.map(({ key: _key, ...cost }) => ({ ...cost, model: 'total' })));
  return total ?? NO_COST;
}

const NO_COST: Cost = {
  key: 'total',
  tokens: 0,
  microUsd: 0,
  calls: 0,
  inputTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  unseen: 0,
};

/** Adds up the rows whose `model` is the same, whatever it names. */
function costsOf(rows: readonly ModelUsage[]): Cost[] {
  return addUsage(rows).map(({ model: key, ...cost }) => ({ key, ...cost }));
}

function subtracted(row: ModelUsage, before: ModelUsage | undefined): ModelUsage {
  if (before === undefined) return row;
  const less = (field: NumberField): number => Math.max(0, row[field] - before[field]);
  return {
    ...row,
    tokens: less('tokens'),
    microUsd: less('microUsd'),
    calls: less('calls'),
    inputTokens: less('inputTokens'),
    cachedTokens: less('cachedTokens'),
    outputTokens: less('outputTokens'),
    unseen: less('unseen'),
  };
}

type NumberField = Exclude<keyof ModelUsage, 'model' | 'unpriced'>;
