// The agent of `bench/model.js` by hand: a workflow that holds the transcript, with each call as an activity.
const { proxyActivities } = require('@temporalio/workflow');

/** Each call of the model is given the transcript so far, so that history holds all of them. */
async function transcript(prompt) {
  const { ask, look } = proxyActivities({ startToCloseTimeout: '5 minutes', retry: { maximumAttempts: 5 } });
  const messages = [{ role: 'user', content: prompt }];
  for (;;) {
    const { text, answer, toolCalls } = await ask(messages);
    messages.push(...answer);
    if (toolCalls.length === 0) return text;
    for (const { toolCallId, toolName, input } of toolCalls) {
      const output = { type: 'text', value: await look(input) };
      messages.push({ role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName, output }] });
    }
  }
}

module.exports = { transcript };
