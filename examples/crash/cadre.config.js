// The embedded team, slowed down so that a person can watch, and with a ledger outside Temporal: a line in a file
// when an agent begins and when it ends. The demo reads from it what really ran.
const { appendFileSync } = require('node:fs');
const { setTimeout: pause } = require('node:timers/promises');
const { defineAgent, defineConfig } = require('cadre');
const { embeddedAgents } = require('cadre/worker');

const ledger = process.env.CRASH_LEDGER;
const write = (entry) => appendFileSync(ledger, `${JSON.stringify({ ...entry, worker: process.pid })}\n`);

const watched = embeddedAgents
  .filter(({ name }) => name !== 'planner')
  .map((agent) =>
    defineAgent({
      ...agent,
      policy: { ...agent.policy, heartbeatTimeout: '2s' },
      async act(input, context) {
        const { step, idempotencyKey, attempt } = context;
        write({ what: 'began', step, idempotencyKey, attempt });
        await pause(step === 'research-1' ? 400 : 1500, undefined, { signal: context.signal });
        const output = await agent.act(input, context);
        write({ what: 'ended', step, idempotencyKey, attempt });
        return output;
      },
    }),
  );

module.exports = defineConfig({ cadre: 'crash-demo', agents: watched });
