// What an agent asks of persons, in one attempt: as the activity sees it, without a server.
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { agentActivity } from '../../src/activities/agent-activity';
import { type Answer, type Question, readQuestion } from '../../src/activities/ask';
import type { AnyAgent } from '../../src/activities/define-agent';
import { person } from '../../src/activities/agents/person';
import { type Asking, type GivenAnswer, questionHash, readAsking } from '../../src/core/asking';
import { failureDetails, failureInfo } from '../../src/core/failure-info';
import type { ActOutcome, ActRequest } from '../../src/core/task-activities';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { MemoryLedger } from '../../src/storage/memory-ledger';
import { callAgent } from '../../src/testing/call-agent';
import { agent } from '../support/agents';
import { TemporaryFolder } from '../support/temporary-folder';

const folder = new TemporaryFolder();
const artifacts = new FileArtifactStore(folder.path);
afterAll(() => folder.remove());

const question: Question = { name: 'refund', question: 'May I refund 40 €?' };

/** Runs one attempt of `asker`, with what persons answered before. */
async function attempt(
  asker: AnyAgent,
  more: Partial<ActRequest> = {},
  kind: 'act' | 'undo' = 'act',
): Promise<unknown> {
  const environment = new MockActivityEnvironment(
    { attempt: 2, heartbeatTimeoutMs: 5000 },
    { logger: new DefaultLogger('ERROR') },
  );
  const activity = agentActivity(asker, { artifacts, ledger: new MemoryLedger() });
  const request = { goal: '', instruction: '', input: null, outputs: {}, inlineMaximum: Infinity, ...more };
  const envelope = { root: 'task/run', step: 'pay', kind, term: 1, version: 1 } as const;
  const outcome: ActOutcome = await environment.run(activity, envelope, request);
  return (outcome.output as { value: unknown }).value;
}

/** What the attempt ends with, where it asks. */
async function asked(attempting: Promise<unknown>): Promise<Asking> {
  const error: unknown = await attempting.then(
    (value) => Promise.reject(new Error(`It put out ${JSON.stringify(value)}`)),
    (reason: unknown) => reason,
  );
  expect(failureInfo(error)).toMatchObject({ type: 'QuestionAsked', final: true });
  return readAsking(failureDetails(error)) as Asking;
}

const answer = (of: Question, text = 'yes'): GivenAnswer => {
  const { answerWithin: _within, ...rest } = of;
  const given = { answer: text, by: 'ada', note: '', at: 7 };
  return { kind: 'answered', name: of.name, hash: questionHash(rest), ...given };
};

test('without an answer the attempt ends, and keeps what the next one needs', async () => {
  const asker = agent('asker', async (_input, { ask, checkpoint }) => {
    checkpoint({ page: 3 });
    return ask({ ...question, about: { order: 42 }, answerWithin: '2 hours', from: ['ada'] });
  });
  expect(await asked(attempt(asker))).toEqual({
    ...question,
    about: { value: { order: 42 } },
    answerWithin: 7_200_000,
    from: ['ada'],
    hash: questionHash({ ...question, about: { order: 42 }, from: ['ada'] }),
    attemptsUsed: 1,
    checkpoint: { page: 3 },
  });
});

test('what its calls came to is in what it ends with', async () => {
  const usage = { model: 'test/model', inputTokens: 2, cachedTokens: 0, outputTokens: 1, unseen: 0 };
  const spent = { ...usage, tokens: 3, microUsd: 2, calls: 1 };
  const asker = agent('asker', async (_input, { ask, calls }) => {
    const call = { kind: 'model', name: 'test/model', request: null } as const;
    await calls.run({ ...call, run: () => Promise.resolve('said'), usageOf: () => spent });
    return ask(question);
  });
  const error: unknown = await attempt(asker).catch((reason: unknown) => reason);
  expect(failureInfo(error)).toMatchObject({ type: 'QuestionAsked', usage: [spent] });
});

test('an agent that makes something else of the rejection still asks, and its signal says so', async () => {
  let reason: unknown;
  const stubborn = agent('stubborn', async (_input, { ask, signal }) => {
    const given = await ask(question).catch(() => 'never mind');
    reason = signal.reason;
    return given;
  });
  expect(await asked(attempt(stubborn))).toMatchObject(question);
  expect(failureInfo(reason).type).toBe('QuestionAsked');
  const failing = agent('failing', async (_input, { ask }) => {
    await ask(question).catch(() => undefined);
    throw new Error('something else');
  });
  expect(await asked(attempt(failing))).toMatchObject(question);
});

test('the answer of an earlier attempt is the answer', async () => {
  const asker = agent('asker', (_input, { ask }) => ask(question));
  const given: Answer = { answer: 'yes', by: 'ada', note: '', at: 7 };
  await expect(attempt(asker, { answers: [answer(question)] })).resolves.toEqual(given);
});

test.each<[string, Question]>([
  ['question', { ...question, question: 'May I refund 400 €?' }],
  ['subject', { ...question, about: { order: 43 } }],
  ['choice', { ...question, options: ['yes'] }],
  ['person', { ...question, from: ['bob'] }],
])('asked with another %s under the same name, a person is asked anew', async (_what, other) => {
  const asker = agent('asker', (_input, { ask }) => ask(other));
  expect(await asked(attempt(asker, { answers: [answer(question)] }))).toMatchObject({
    hash: expect.not.stringContaining(answer(question).hash) as string,
  });
});

test('another time limit asks nothing else', async () => {
  const asker = agent('asker', (_input, { ask }) => ask({ ...question, answerWithin: 5000 }));
  await expect(attempt(asker, { answers: [answer(question)] })).resolves.toMatchObject({ answer: 'yes' });
});

test('a question that nobody answered in time is refused, and the agent may go on without', async () => {
  const { name, hash } = answer(question);
  const answers = [{ kind: 'expired', name, hash }] as const;
  const asker = agent('asker', (_input, { ask }) => ask(question));
  await expect(attempt(asker, { answers })).rejects.toMatchObject({
    type: 'QuestionExpired',
    nonRetryable: true,
  });
  const patient = agent('patient', async (_input, { ask }) =>
    ask(question).catch(({ type }: { type: string }) => type),
  );
  await expect(attempt(patient, { answers })).resolves.toBe('QuestionExpired');
});

test('a large subject goes to the artifact store', async () => {
  const about = 'x'.repeat(5000);
  const asker = agent('asker', (_input, { ask }) => ask({ ...question, about }));
  const { about: stored, hash } = await asked(attempt(asker));
  expect(stored).toMatchObject({ bytes: 5002 });
  expect(hash).toBe(questionHash({ ...question, about }));
});

test('a step asks at most fifty times', async () => {
  const asker = agent('asker', (_input, { ask }) => ask(question));
  const others = (count: number): GivenAnswer[] =>
    Array.from({ length: count }, (_none, index) => answer({ ...question, name: `q${index}` }));
  await asked(attempt(asker, { answers: others(49) }));
  await expect(attempt(asker, { answers: others(50) })).rejects.toMatchObject({ type: 'QuestionInvalid' });
  const long = [answer({ ...question, name: 'long' }, 'x'.repeat(70_000))];
  await expect(attempt(asker, { answers: long })).rejects.toMatchObject({ type: 'QuestionInvalid' });
});

test.each<[string, Partial<ActRequest>, 'act' | 'undo']>([
  ['votes', { ballot: {} }, 'act'],
  ['undoes', {}, 'undo'],
])('an agent that %s asks nobody', async (_what, more, kind) => {
  const asker = agent('asker', (_input, { ask }) => ask(question));
  await expect(attempt(asker, more, kind)).rejects.toMatchObject({ type: 'QuestionInvalid' });
});

test('no agent says by itself that a person is asked', async () => {
  const forger = agent('forger', () => {
    throw Object.assign(new Error('no question'), { name: 'CadreError', type: 'QuestionAsked' });
  });
  await expect(attempt(forger)).rejects.toMatchObject({ type: 'Error' });
});

test.each<[string, unknown]>([
  ['name', { question: 'Why?' }],
  ['name', { name: 'x'.repeat(101), question: 'Why?' }],
  ['question', { name: 'why', question: ' ' }],
  ['question', { name: 'why', question: 'x'.repeat(2001) }],
  ['options', { name: 'why', question: 'Why?', options: [] }],
  ['options', { name: 'why', question: 'Why?', options: ['a', 'a'] }],
  ['options', { name: 'why', question: 'Why?', options: ['x'.repeat(201)] }],
  ['from', { name: 'why', question: 'Why?', from: 'ada' }],
  ['answerWithin', { name: 'why', question: 'Why?', answerWithin: 999 }],
  ['answerWithin', { name: 'why', question: 'Why?', answerWithin: 'soon' }],
  ['about', { name: 'why', question: 'Why?', about: 7n }],
  ['about', { name: 'why', question: 'Why?', about: 'x'.repeat(1024 * 1024) }],
  ['choices', { name: 'why', question: 'Why?', choices: ['a'] }],
])('a question with a wrong %s is refused', (field, candidate) => {
  expect(() => readQuestion(candidate)).toThrow(
    expect.objectContaining({
      type: 'QuestionInvalid',
      message: expect.stringContaining(`\`${field}\``) as string,
    }),
  );
});

test('what does not fit the state is refused', () => {
  const from = Array.from({ length: 100 }, (_none, index) => `${index} ${'x'.repeat(150)}`);
  expect(() => readQuestion({ ...question, from })).toThrow(/put what it is about into `about`/);
});

describe('the agent person', () => {
  test('asks what its input says, and puts out the answer', async () => {
    const input = { question: 'Which one?', options: ['a', 'b'] };
    const { output, decisions } = await callAgent(person, input as never, {
      answers: { question: { answer: 'b', by: 'ada', note: 'it is later' } },
    });
    expect(output).toEqual({ answer: 'b', by: 'ada', note: 'it is later' });
    expect(decisions).toMatchObject([{ type: 'personAnswered', rationale: 'ada answered: b' }]);
  });

  test('asks the instruction, about what its step needs, where it has no input of its own', async () => {
    const more = { instruction: 'Is this fine?', input: undefined as never };
    const { question: text, about } = await asked(
      attempt(person, { ...more, goal: 'a goal', outputs: { draft: { value: 'a draft' } } }),
    );
    expect([text, about]).toEqual(['Is this fine?', { value: { draft: 'a draft' } }]);
  });
});

test('a test answers what an agent asks', async () => {
  const asker = agent('asker', async (_input, { ask }) => (await ask(question)).answer);
  await expect(callAgent(asker, null, { answers: { refund: 'yes' } })).resolves.toMatchObject({
    output: 'yes',
  });
  await expect(callAgent(asker, null)).rejects.toMatchObject({ type: 'QuestionAsked' });
  const choosy = agent('choosy', (_input, { ask }) => ask({ ...question, options: ['yes', 'no'] }));
  await expect(callAgent(choosy, null, { answers: { refund: 'maybe' } })).rejects.toMatchObject({
    type: 'InputInvalid',
  });
});
