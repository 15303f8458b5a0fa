import type { DailyBudget } from '../core/budget/budget';
import type { AnyAgent } from './define-agent';

/** What `cadre.config.js` or `cadre.config.ts` exports as its default. All fields are optional. */
export interface CadreConfig {
  /** Name of the cadre. Default `cadre`. */
  cadre?: string;
  /** Your agents. One that has the name of an embedded agent takes its place. */
  agents?: readonly AnyAgent[];
  /** Whether the embedded agents (planner, research, analysis, writer) are there too; `person` always is. Default true. */
  embedded?: boolean;
  /** What all agents of the cadre may use a day (UTC) together. Default: no limit. */
  budget?: DailyBudget;
  /** Module of your own workflows, relative to the configuration file; it must also export ours. */
  workflows?: string;
}

/** Returns `config`; gives editors its type. */
export function defineConfig(config: CadreConfig): CadreConfig {
  return config;
}
