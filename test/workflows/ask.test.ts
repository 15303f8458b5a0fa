// Agents that ask persons, on the server whose clock skips waits.
import { TestCadre } from '../../src/testing/test-cadre';
import type { TaskHandle } from '../../src/client/task-handle';
import { person } from '../../src/activities/agents/person';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { agent, step } from '../support/agents';

const HOUR = 60 * 60 * 1000;
/** By step, the attempts that were begun. */
const attempts = new Map<string, number[]>();
const undone: string[] = [];

let cadre: TestCadre;
beforeAll(async () => {
  cadre = await TestCadre.create({
    agents: [
      agent(
        'clerk',
        async (input, { ask, step: id, attempt, checkpoint, lastCheckpoint }) => {
          attempts.set(id, [...(attempts.get(id) ?? []), attempt]);
          checkpoint({ begun: (attempts.get(id) ?? []).length });
          const { answer, by, note, at } = await ask({
            name: 'refund',
            question: 'May I refund it?',
            options: ['yes', 'no'],
            about: input,
          });
          const reason = answer === 'no' ? await ask({ name: 'why', question: 'Why not?' }) : undefined;
          return { answer, by, note, dated: at > 0, why: reason?.answer, lastCheckpoint };
        },
        {
          compensate: (_undo, { step: id }) => void undone.push(id),
          policy: { retry: { maximumAttempts: 1 } },
        },
      ),
      agent('hasty', async (_input, { ask }) => {
        const asked = ask({ name: 'go', question: 'Shall I?', answerWithin: '2 hours' });
        return asked.then(
          ({ answer }) => answer,
          ({ type }: { type: string }) => {
            if (type !== 'QuestionExpired') throw new Error('unexpected');
            return 'nobody said';
          },
        );
      }),
      agent('strict', (_input, { ask }) =>
        ask({ name: 'go', question: 'Shall I?', answerWithin: HOUR, from: ['ada'] }),
      ),
      agent('broken', () => Promise.reject(Object.assign(new Error('broken'), { nonRetryable: true }))),
      agent('local', async (_input, { ask }) => (await ask({ name: 'go', question: 'Shall I?' })).answer, {
        policy: { local: true },
      }),
      person,
    ],
  });
}, 120_000);
afterAll(() => cadre.close());

const start = (steps: readonly object[]): Promise<TaskHandle> =>
  cadre.client.start({ goal: 'to refund', plan: { steps: steps as never } });

async function eventsOf(task: TaskHandle): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of task.events()) events.push(event);
  return events;
}

async function typesOf(task: TaskHandle, of: string): Promise<string[]> {
  const events = await eventsOf(task);
  return events.filter((event) => 'step' in event && event.step === of).map(({ type }) => type);
}

test('a step waits for the answer to what its agent asks, and spends no attempt', async () => {
  const task = await start([step('pay', 'clerk', { input: { amount: 40 } })]);
  const question = await cadre.asked(task, 'pay');
  expect(question).toMatchObject({
    kind: 'question',
    agent: 'clerk',
    question: 'May I refund it?',
    options: ['yes', 'no'],
    about: { amount: 40 },
  });
  const { state, pending } = await task.describe();
  expect([state.phase, pending]).toEqual([{ kind: 'awaitingAnswer', step: 'pay' }, []]);
  await task.answer('pay', 'yes', { hash: question.hash, by: 'ada', note: 'it is fair' });
  expect(await task.result()).toEqual({
    pay: { answer: 'yes', by: 'ada', note: 'it is fair', dated: true, lastCheckpoint: { begun: 1 } },
  });
  expect(attempts.get('pay')).toEqual([1, 1]);
  expect(await typesOf(task, 'pay')).toEqual([
    'stepScheduled',
    'stepStarted',
    'questionAsked',
    'questionAnswered',
    'stepScheduled',
    'stepStarted',
    'stepCompleted',
  ]);
});

test('an answer holds for what was asked, and for nothing else', async () => {
  const task = await start([step('bound', 'clerk', { input: 1 })]);
  const { hash } = await cadre.asked(task, 'bound');
  const refused = (type: string): object => expect.objectContaining({ type });
  await expect(task.answer('bound', 'yes', { hash: 'f'.repeat(64) })).rejects.toEqual(refused('NotAsked'));
  await expect(task.answer('bound', 'perhaps', { hash })).rejects.toEqual(refused('InputInvalid'));
  await task.answer('bound', 'no', { hash });
  // The first question is over, and the second is another.
  const why = await cadre.asked(task, 'bound');
  await expect(task.answer('bound', 'yes', { hash })).rejects.toEqual(refused('NotAsked'));
  await task.answer('bound', 'it is too much', { hash: why.hash });
  expect(await task.result()).toMatchObject({ bound: { answer: 'no', why: 'it is too much' } });
});

test('a question that nobody answers in time comes back to its agent, which may go on without', async () => {
  const { outputs, task } = await cadre.run({
    goal: 'in a hurry',
    plan: { steps: [step('go', 'hasty')] as never },
  });
  expect(outputs).toEqual({ go: 'nobody said' });
  const events = await eventsOf(task);
  const asked = events.find(({ type }) => type === 'questionAsked');
  const expired = events.find(({ type }) => type === 'questionExpired');
  expect((expired?.time ?? 0) - (asked?.time ?? 0)).toBeGreaterThanOrEqual(2 * HOUR - 1000);
});

test('or it fails, for no other agent to try', async () => {
  const task = await start([step('late', 'strict')]);
  await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
  const types = await typesOf(task, 'late');
  expect(types).toEqual(expect.arrayContaining(['questionExpired', 'stepFailed']));
  expect(types).not.toContain('assignRequested');
});

test('who may answer says the question', async () => {
  const task = await start([step('from', 'strict')]);
  const question = await cadre.asked(task, 'from');
  const { hash } = question;
  expect(question).toMatchObject({ from: ['ada'], until: expect.any(Number) as number });
  const refused = expect.objectContaining({ type: 'InputInvalid' });
  await expect(task.answer('from', 'yes', { hash })).rejects.toEqual(refused);
  await expect(task.answer('from', 'yes', { hash, by: 'bob' })).rejects.toEqual(refused);
  await task.answer('from', 'yes', { hash, by: 'ada' });
  expect(await task.result()).toMatchObject({ from: { answer: 'yes', by: 'ada' } });
});

test('a cancel withdraws the question, and undoes what its agent may have done', async () => {
  const task = await start([step('cancelled', 'clerk')]);
  const { hash } = await cadre.asked(task, 'cancelled');
  await task.cancel();
  await expect(task.result()).rejects.toMatchObject({ type: 'Cancelled' });
  expect(undone).toContain('cancelled');
  expect(await typesOf(task, 'cancelled')).toEqual(
    expect.arrayContaining(['questionAsked', 'questionWithdrawn', 'compensationScheduled']),
  );
  await expect(task.answer('cancelled', 'yes', { hash })).rejects.toMatchObject({ type: 'NotAsked' });
});

test('so does the failure of a step beside it', async () => {
  const task = await start([
    step('beside', 'clerk'),
    step('ask', 'person', { input: { question: 'Go on?' } }),
    step('broken', 'broken', { needs: ['ask'] }),
  ]);
  await cadre.asked(task, 'beside');
  const { hash } = await cadre.asked(task, 'ask');
  await task.answer('ask', 'go on', { hash });
  await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
  expect(await typesOf(task, 'beside')).toContain('questionWithdrawn');
});

test('a plan asks by the agent person, and goes on with the answer', async () => {
  const options = ['Berlin', 'Rome'];
  const task = await start([
    step('where', 'person', { input: { question: 'Where to?', options } }),
    { id: 'pay', agent: 'clerk', instruction: 'pay', input: { to: { $output: 'where' } } },
  ]);
  const where = await cadre.asked(task, 'where');
  await task.answer('where', 'Rome', { hash: where.hash, by: 'ada' });
  const pay = await cadre.asked(task, 'pay');
  expect(pay).toMatchObject({ about: { to: { answer: 'Rome', by: 'ada', note: '' } } });
  await task.answer('pay', 'yes', { hash: pay.hash });
  await task.result();
});

test('an agent that runs as a local activity asks too, and so does one in a saga', async () => {
  const saga = await cadre.client.startSaga({
    name: 'local',
    steps: [{ id: 'go', agent: 'local' }],
  });
  const { hash } = await cadre.asked(saga, 'go');
  await saga.answer('go', 'yes', { hash });
  expect(await saga.result()).toEqual({ go: 'yes' });
});
