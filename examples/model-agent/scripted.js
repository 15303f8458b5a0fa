/**
 * A model on this machine that needs no key: it says what the clerk's model should. `node examples/model-agent/scripted.js`
 * serves it until it is stopped.
 */
const { ScriptedModel } = require('cadre/testing');

const PORT = 8397;

/**
 * Looks the order up, asks a person, and decides by what that says.
 * @type {import('cadre/testing').Script}
 */
const script = ({ turn, messages }) => {
  if (turn === 1) return { kind: 'answer', toolCalls: [{ name: 'order', input: { id: 'A-17' } }] };
  if (turn === 2) {
    const input = { dollars: 120, why: 'Shipped on 2026-11-09, and not arrived.' };
    return { kind: 'answer', toolCalls: [{ name: 'askPerson', input }] };
  }
  const agreed = messages.at(-1)?.text.includes('"answer":"yes"');
  const output = agreed
    ? { decision: 'refund', reason: 'The lamp has not arrived, and a person agreed.' }
    : { decision: 'resend', reason: 'The lamp has not arrived, and no refund was agreed to.' };
  return { kind: 'answer', output };
};

async function main() {
  const { url } = await ScriptedModel.start(script, { port: PORT });
  console.log('Serves a scripted model until it is stopped. For the worker:');
  console.log(`export CADRE_MODEL=openai/gpt-5-mini OPENAI_BASE_URL=${url} OPENAI_API_KEY=any`);
}

if (require.main === module) void main();

module.exports = { script };
