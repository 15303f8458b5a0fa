import type { ModelTool } from '../../../src/models/model-tools';
import type { ToolContext } from '../../../src/models/tool-run';

/** One call of a tool, its input read by its schema as a model's would be. */
export async function callTool<Input>(
  tool: ModelTool<Input>,
  input: unknown,
  signal: AbortSignal = new AbortController().signal,
): Promise<unknown> {
  const read = await tool.input['~standard'].validate(input);
  if (read.issues !== undefined) throw new Error(read.issues.map(({ message }) => message).join('; '));
  return tool.run(read.value, { signal } as ToolContext);
}
