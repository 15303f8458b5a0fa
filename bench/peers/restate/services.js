// What a Restate worker serves: the works as its documentation would write them.
const restate = require('@restatedev/restate-sdk');
const common = require('../acts');

/** What the steps do. */
const acts = {
  ...common,
  refuse: async () => {
    throw new restate.TerminalError('It cannot be done');
  },
};

/** The same steps as handlers of a service of their own, for the variant in which each step is a call. */
const agents = restate.service({
  name: 'agents',
  handlers: Object.fromEntries(Object.entries(acts).map(([name, act]) => [name, (_, input) => act(input)])),
});

/** How a work does one of its steps: `perform(context, act, input)`. */
const performs = {
  run: (context, act, input) => context.run(act, () => acts[act](input)),
  call: (context, act, input) => context.serviceClient(agents)[act](input),
};

/** The works as handlers of the service `name`, their steps done by `perform`. */
function works(name, perform) {
  /** As in Restate's guide to sagas. */
  const saga = async (context, steps, input) => {
    const compensations = [];
    let value = input;
    try {
      for (const [at, act] of steps.entries()) {
        value = await perform(context, act, value);
        compensations.push(() => perform(context, 'undo', at + 1));
      }
      return value;
    } catch (error) {
      if (!(error instanceof restate.TerminalError)) throw error;
      const undone = [];
      for (const compensation of compensations.toReversed()) undone.push(await compensation());
      throw new restate.TerminalError(`Undone: ${undone.join()}`, { cause: error });
    }
  };
  return restate.service({
    name,
    handlers: {
      W1: (context, input) => saga(context, ['step', 'step', 'step'], input),
      W2: async (context) => {
        const inputs = await perform(context, 'plan');
        const steps = inputs.map((input) => perform(context, 'step', input));
        return perform(context, 'count', await restate.RestatePromise.all(steps));
      },
      W3: (context, input) => saga(context, ['step', 'step', 'refuse'], input),
      slow: async (context, { run, file }) => {
        for (const step of [1, 2, 3]) await perform(context, 'slow', { run, step, file });
      },
    },
  });
}

/** The entity: one key of its state for each counter. */
const counters = restate.object({
  name: 'counters',
  handlers: {
    add: async (context, key) => {
      context.set(key, ((await context.get(key)) ?? 0) + 1);
    },
    total: restate.handlers.object.shared(async (context) => {
      let total = 0;
      for (const key of await context.stateKeys()) total += await context.get(key);
      return total;
    }),
  },
});

module.exports = { services: [agents, works('run', performs.run), works('call', performs.call), counters] };
