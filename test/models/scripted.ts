import { callAgent, type CallOptions, type CallResult } from '../../src/testing/call-agent';
import type { Agent } from '../../src/activities/define-agent';
import { ScriptedModel } from '../../src/testing/scripted-model';
import type { Script } from '../../src/testing/scripted-model';

const KEY = 'key-of-the-scripted-model';

/** The model that agents ask in these tests; it is at the addresses of all providers that have a variable for theirs. */
export async function startModel(): Promise<ScriptedModel> {
  const model = await ScriptedModel.start(() => 'no script yet', { key: KEY });
  const { url } = model;
  Object.assign(process.env, {
    OPENAI_BASE_URL: url,
    OPENAI_API_KEY: KEY,
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_API_KEY: KEY,
    CADRE_MODEL_URL: url,
    CADRE_MODEL_KEY: KEY,
  });
  return model;
}

/** What tests see of such a model. */
export type TestModel = Pick<ScriptedModel, 'calls' | 'becomes'>;

/** The model of a test file, where it is called outside of the tests: it is there from the first to the last of them. */
export function modelOfFile(): TestModel {
  let model: ScriptedModel;
  beforeAll(async () => {
    model = await startModel();
  });
  afterAll(() => model.close());
  return {
    get calls() {
      return model.calls;
    },
    becomes: (script) => model.becomes(script),
  };
}

/** One attempt of `agent`, whose model answers as `script` says. */
export async function callScripted<Input, Output>(
  model: TestModel,
  agent: Agent<Input, Output>,
  input: Input,
  script: Script,
  options: CallOptions = {},
): Promise<CallResult<Output>> {
  model.becomes(script);
  model.calls.length = 0;
  return callAgent(agent, input, options);
}
