// The workflows of `bench/saga.js`: the same three activities called by the class Saga, and by hand.
const { proxyActivities, workflowInfo } = require('@temporalio/workflow');
const workflows = require('../dist/workflows');

const STEPS = ['a', 'b', 'c'];

/** Three steps of the agent `booking`, the next on the output of the last. */
async function sagaOfThree(input) {
  const saga = new workflows.Saga();
  let value = input;
  for (const id of STEPS) value = await saga.step(id, { agent: 'booking', input: value });
  return value;
}

/** The same activity, with the time limits of the agents' default policy, and nothing that undoes it. */
async function bareOfThree(input) {
  const { booking } = proxyActivities({
    startToCloseTimeout: '2 minutes',
    heartbeatTimeout: '5 seconds',
    retry: { maximumAttempts: 3, initialInterval: '1 second', maximumInterval: '30 seconds' },
  });
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const root = `${workflowId}/${firstExecutionRunId}`;
  let value = input;
  for (const step of STEPS) {
    const envelope = { root, step, kind: 'act', term: 0, version: 1 };
    const request = { goal: '', instruction: '', input: value, outputs: {}, inlineMaximum: 1024 * 1024 };
    ({ value } = (await booking(envelope, request)).output);
  }
  return value;
}

module.exports = { ...workflows, sagaOfThree, bareOfThree };
