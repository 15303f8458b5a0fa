import { TASK_ANSWERS_MAXIMUM_BYTES, questionHash, readAsking } from '../../src/core/asking';
import { openQuestions, questionWords, taskDetails } from '../../src/core/task-details';
import type { TaskEvent } from '../../src/core/task-events';
import { evolve, foldTask } from '../../src/core/task-fold';
import {
  ASKED,
  answerEvents,
  askedOf,
  checkAnswer,
  questionAskedEvent,
  timerEvents,
} from '../../src/core/task-resolving';
import { readResume } from '../../src/core/task-resume';
import { type TaskState, answersTo, stepState } from '../../src/core/task-state';
import { usageOf } from '../../src/core/task-usage';

const question = { name: 'refund', question: 'May I refund 40 €?', options: ['yes', 'no'], from: ['ada'] };
const hash = questionHash(question);

const BEGUN: readonly TaskEvent[] = [
  { type: 'taskStarted', root: 'task/run', goal: 'a goal' },
  {
    type: 'planned',
    plan: { steps: [{ id: 'pay', agent: 'clerk', instruction: 'pay it back' }] },
    policies: {},
    by: 'caller',
    term: 0,
  },
  { type: 'stepScheduled', step: 'pay', agent: 'clerk', term: 0 },
];
const ASKS: TaskEvent = {
  type: 'questionAsked',
  step: 'pay',
  agent: 'clerk',
  ...question,
  hash,
  until: 5000,
  attemptsUsed: 1,
  checkpoint: 'kept',
};
const asking = foldTask([...BEGUN, ASKS]);
const yes = { step: 'pay', answer: 'yes', hash, note: 'it is fair', by: 'ada' };

/** The state after the events of an answer at 4000. */
const answered = (state: TaskState, answering = yes): TaskState =>
  answerEvents(state, answering, 4000).reduce(evolve, state);

describe('a question', () => {
  test('has its step ask, and its task await the answer', () => {
    expect(stepState(asking, 'pay')).toEqual({
      kind: 'asking',
      ...question,
      hash,
      until: 5000,
      attemptsUsed: 1,
      checkpoint: 'kept',
    });
    expect(asking.phase).toEqual({ kind: 'awaitingAnswer', step: 'pay' });
    // What the agent did before it asked may have had its effect.
    expect(asking.attempted).toEqual({ pay: true });
    expect(JSON.parse(JSON.stringify(asking))).toEqual(asking);
  });

  test('survives a new run', () => {
    const origin = { kind: 'continuedAsNew', workflowId: 'task', runId: 'run' };
    const resume = JSON.parse(JSON.stringify({ snapshot: asking, origin, overrides: {} })) as unknown;
    expect(readResume(resume)?.snapshot).toEqual(asking);
  });

  test('is in the memo with when its time is over', () => {
    expect(ASKED).toBe('asked');
    expect(askedOf(asking)).toEqual({ pay: { hash, question: 'refund', until: 5000 } });
  });

  test('is shown with what to type', () => {
    const [open] = openQuestions(asking);
    expect(open).toEqual({ kind: 'question', step: 'pay', ...question, hash, until: 5000 });
    if (open === undefined) throw new Error('Nothing is asked');
    expect(questionWords('task', open)).toEqual({
      text: 'pay asks: May I refund 40 €?',
      command: `cadre answer task pay yes|no --hash ${hash.slice(0, 12)} --as NAME`,
    });
    expect(questionWords('task', { ...open, options: ['not now', 'yes'] } as typeof open).command).toContain(
      'pay ANSWER --hash',
    );
    expect(taskDetails(asking)).toContain('asks: May I refund 40 €?');
    expect(taskDetails(asking)).toContain('cadre answer task pay yes|no');
  });

  test('comes to an answer that the next attempts get', () => {
    const state = answered(asking);
    // The next run may be the one that tries it again.
    const handedBack = { attemptsUsed: 1, checkpoint: 'kept' };
    expect(stepState(state, 'pay')).toEqual({ kind: 'waiting', handedBack });
    expect(state.phase).toEqual({ kind: 'running' });
    expect(answersTo(state, 'pay')).toEqual([
      { kind: 'answered', name: 'refund', hash, answer: 'yes', by: 'ada', note: 'it is fair', at: 4000 },
    ]);
  });

  test('whose time is over comes to that', () => {
    const [expired] = timerEvents(asking, 'answer to pay');
    expect(expired).toEqual({ type: 'questionExpired', step: 'pay' });
    const state = evolve(asking, expired as TaskEvent);
    expect(stepState(state, 'pay')).toMatchObject({ kind: 'waiting', handedBack: { checkpoint: 'kept' } });
    expect(answersTo(state, 'pay')).toEqual([{ kind: 'expired', name: 'refund', hash }]);
    expect(timerEvents(state, 'answer to pay')).toEqual([]);
  });

  test('tells what the calls before it came to, until a later attempt tells it anew', () => {
    const spent = { model: 'test/model', tokens: 3, microUsd: 2, inputTokens: 2, cachedTokens: 0 };
    const rows = (calls: number) => [{ ...spent, calls, outputTokens: 1, unseen: 0 }];
    const asked = { agent: 'clerk', asked: { ...question, hash, attemptsUsed: 0 }, usage: rows(1) };
    const state = foldTask([...BEGUN, questionAskedEvent('pay', asked, undefined)]);
    expect(usageOf(state)).toEqual(rows(1));
    const done: TaskEvent = { type: 'stepCompleted', step: 'pay', output: { value: 1 }, usage: rows(2) };
    expect(usageOf(evolve(answered(state), done))).toEqual(rows(2));
  });

  test('that is withdrawn is asked no more', () => {
    const state = evolve(asking, { type: 'questionWithdrawn', step: 'pay' });
    expect([stepState(state, 'pay').kind, state.phase.kind, openQuestions(state)]).toEqual([
      'waiting',
      'running',
      [],
    ]);
  });

  test('leaves nothing in the state once its step is done', () => {
    const done = evolve(answered(asking), { type: 'stepCompleted', step: 'pay', output: { value: 1 } });
    expect(done).not.toHaveProperty('answers');
  });

  test('that nobody answered in time is asked anew where a person says `retry`, and its answers stay', () => {
    const failure = { type: 'QuestionExpired', message: 'too late', final: true } as const;
    const events: TaskEvent[] = [
      { type: 'stepScheduled', step: 'pay', agent: 'clerk', term: 0 },
      { ...ASKS, name: 'another', hash: 'b' },
      { type: 'questionExpired', step: 'pay' },
      { type: 'stepParked', step: 'pay', failure },
      { type: 'stepResolved', step: 'pay', how: 'retry', note: '' },
    ];
    const state = foldTask(events, answered(asking));
    expect(answersTo(state, 'pay').map(({ name }) => name)).toEqual(['refund']);
  });

  test('of a terminated task waits to be asked again', () => {
    const origin = { kind: 'terminated', workflowId: 'task', runId: 'run', at: 1 } as const;
    const resumed = evolve(asking, { type: 'taskResumed', origin, snapshot: asking });
    expect(stepState(resumed, 'pay').kind).toBe('waiting');
  });
});

describe('an answer', () => {
  test.each([
    ['another step', { step: 'other' }, 'NotAsked', /"other" asks nothing: waiting/],
    ['something else', { hash: 'c' }, 'NotAsked', /look at it again/],
    ['none of the options', { answer: 'maybe' }, 'InputInvalid', /`answer` to be yes or no/],
    ['somebody else', { by: 'bob' }, 'InputInvalid', /`by` to be ada/],
    ['nobody', { by: undefined }, 'InputInvalid', /`by` to be ada, got ""/],
  ])('of or to %s is refused', (_what, other, type, message) => {
    const refused = expect.objectContaining({ type, message: expect.stringMatching(message) as string });
    const { by, ...rest } = { ...yes, ...other };
    expect(() => checkAnswer(asking, { ...rest, ...(by === undefined ? {} : { by }) })).toThrow(refused);
  });

  test('is refused where those of the task would be more than its state may hold', () => {
    const given = { kind: 'answered', name: 'a', hash: 'b', by: '', note: '', at: 1 } as const;
    const answers = (bytes: number) => ({ other: [{ ...given, answer: 'x'.repeat(bytes) }] });
    const others = TASK_ANSWERS_MAXIMUM_BYTES - 1000;
    expect(() => checkAnswer({ ...asking, answers: answers(others) }, yes)).not.toThrow();
    expect(() => checkAnswer({ ...asking, answers: answers(others + 1000) }, yes)).toThrow(
      expect.objectContaining({ type: 'InputInvalid', message: expect.stringMatching(/524288 bytes/) }),
    );
  });

  test('that may be given is taken', () => {
    expect(() => checkAnswer(asking, yes)).not.toThrow();
    const anything = foldTask([...BEGUN, { ...ASKS, options: undefined, from: undefined } as never]);
    expect(() => checkAnswer(anything, { step: 'pay', answer: 'forty', hash, note: '' })).not.toThrow();
  });

  test('to an approval is yes or no', () => {
    const approval = foldTask([...BEGUN.slice(0, 2), { type: 'approvalRequested', step: 'pay', hash }]);
    expect(() => checkAnswer(approval, { ...yes, by: 'bob' })).not.toThrow();
    expect(() => checkAnswer(approval, { ...yes, answer: 'maybe' })).toThrow(
      expect.objectContaining({ type: 'InputInvalid' }),
    );
  });
});

describe('the hash of a question', () => {
  test.each([
    ['name', { ...question, name: 'other' }],
    ['text', { ...question, question: 'May I refund 400 €?' }],
    ['options', { ...question, options: ['no', 'yes'] }],
    ['persons', { ...question, from: ['bob'] }],
    ['subject', { ...question, about: null }],
  ])('is another one for another %s', (_what, other) => expect(questionHash(other)).not.toBe(hash));

  test('does not tell the order of fields', () => {
    const { name, ...rest } = question;
    expect(questionHash({ ...rest, name })).toBe(hash);
  });
});

test.each<[unknown]>([
  [undefined],
  ['a text'],
  [{ leftOut: '70000 bytes of details' }],
  [{ ...question, hash }],
  [{ ...question, attemptsUsed: 0 }],
])('details that are no question are read as none: %j', (details) =>
  expect(readAsking(details)).toBeUndefined(),
);
