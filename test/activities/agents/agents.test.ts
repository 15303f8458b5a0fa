import { join } from 'node:path';
import { embeddedAgents } from '../../../src/activities/agents';
import { planner } from '../../../src/activities/agents/planner';
import { runInThread } from '../../../src/activities/threads';
import { findPassages } from '../../../src/activities/threads/find-passages';
import type { AnyAgent } from '../../../src/activities/define-agent';
import { type Plan, fillInput, planProblems } from '../../../src/core/plan';
import { fakeAgentContext } from '../../support/agent-context';
import { removeTemporaryFolders, temporaryFolder } from '../documents/temporary-folder';
import { answer } from './answer';

// Runs the agents as a worker does, with worker threads: needs `npm run build` first.

const HANDBOOK = join(__dirname, '../../../examples/handbook');
const QUESTION =
  'When should the on-call engineer fail over the database, who has to approve it, and how often do we rehearse it?';
const roster = { agents: [], openBreakers: [] };
const agents = new Map(embeddedAgents.map((agent) => [agent.name, agent]));
const whole = { index: 0, of: 1 };

afterAll(removeTemporaryFolders);

async function checked(schema: AnyAgent['input'], value: unknown): Promise<unknown> {
  const result = await schema['~standard'].validate(value);
  if (result.issues !== undefined) throw new Error(JSON.stringify(result.issues));
  return result.value;
}

/** Carries out a plan step by step; outputs go through JSON as they do through history. */
async function carryOut(plan: Plan) {
  const outputs = new Map<string, unknown>();
  const progress: string[] = [];
  for (const step of plan.steps) {
    const agent = agents.get(step.agent ?? '') as AnyAgent;
    const context = fakeAgentContext({ step: step.id, instruction: step.instruction });
    const output: unknown = await agent.act(
      await checked(agent.input, fillInput(step.input ?? null, outputs)),
      context,
    );
    outputs.set(step.id, JSON.parse(JSON.stringify(await checked(agent.output, output))));
    progress.push(`${step.id}: ${context.decisions.at(-1)?.rationale}`);
  }
  return { outputs, progress };
}

const planFor = (goal: string, docs?: string): Promise<Plan> => {
  return Promise.resolve(
    planner.act({ goal, ...(docs === undefined ? {} : { docs }), roster }, fakeAgentContext()),
  );
};

describe('the embedded agents', () => {
  it('answer a question from a folder, step by step', async () => {
    const plan = await planFor(QUESTION, HANDBOOK);
    expect(planProblems(plan, new Set(agents.keys()))).toEqual([]);
    const { outputs, progress } = await carryOut(plan);
    expect(plan.steps.map(({ id, instruction }) => `${id}: ${instruction}`)).toEqual([
      'research-1: research documents 1-5 of 12',
      'research-2: research documents 6-8 of 12',
      'research-3: research documents 9-12 of 12',
      'analysis: weigh what 3 researchers found',
      'writer: write the report and check its citations',
    ]);
    expect(progress.slice(-2)).toEqual([
      expect.stringMatching(/^analysis: \d+ findings, 1 place where sources differ, 1 gap$/),
      expect.stringMatching(/^writer: (\d+) sentences, \1 citations checked$/),
    ]);
    expect(outputs.get('writer')).toMatchObject({
      report: (await answer(QUESTION, HANDBOOK)).report,
      unconfirmed: [],
    });
  });

  it('give byte-identical outputs each time', async () => {
    const plan = await planFor(QUESTION, HANDBOOK);
    const [first, second] = [await carryOut(plan), await carryOut(plan)];
    expect(JSON.stringify([...second.outputs])).toBe(JSON.stringify([...first.outputs]));
  });

  it('have names, descriptions and skills of their own', () => {
    expect(agents.size).toBe(embeddedAgents.length);
    for (const agent of embeddedAgents)
      expect(agent.description.length * agent.skills.length).toBeGreaterThan(0);
  });
});

describe('planner', () => {
  it.each([
    ['no folder', undefined, 'names no folder'],
    ['a missing folder', '/no/such/folder', 'There is no folder'],
    ['an empty folder', temporaryFolder(), 'holds no document'],
    [
      'a folder of other formats',
      temporaryFolder({ 'a.odt': 'x', 'b.xlsx': 'x' }),
      'only 2 of other formats',
    ],
  ])('refuses %s', async (_, docs, message) => {
    await expect(planFor('Why?', docs)).rejects.toMatchObject({
      type: 'DocumentsUnreadable',
      message: expect.stringContaining(message) as string,
    });
  });

  it('needs one researcher for one document', async () => {
    const plan = await planFor('Why?', temporaryFolder({ 'a.md': 'x' }));
    expect(plan.steps.map((step) => step.instruction)).toEqual([
      'research document 1 of 1',
      'weigh what was found',
      'write the report and check its citations',
    ]);
  });
});

describe('research', () => {
  it('refuses a folder that vanished after planning', async () => {
    const research = agents.get('research') as AnyAgent;
    const acting = research.act(
      { question: 'Why?', docs: '/no/such/folder', shard: whole },
      fakeAgentContext(),
    );
    await expect(acting).rejects.toMatchObject({ type: 'DocumentsUnreadable' });
  });

  it('searches by other words too, and counts what it finds by the words of the question', async () => {
    const docs = temporaryFolder({
      'a.md': 'The drill takes place each quarter.',
      'b.md': 'We rehearse with a drill.',
      'c.md': 'Lunch is at noon.',
    });
    const found = async (searches?: string[]) => {
      const result = await findPassages({
        question: 'How often do we rehearse?',
        docs,
        shard: whole,
        searches,
      });
      if (result.kind === 'refused') throw new Error(result.message);
      return result.candidates.map(({ file, counts }) => ({ file, counts }));
    };
    expect(await found()).toEqual([{ file: 'b.md', counts: [1] }]);
    expect(await found(['How often is the drill?', 'drill each quarter'])).toEqual([
      { file: 'a.md', counts: [0] },
      { file: 'b.md', counts: [1] },
    ]);
  });

  it('ends at once when it is cancelled', async () => {
    const documents = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [`${index}.md`, 'Why we wait. '.repeat(20_000)]),
    );
    const docs = temporaryFolder(documents);
    const controller = new AbortController();
    const running = runInThread(
      'findPassages',
      { question: 'Why wait?', docs, shard: whole },
      controller.signal,
    );
    setImmediate(() => controller.abort());
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    await expect(
      runInThread('findPassages', { question: 'Why?', docs, shard: whole }, controller.signal),
    ).rejects.toThrow('abort');
  });
});

describe('writer', () => {
  it('says which files changed after they were read', async () => {
    const docs = temporaryFolder({
      'a.md': 'Backups are kept for thirty days.',
      'b.md': 'Backups are taken at night by cron.',
    });
    const { outputs } = await carryOut(await planFor('How long are backups kept?', docs));
    const writer = agents.get('writer') as AnyAgent;
    const context = fakeAgentContext();
    const analysis = structuredClone(outputs.get('analysis')) as { findings: { line: number }[] };
    for (const finding of analysis.findings) finding.line += 1;
    const output = (await writer.act({ question: 'How long?', docs, analysis }, context)) as {
      report: string;
      unconfirmed: unknown[];
    };
    expect(output.unconfirmed.length).toBeGreaterThan(0);
    expect(output.report).toContain('changed after it was read');
    expect(context.decisions.at(-1)?.rationale).toContain('changed meanwhile');
  });
});
