import { WORKFLOW_CODE, inputSteps } from '../../src/core/step-inputs';

test.each([
  ['a plan that says no input', { outputs: { a: { value: 1 }, b: { value: 2 } } }, ['a', 'b']],
  // It waits for b, and gets nothing of it.
  [
    'references',
    { input: { of: [{ $output: 'a' }, { $output: 'a' }] }, outputs: { a: { value: 1 }, b: { value: 2 } } },
    ['a'],
  ],
  ['an input that the plan says whole', { input: { city: 'Rome' }, outputs: { b: { value: 2 } } }, []],
  ['nothing', {}, []],
  ['an input that workflow code made', { input: { city: 'Rome' }, madeByCode: true }, [WORKFLOW_CODE]],
  // Its reason may be another step's words, and there need be no output.
  ['what is undone', { outputs: { b: { value: 2 } }, undone: 'a' }, ['b', 'a']],
  ['what is undone and has an output', { outputs: { a: { value: 2 } }, undone: 'a' }, ['a']],
] as const)('of %s the steps whose outputs are in the input are known', (_what, inputs, steps) => {
  expect(inputSteps(inputs)).toEqual(steps);
});
