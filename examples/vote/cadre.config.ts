import { type Agent, defineAgent, defineConfig } from 'cadre';
import { z } from 'zod';

const release = z.object({ failedTests: z.int().min(0), openBugs: z.int().min(0) });
const ballot = z.object({ choice: z.enum(['ship', 'wait']), reason: z.string() });
type Release = z.infer<typeof release>;

/** An agent that votes to ship a release unless `objection` finds something. */
function voter(
  name: string,
  objection: (state: Release) => string | undefined,
): Agent<Release, z.infer<typeof ballot>> {
  return defineAgent({
    name,
    description: `Votes on a release as a ${name}`,
    input: release,
    output: ballot,
    act(state) {
      const reason = objection(state);
      return reason === undefined
        ? { choice: 'ship', reason: 'nothing against it' }
        : { choice: 'wait', reason };
    },
  });
}

export default defineConfig({
  cadre: 'release',
  agents: [
    voter('tester', ({ failedTests }) => (failedTests > 0 ? `${failedTests} tests fail` : undefined)),
    voter('supporter', ({ openBugs }) => (openBugs > 0 ? `${openBugs} bugs are open` : undefined)),
    voter('manager', ({ openBugs }) => (openBugs > 5 ? 'too many open bugs' : undefined)),
  ],
  embedded: false,
});
