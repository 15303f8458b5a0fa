// What one would write by hand with Temporal's SDK. No Cadre in it.
const {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  proxyActivities,
  setHandler,
  workflowInfo,
} = require('@temporalio/workflow');

/** The floor for Cadre notices a dead worker as Cadre does: by the heartbeat timeout of its default policy. */
function activities() {
  const { taskQueue } = workflowInfo();
  return proxyActivities({
    startToCloseTimeout: '2 minutes',
    retry: { maximumAttempts: 3 },
    ...(taskQueue === 'tuned' ? { heartbeatTimeout: '5 seconds' } : {}),
  });
}
const { slowStep } = proxyActivities({
  startToCloseTimeout: '2 minutes',
  heartbeatTimeout: '1 second',
  retry: { maximumAttempts: 3, initialInterval: '10 ms' },
});

/** Three steps in a row; what was done is undone in reverse where a later one fails. */
async function threeSteps(input) {
  const { step } = activities();
  return saga([step, step, step], input);
}

/** The third fails for good. */
async function failingSteps(input) {
  const { step, refuse } = activities();
  return saga([step, step, refuse], input);
}

async function saga(steps, input) {
  const { undo } = activities();
  const undone = [];
  const compensations = [];
  let value = input;
  try {
    for (const [at, act] of steps.entries()) {
      const given = value;
      value = await act(given);
      compensations.unshift(() => undo(at + 1, given));
    }
    return value;
  } catch (error) {
    for (const compensate of compensations) undone.push(await compensate());
    throw ApplicationFailure.create({
      message: 'A step failed',
      type: 'Undone',
      nonRetryable: true,
      details: undone,
      cause: error,
    });
  }
}

/** A plan, its steps side by side, and a step that takes what they gave. */
async function fanOut(goal) {
  const { plan, step, count } = activities();
  const inputs = await plan(goal);
  return count(await Promise.all(inputs.map((input) => step(input))));
}

/** Three steps, the second of which takes its time. */
async function slowSteps(run, file) {
  for (const number of [1, 2, 3]) await slowStep(run, number, file);
}

const add = defineUpdate('add');
const tell = defineSignal('tell');
const total = defineQuery('total');

/** A map of counters. */
async function entity(counts) {
  const increase = (key) => {
    counts[key] = (counts[key] ?? 0) + 1;
  };
  setHandler(add, increase);
  setHandler(tell, increase);
  setHandler(total, () => Object.values(counts).reduce((sum, each) => sum + each, 0));
  await condition(() => workflowInfo().continueAsNewSuggested && allHandlersFinished());
  await continueAsNew(counts);
}

module.exports = { threeSteps, failingSteps, fanOut, slowSteps, entity };
