import { embeddedAgents } from '../../activities/agents';
import { writer } from '../../activities/agents/writer';
import { type AnyAgent, defineAgent } from '../../activities/define-agent';
import { EMBEDDED_PREFIX } from '../../core/names';
import { modelAnalysis } from './analysis';
import { modelPlanner } from './planner';
import { modelResearch } from './research';
import { modelWriter, plainWriter } from './writer';

/** The agents that take an embedded one's place where there is a model. One line each. */
const UPGRADES = {
  planner: modelPlanner,
  research: modelResearch,
  analysis: modelAnalysis,
  writer: modelWriter,
} as const;

/**
 * The embedded agents, those that a model makes better with `model` (`provider/model`). These fall back to what they were
 * without one, which is there as `embedded-NAME`.
 */
export function modelTeam(model: string): readonly AnyAgent[] {
  const upgraded = embeddedAgents.filter(({ name }) => Object.hasOwn(UPGRADES, name));
  const plain = upgraded.map((agent): AnyAgent => {
    const name = plainName(agent.name);
    return agent.name === writer.name ? plainWriter(model, name) : defineAgent({ ...agent, name });
  });
  const hidden = plain.map(({ name }) => name);
  const agents = embeddedAgents.map((agent): AnyAgent => {
    const upgrade = Object.hasOwn(UPGRADES, agent.name)
      ? UPGRADES[agent.name as keyof typeof UPGRADES]
      : undefined;
    return upgrade === undefined ? agent : upgrade(model, plainName(agent.name), hidden);
  });
  return [...agents, ...plain];
}

function plainName(name: string): string {
  return `${EMBEDDED_PREFIX}${name}`;
}
