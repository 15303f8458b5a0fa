/** What a worker may do: stand for leader, run workflows, run agents. */
export const ROLES = ['leader', 'workflows', 'agents'] as const;
export type Role = (typeof ROLES)[number];
