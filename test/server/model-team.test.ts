// The team with a model on a real server: what it answers, and what becomes of it when the model fails.
import { join } from 'node:path';
import type { TaskHandle } from '../../src/client/task-handle';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { modelTeam } from '../../src/models/team';
import { type Script, ScriptedModel } from '../../src/testing/scripted-model';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';
import { askingOf, teamScript } from '../support/team-model';
import { logOf } from '../support/team-processes';

const MODEL = 'compatible/scripted';
const input = {
  goal: 'When should the on-call engineer fail over the database, who has to approve it, and how often do we rehearse it?',
  docs: join(__dirname, '..', '..', 'examples', 'handbook'),
};
/** Who does the steps of the plan where nobody asks the model. */
const STAND_INS = [
  'embedded-research',
  'embedded-research',
  'embedded-research',
  'embedded-analysis',
  'embedded-writer',
];

let model: ScriptedModel;
let cadre: ServerCadre;

beforeAll(async () => {
  model = await ScriptedModel.start(teamScript());
  process.env['CADRE_MODEL_URL'] = model.url;
  cadre = await startServerCadre(modelTeam(MODEL));
}, 60_000);

afterAll(async () => {
  await cadre.close();
  await model.close();
  delete process.env['CADRE_MODEL_URL'];
});

interface Run {
  readonly task: TaskHandle;
  readonly report: string;
  readonly events: readonly LoggedTaskEvent[];
}

async function run(script: Script): Promise<Run> {
  model.calls.length = 0;
  model.becomes(script);
  const task = await cadre.client.start(input);
  const { writer } = (await task.result()) as { writer: { report: string } };
  return { task, report: writer.report, events: await logOf(task) };
}

const ofType = <Type extends LoggedTaskEvent['type']>(events: Run['events'], type: Type) =>
  events.filter((event): event is LoggedTaskEvent & { type: Type } => event.type === type);

/** Who did the steps, in the order of their ends. */
const didBy = (events: Run['events']): string[] => {
  const agents = new Map(ofType(events, 'stepScheduled').map(({ step, agent }) => [step, agent]));
  return ofType(events, 'stepCompleted').map(({ step }) => agents.get(step) ?? '');
};

test('it answers with a cited report, and the log says what each step used of the model', async () => {
  const { report, events } = await run(teamScript());
  expect(report).toContain(`Written by ${MODEL}`);
  expect(didBy(events)).toEqual(['research', 'research', 'research', 'analysis', 'writer']);
  const usage = [...ofType(events, 'planned'), ...ofType(events, 'stepCompleted')].map(
    (event) => event.usage,
  );
  expect(usage).toEqual(usage.map(() => [expect.objectContaining({ model: MODEL, calls: 1, unseen: 0 })]));
  expect(model.calls).toHaveLength(6);
});

test('a plan that was sent back twice is made without the model, and the log says so', async () => {
  const { events, report } = await run(teamScript({ planner: () => ({ steps: [] }) }));
  expect(model.calls.filter(({ request }) => askingOf(request) === 'planner')).toHaveLength(3);
  expect(ofType(events, 'planned')).toMatchObject([
    {
      by: 'embedded-planner',
      decisions: {
        value: expect.arrayContaining([
          expect.objectContaining({ type: 'fellBack', evidence: { type: 'ModelOutputInvalid' } }),
        ]) as unknown,
      },
    },
  ]);
  expect(report).toContain(`Written by ${MODEL}`);
});

test('a model that refuses is asked once a step, and the agents without it do the work', async () => {
  const { events, report } = await run(() => ({ kind: 'error', status: 404, message: 'no such model' }));
  expect(model.calls).toHaveLength(6);
  expect(ofType(events, 'planned')[0]?.by).toBe('embedded-planner');
  expect(ofType(events, 'stepFailed').map(({ failure }) => failure.type)).toEqual(
    Array.from({ length: 5 }, () => 'ModelRefused'),
  );
  expect(ofType(events, 'assigned').map(({ agent }) => agent)).toEqual(STAND_INS);
  expect(report).toContain('Every sentence is quoted from the line it cites.');
});

test('a budget that the plan would not fit ends the task before anything is asked, and nobody stands in', async () => {
  model.calls.length = 0;
  const task = await cadre.client.start({ ...input, budget: { tokens: 100 } });
  await expect(task.result()).rejects.toMatchObject({ type: 'BudgetReached' });
  expect(model.calls).toEqual([]);
  expect(ofType(await logOf(task), 'planned')).toEqual([]);
});

test('while the breaker of the model is open nobody asks it, and the agents without it do the work', async () => {
  await cadre.client.operateBreaker(MODEL, 'isolate', 'maintenance');
  const plannedBy = ({ events }: Run): string | undefined => ofType(events, 'planned')[0]?.by;
  let ran = await run(teamScript());
  // A worker whose own calls go well hears of it within seconds.
  while (plannedBy(ran) !== 'embedded-planner') ran = await run(teamScript());
  const { events, report } = ran;
  expect(model.calls).toEqual([]);
  expect(ofType(events, 'stepFellBack').map(({ agent }) => agent)).toEqual(STAND_INS);
  expect(report).toContain('Every sentence is quoted from the line it cites.');
});
