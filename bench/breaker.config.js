// The cadre of `bench/breaker.js`: the same agent behind a breaker and without one. BENCH_AGENT says where it is served.
const { z } = require('zod');
const { defineAgent, defineConfig } = require('../dist');

async function call(_input, { signal }) {
  const response = await fetch(process.env.BENCH_AGENT, { signal });
  if (response.ok) return response.text();
  throw Object.assign(new Error(`HTTP ${response.status}`), {
    status: response.status,
    headers: response.headers,
  });
}

const agent = (name, policy) =>
  defineAgent({
    name,
    description: 'calls a service',
    input: z.unknown(),
    output: z.unknown(),
    policy,
    act: call,
  });

module.exports = defineConfig({
  cadre: 'breaker-bench',
  embedded: false,
  agents: [
    agent('guarded', { breaker: { key: 'service' } }),
    // Without a breaker a task lives through an outage by trying on.
    agent('bare', { retry: { maximumAttempts: Infinity } }),
  ],
});
