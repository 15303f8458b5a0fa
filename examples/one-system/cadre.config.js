// The team of a small press. What it does outside goes to the world at WORLD_URL; what the agents find out and decide
// stays in the cadre.
const { ApplicationFailure } = require('@temporalio/common');
const { defineAgent, defineConfig } = require('cadre');
const { z } = require('zod');

const WORLD = process.env.WORLD_URL ?? 'http://127.0.0.1:8397';
const FACTS = ['harbour', 'tides', 'weather', 'lights', 'wrecks'];
const QUICK = { heartbeatTimeout: '1s', retry: { initialInterval: '100ms', maximumAttempts: 5 } };

async function ask(path, { signal, body } = {}) {
  const response = await fetch(`${WORLD}/${path}`, {
    ...(body === undefined
      ? {}
      : { method: 'POST', body: JSON.stringify({ ...body, worker: process.pid, at: Date.now() }) }),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  if (response.status === 410) throw ApplicationFailure.nonRetryable(text, 'OutOfOrder');
  throw ApplicationFailure.create({ message: text, type: 'WorldUnavailable' });
}

/**
 * An effect that the world would have as often as it is asked for. So an attempt that finds one that was begun, by a worker
 * that was killed in the middle of it, looks whether it happened.
 */
function effect(what, { once, idempotencyKey: key, step, term }) {
  return once('effect', () => ask('effects', { body: { key, step, what, term } }), {
    reconcile: async () => {
      const { count } = await ask(`effects?key=${encodeURIComponent(key)}`);
      return count > 0 ? { done: true, result: { what } } : { done: false };
    },
  });
}

/** Takes back what was done under the key `action`, if anything. */
async function takeBack({ action }, { once, step }) {
  const find = () => ask(`effects?key=${encodeURIComponent(action)}`);
  const { count } = await find();
  if (count === 0) return;
  await once('undo', () => ask('undone', { body: { key: action, step } }), {
    reconcile: async () => ((await find()).undone > 0 ? { done: true, result: {} } : { done: false }),
  });
}

const planner = defineAgent({
  name: 'planner',
  description: 'Has facts bought side by side, and each reviewed',
  input: z.object({ goal: z.string() }),
  output: z.any(),
  act: () => ({
    steps: [
      { id: 'archive', agent: 'archivist', instruction: 'look into the archive', input: { fact: 'archive' } },
      ...FACTS.map((fact) => ({
        id: fact,
        agent: 'reporter',
        instruction: `find out: ${fact}`,
        input: { fact },
      })),
      ...['archive', ...FACTS].map((fact) => ({
        id: `review-${fact}`,
        agent: 'reviewer',
        instruction: `review: ${fact}`,
        input: { fact, found: { $output: fact } },
        needs: FACTS,
      })),
    ],
  }),
});

/** On the leader: who has a step that failed for good. The world takes its time to say. */
const assigner = defineAgent({
  name: 'assigner',
  description: 'Asks the desk who else could do it',
  input: z.object({ step: z.object({ id: z.string() }) }),
  output: z.object({ agent: z.string(), reason: z.string() }),
  act: ({ step }, { signal, term }) => ask('desk', { signal, body: { step: step.id, term } }),
});

const archivist = defineAgent({
  name: 'archivist',
  description: 'Looks into the archive',
  skills: ['facts'],
  input: z.object({ fact: z.string() }),
  output: z.object({ fact: z.string() }),
  act() {
    throw ApplicationFailure.nonRetryable('the archive is closed', 'ArchiveClosed');
  },
});

const reporter = defineAgent({
  name: 'reporter',
  description: 'Buys a fact, and has all agents know it',
  skills: ['facts'],
  input: z.object({ fact: z.string(), title: z.string().optional() }),
  output: z.object({ fact: z.string() }),
  policy: QUICK,
  async act({ fact, title }, context) {
    await effect(`buy ${fact}`, context);
    context.knowledge.set('facts').add(fact);
    if (title !== undefined) context.knowledge.multiValueRegister('title').assign(title);
    return { fact };
  },
});

const reviewer = defineAgent({
  name: 'reviewer',
  description: 'Has a model review a fact',
  skills: ['review'],
  input: z.object({ fact: z.string(), found: z.object({ fact: z.string() }) }),
  output: z.object({ verdict: z.string() }),
  policy: {
    ...QUICK,
    // Within 5 s of its opening each worker has heard of it.
    breaker: { key: 'model', window: { calls: 3 }, minimumCalls: 3, cooldown: '7s', maxProbeTime: '10s' },
  },
  async act({ fact }, { signal, idempotencyKey: key, decide }) {
    const { verdict } = await ask('model', { signal, body: { key, fact } });
    decide({ type: 'reviewed', rationale: `${fact} is ${verdict}` });
    return { verdict };
  },
});

/** An agent of the printing: what it does can be taken back. */
const undoable = (name, description) =>
  defineAgent({
    name,
    description,
    input: z.object({ of: z.string() }),
    output: z.object({ what: z.string() }),
    policy: QUICK,
    act({ of }, context) {
      // Knowledge of a step that is undone never counts.
      context.knowledge.set('facts').add(`${name} has ${of}`);
      return effect(`${name} ${of}`, context);
    },
    compensate: takeBack,
  });

module.exports = defineConfig({
  embedded: false,
  agents: [
    planner,
    assigner,
    archivist,
    reporter,
    reviewer,
    undoable('stock', 'Reserves paper'),
    undoable('payment', 'Pays for it'),
    undoable('press', 'Prints'),
  ],
});
