/**
 * The provider of `bench/model.js`, as a process of its own. Asked for `N calls` it has the tool `look` called so often, one
 * call an answer, before it says that it is done; where the first is to bring `B bytes`, it does. Tells its parent its address.
 */
const { ScriptedModel } = require('../../dist/testing/scripted-model');

/** What a call brings, in bytes. */
const FOUND = 2000;

function script({ turn, messages: [{ text }] }) {
  const [, calls, first] = /(\d+) calls(?:, the first of (\d+) bytes)?/.exec(text);
  if (turn > Number(calls)) return 'done';
  const bytes = turn === 1 && first !== undefined ? Number(first) : FOUND;
  return { kind: 'answer', toolCalls: [{ name: 'look', input: { place: turn, bytes } }] };
}

void ScriptedModel.start(script).then((model) => {
  process.send(model.url);
  process.once('disconnect', () => process.exit());
});
