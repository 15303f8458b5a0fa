// What is loaded decides how fast a worker starts, and a command answers.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(__dirname, '..', '..');

/** The modules of the AI SDK's that are loaded by `code`. */
function loadedBy(code: string): unknown {
  const print = `Object.keys(require.cache).filter((file) => /node_modules.(ai|@ai-sdk)./.test(file)).length`;
  const output = execFileSync(process.execPath, ['-e', `${code}; console.log(${print})`], {
    cwd: root,
    encoding: 'utf8',
  });
  return Number(output);
}

test('a model agent is defined without the AI SDK', () => {
  const code = `const { modelAgent } = require('./dist');
    modelAgent({ name: 'a', description: 'a', instructions: 'a', model: 'openai/gpt-5-mini' })`;
  expect(loadedBy(code)).toBe(0);
});

test('it is found where it is loaded', () => {
  expect(loadedBy("require('ai')")).toBeGreaterThan(0);
});
