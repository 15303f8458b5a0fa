// The works as DBOS' documentation would write them. A process that loads this can run them once it has launched DBOS.
const { DBOS } = require('@dbos-inc/dbos-sdk');
const common = require('../acts');

/** What the steps do. */
const acts = {
  ...common,
  refuse: async () => {
    throw new Error('It cannot be done');
  },
};

const perform = (act, input) => DBOS.runStep(() => acts[act](input), { name: act });

/** What was done is undone by hand in reverse, in steps of the same workflow. */
async function saga(steps, input) {
  const compensations = [];
  let value = input;
  try {
    for (const [at, act] of steps.entries()) {
      value = await perform(act, value);
      compensations.push(() => perform('undo', at + 1));
    }
    return value;
  } catch (error) {
    const undone = [];
    for (const compensation of compensations.toReversed()) undone.push(await compensation());
    throw new Error(`Undone: ${undone.join()}`, { cause: error });
  }
}

/** Steps side by side are settled before the workflow goes on, as DBOS asks for. */
async function fanOut() {
  const inputs = await perform('plan');
  const settled = await Promise.allSettled(inputs.map((input) => perform('step', input)));
  const failed = settled.find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return perform(
    'count',
    settled.map(({ value }) => value),
  );
}

async function slowSteps({ run, file }) {
  for (const step of [1, 2, 3]) await perform('slow', { run, step, file });
}

/** A map of counters. A message is `{ key }`, `{ report }` to publish the total under that name, or `{ end: true }`. */
async function counters() {
  const counts = {};
  for (;;) {
    const message = await DBOS.recv('messages', { timeoutSeconds: 3600 });
    if (message?.end) return;
    if (message?.key !== undefined) counts[message.key] = (counts[message.key] ?? 0) + 1;
    if (message?.report !== undefined) {
      const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
      await DBOS.setEvent(message.report, total);
    }
  }
}

const register = (name, workflow) => DBOS.registerWorkflow(workflow, { name });

module.exports = {
  W1: register('W1', (input) => saga(['step', 'step', 'step'], input)),
  W2: register('W2', fanOut),
  W3: register('W3', (input) => saga(['step', 'step', 'refuse'], input)),
  slow: register('slow', slowSteps),
  counters: register('counters', counters),
};
