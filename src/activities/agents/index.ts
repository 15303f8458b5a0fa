import type { AnyAgent } from '../define-agent';
import { analysis } from './analysis';
import { person } from './person';
import { planner } from './planner';
import { research } from './research';
import { writer } from './writer';

/** The agents that come with Cadre and need no model, key or network. One line each. */
export const embeddedAgents: readonly AnyAgent[] = [planner, research, analysis, writer, person];
