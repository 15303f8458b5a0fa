import { join } from 'node:path';
import { ROOT } from './cli';

/**
 * A configuration file whose agents remember. `scout` adds each of its input's `facts` to the set `facts`, counts them in
 * `sources` and decides `factsChosen`; `judge` assigns its input's `verdict` in the term it acts in, notes it in `owners`
 * and `verdicts`, and decides `judged`. `watch` only gives back its input; `spare` is never told anything.
 */
export function memorySource(): string {
  return `
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const make = (name, act, more = {}) =>
  defineAgent({ name, description: 'the agent ' + name, input: anything, output: anything, act, ...more });
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('scout', ({ facts }, context) => {
      for (const fact of facts) context.knowledge.set('facts').add(fact);
      context.knowledge.counter('sources').increment(facts.length);
      context.decide({ type: 'factsChosen', rationale: 'chose ' + facts.length + ' facts', evidence: facts });
      return facts.length;
    }, { memory: { replicas: 2 } }),
    make('judge', ({ verdict }, context) => {
      context.knowledge.register('verdict').assign(verdict, { term: context.term });
      context.knowledge.multiValueRegister('status').assign('judged');
      context.knowledge.map('owners').set('depot', 'judge');
      context.knowledge.log('verdicts').append({ verdict });
      context.decide({ type: 'judged', rationale: 'weighed it all' });
      return verdict;
    }),
    make('watch', (input) => input),
    make('spare', (input) => input),
  ],
});
`;
}
