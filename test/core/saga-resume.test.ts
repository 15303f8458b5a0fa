// Pure: what a terminated execution leaves, and when it may be gone on with. Over random sagas: saga-simulation.test.ts.
import type { FailureInfo } from '../../src/core/failures';
import type { AgentStep } from '../../src/core/plan';
import type { ResolvedPolicy } from '../../src/core/policy';
import type { Resume } from '../../src/core/resume';
import { type StackEntry, nextToUndo } from '../../src/core/saga';
import { needsResume, quietAt } from '../../src/core/saga-resume';
import type { TaskEvent } from '../../src/core/task-events';
import { evolve, failureEvent, foldTask } from '../../src/core/task-fold';
import { type TaskState, goesForward, mayBeCancelled } from '../../src/core/task-state';

const AT = 1_000_000;
const retry = { maximumAttempts: 3, initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1 };
const policy: ResolvedPolicy = { startToClose: 5000, heartbeatTimeout: 500, retry, local: false };
const policies = {
  final: policy,
  helper: { ...policy, startToClose: 3000 },
  undoable: { ...policy, compensation: { startToClose: 7000, heartbeatTimeout: 500, retry } },
};
const mishap = { type: 'Error', message: 'no' };
const unknown = { type: 'OutcomeUnknown', message: 'no', final: true } as const;
const noWorker = { type: 'TimedOut', message: 'Timed out: SCHEDULE_TO_START' };

const step = (id: string, more: Partial<AgentStep> = {}): AgentStep => ({
  id,
  agent: 'undoable',
  instruction: '',
  ...more,
});
const a = step('a');
const pivot = step('pivot', { kind: 'pivot', needs: ['a'] });
const last = step('last', { kind: 'retryable', needs: ['pivot'], agent: 'final' });

/** A saga of `steps` after `events`. */
const saga = (steps: readonly AgentStep[], events: readonly TaskEvent[] = [], lock?: string): TaskState =>
  foldTask([
    {
      type: 'taskStarted',
      root: 'saga/run',
      goal: 'a saga',
      ...(lock === undefined ? {} : { options: { lock } }),
    },
    { type: 'planned', plan: { steps }, policies, by: 'caller', term: 0 },
    ...events,
  ]);

const scheduled = ({ id, agent }: AgentStep): TaskEvent => ({
  type: 'stepScheduled',
  step: id,
  agent,
  term: 0,
});
const completed = ({ id }: AgentStep): TaskEvent => ({
  type: 'stepCompleted',
  step: id,
  output: { value: id },
});
const done = (one: AgentStep): TaskEvent[] => [scheduled(one), completed(one)];
const entry = ({ id, agent }: AgentStep): StackEntry => ({ step: id, agent });
const undoing = (one: AgentStep): TaskEvent => ({
  type: 'compensationScheduled',
  ...entry(one),
  outcome: 'unknown',
});
const terminated: TaskEvent = { type: 'taskTerminated', how: 'terminated' };

const resumeOf = (snapshot: TaskState): Resume<TaskState> => ({
  snapshot,
  origin: { kind: 'terminated', workflowId: 'saga', runId: 'run', at: AT },
  overrides: {},
});
/** The state with which `<id>.resume` begins. */
const resumed = (snapshot: TaskState): TaskState =>
  evolve(snapshot, { type: 'taskResumed', ...resumeOf(evolve(snapshot, terminated)) });

const stepFailed = (id: string, failure: FailureInfo = mishap): TaskEvent => ({
  type: 'stepFailed',
  step: id,
  failure,
});
const undone = (one: AgentStep): TaskEvent[] => [undoing(one), { type: 'compensated', ...entry(one) }];
const undoingFailed = (one: AgentStep): TaskEvent[] => [
  undoing(one),
  { type: 'compensationFailed', ...entry(one), failure: mishap },
];
const said = (id: string, how: 'retry' | 'skip'): TaskEvent => ({
  type: 'compensationResolved',
  step: id,
  how,
  note: '',
});
const b = step('b');
const plain = step('plain', { agent: 'final' });
const alone = step('pivot', { kind: 'pivot' });

describe('needsResume', () => {
  test.each<[string, TaskState]>([
    ['nothing was begun', saga([a])],
    ['what was done cannot be undone', saga([plain], done(plain))],
    ['a step surely never began', saga([a], [scheduled(a), stepFailed('a', noWorker)])],
    ['all is undone', saga([a, b], [...done(a), ...done(b), ...undone(b), ...undone(a)])],
    [
      'a person said to go on without the undoing',
      saga([a], [...done(a), ...undoingFailed(a), said('a', 'skip')]),
    ],
    ['the pivot is done, and nothing comes after it', saga([a, pivot], [...done(a), ...done(pivot)])],
    ['all is done, past the pivot', saga([a, pivot, last], [a, pivot, last].flatMap(done))],
  ])('is false where %s', (_what, state) => {
    expect(needsResume(state)).toBe(false);
    expect(needsResume(evolve(state, terminated))).toBe(false);
  });

  test.each<[string, TaskState]>([
    ['a step is running', saga([a], [scheduled(a)])],
    ['a step is done', saga([a], done(a))],
    ['a step failed, and may have happened', saga([a], [scheduled(a), stepFailed('a')])],
    ['a step was cancelled', saga([a], [scheduled(a), { type: 'stepCancelled', step: 'a' }])],
    ['a step is being undone', saga([a], [...done(a), undoing(a)])],
    ['an undoing failed', saga([a], [...done(a), ...undoingFailed(a)])],
    ['an undoing is to be tried again', saga([a], [...done(a), ...undoingFailed(a), said('a', 'retry')])],
    ['one of two is undone', saga([a, b], [...done(a), ...done(b), ...undone(b)])],
    ['the pivot is running', saga([a, pivot], [...done(a), scheduled(pivot)])],
    ['the pivot is running, and nothing came before it', saga([alone], [scheduled(alone)])],
    [
      'the pivot is parked',
      saga([alone], [scheduled(alone), { type: 'stepParked', step: 'pivot', failure: unknown }]),
    ],
    ['the pivot is done, and a step is left', saga([a, pivot, last], [...done(a), ...done(pivot)])],
    ['a lock may be held', saga([a], [], 'order-42')],
    ['a lock may be held though all is undone', saga([a], [...done(a), ...undone(a)], 'order-42')],
  ])('is true where %s', (_what, state) => {
    expect(needsResume(state)).toBe(true);
    expect(needsResume(evolve(state, terminated))).toBe(true);
  });
});

describe('quietAt', () => {
  const quiet = (state: TaskState): number => quietAt(resumeOf(evolve(state, terminated)));
  const slow = step('slow', { policy: { startToClose: 60_000 } });
  const helped = step('helped', { compensate: { agent: 'helper' } });

  test('is at once where nothing was running', () => {
    expect(quiet(saga([a, b], [...done(a), scheduled(b), stepFailed('b')]))).toBe(0);
    expect(quiet(saga([a], [...done(a), ...undone(a)]))).toBe(0);
  });

  test('is the time limit of an attempt after the terminate, the longest of several', () => {
    expect(quiet(saga([a], [scheduled(a)]))).toBe(AT + 5000);
    expect(quiet(saga([a, slow], [scheduled(a), scheduled(slow)]))).toBe(AT + 60_000);
    expect(quiet(saga([a, slow], [scheduled(a), ...done(slow)]))).toBe(AT + 5000);
  });

  test("is the undoing's own time limit, by the agent or by another", () => {
    expect(quiet(saga([a], [...done(a), undoing(a)]))).toBe(AT + 7000);
    expect(quiet(saga([helped], [...done(helped), undoing(helped)]))).toBe(AT + 3000);
    expect(quiet(saga([a], [...done(a), ...undoingFailed(a)]))).toBe(0);
  });

  test('is that of the agent to whom the leader gave the step', () => {
    const state = saga(
      [plain],
      [
        scheduled(plain),
        stepFailed('plain'),
        { type: 'assigned', step: 'plain', agent: 'helper', policy, by: 'leader', reason: '', term: 1 },
        { type: 'stepScheduled', step: 'plain', agent: 'helper', term: 1 },
      ],
    );
    expect(quiet(state)).toBe(AT + 3000);
  });

  test('is at once for a new run of the same execution', () => {
    const origin = { kind: 'continuedAsNew', workflowId: 'saga', runId: 'run' } as const;
    expect(quietAt({ snapshot: saga([a], [scheduled(a)]), origin, overrides: {} })).toBe(0);
  });
});

describe('what goes on after a terminate', () => {
  test('undoes what was in flight as unknown, before what was done', () => {
    const state = resumed(saga([a, b], [...done(a), scheduled(b)]));
    expect(state).toMatchObject({ phase: { kind: 'compensating' }, steps: { b: { kind: 'cancelled' } } });
    expect(nextToUndo(state.stack ?? [], state.compensations ?? [])).toEqual([entry(b)]);
  });

  test('does an undoing again whose end nobody saw, or that had failed, and no other', () => {
    const state = resumed(
      saga(
        [a, b, step('c')],
        [...[a, b, step('c')].flatMap(done), ...undone(step('c')), ...undoingFailed(b)],
      ),
    );
    expect(state.compensations).toMatchObject([
      { step: 'c', kind: 'undone' },
      { step: 'b', kind: 'retry' },
    ]);
    expect(nextToUndo(state.stack ?? [], state.compensations ?? [])).toEqual([entry(b)]);
    const again = resumed(evolve(state, undoing(b)));
    expect(again.compensations?.[1]).toMatchObject({ step: 'b', kind: 'retry' });
  });

  test('finishes what comes after a pivot, and does again what was in flight', () => {
    const state = resumed(saga([a, pivot, last], [...done(a), ...done(pivot), scheduled(last)]));
    expect(state).toMatchObject({ phase: { kind: 'running' }, steps: { last: { kind: 'waiting' } } });
    expect(state.stack).toBeUndefined();
  });

  test('asks a person about a pivot that was in flight, and keeps what came before it', () => {
    const state = resumed(saga([a, pivot], [...done(a), scheduled(pivot)]));
    expect(state.phase).toMatchObject({
      kind: 'needsAttention',
      step: 'pivot',
      failure: { type: 'Terminated' },
    });
    expect(state.steps['pivot']).toMatchObject({ kind: 'parked' });
    expect(state.stack).toMatchObject([entry(a)]);
    expect(mayBeCancelled(state)).toBe(false);
  });

  test('keeps why a pivot was parked', () => {
    const parked: TaskEvent = { type: 'stepParked', step: 'pivot', failure: unknown };
    const state = resumed(saga([a, pivot], [...done(a), scheduled(pivot), parked]));
    expect(state.steps['pivot']).toEqual({ kind: 'parked', failure: unknown });
  });

  test('undoes what came before a pivot for which a person had not said yes yet', () => {
    const asked: TaskEvent = { type: 'approvalRequested', step: 'pivot', hash: 'a' };
    const state = resumed(saga([a, pivot], [...done(a), asked]));
    expect(state.phase.kind).toBe('compensating');
    expect(nextToUndo(state.stack ?? [], [])).toEqual([entry(a)]);
  });

  test('has no time limit any more, and still the lock', () => {
    const state: TaskState = { ...saga([a], [scheduled(a)], 'order-42'), deadline: AT, locked: true };
    expect(resumed(state)).not.toHaveProperty('deadline');
    expect(resumed(state)).toMatchObject({ locked: true, options: { lock: 'order-42' } });
  });
});

describe('a step that was tried before', () => {
  const handedBack = (one: AgentStep): TaskEvent[] => [
    scheduled(one),
    { type: 'stepHandedBack', step: one.id },
  ];
  const retried: TaskEvent[] = [
    ...done(a),
    scheduled(pivot),
    { type: 'stepParked', step: 'pivot', failure: mishap },
    { type: 'stepResolved', step: 'pivot', how: 'retry', note: '' },
  ];
  const after = (state: TaskState, one: AgentStep, failure: FailureInfo): TaskState =>
    evolve(state, failureEvent(state, one.id, failure));

  test.each([[noWorker], [{ type: 'AgentUnknown', message: 'no' }]])(
    'is undone though its next attempt never began: %j',
    (failure) => {
      const state = saga([a], [...handedBack(a), scheduled(a)]);
      expect(after(state, a, failure).stack).toMatchObject([entry(a)]);
    },
  );

  test("is undone though the last of the server's attempts never began", () => {
    for (const failure of [noWorker, { type: 'AgentUnknown', message: 'no', final: true as const }]) {
      const late = { ...failure, began: true as const };
      expect(after(saga([a], [scheduled(a)]), a, late).stack).toMatchObject([entry(a)]);
      const state = after(saga([a, pivot], [...done(a), scheduled(pivot)]), pivot, late);
      expect(state.steps['pivot']).toMatchObject({ kind: 'parked' });
    }
  });

  test('is undone though the attempt that a person asked for never began', () => {
    const parked: TaskEvent = { type: 'stepParked', step: 'a', failure: unknown };
    const again: TaskEvent = { type: 'stepResolved', step: 'a', how: 'retry', note: '' };
    const state = saga([a], [scheduled(a), parked, again, scheduled(a)]);
    expect(after(state, a, noWorker).stack).toMatchObject([entry(a)]);
  });

  test('is parked where it is a pivot whose next attempt never began', () => {
    const state = saga([a, pivot], [...done(a), ...handedBack(pivot), scheduled(pivot)]);
    expect(after(state, pivot, noWorker).steps['pivot']).toMatchObject({ kind: 'parked' });
  });

  test.each([['AgentOutputInvalid'], ['CheckpointTooLarge'], ['EffectInvalid'], ['ActionUndone']])(
    'is parked where it is a pivot that %s cut short: that is not its word that nothing happened',
    (type) => {
      const state = saga([a, pivot], [...done(a), scheduled(pivot)]);
      const failed = after(state, pivot, { type, message: 'no', final: true });
      expect(failed.steps['pivot']).toMatchObject({ kind: 'parked' });
    },
  );

  test('fails where it is a pivot that says itself that it refuses', () => {
    const state = saga([a, pivot], [...done(a), scheduled(pivot)]);
    const failed = after(state, pivot, { type: 'NoSuchAccount', message: 'no', final: true });
    expect(failed.steps['pivot']).toMatchObject({ kind: 'failed' });
  });

  test.each([['ApprovalRefused'], ['ApprovalTimedOut']])(
    'is parked where it is a pivot whose next attempt ends with %s',
    (type) => {
      const state = saga([a, pivot], [...retried, { type: 'approvalRequested', step: 'pivot', hash: 'a' }]);
      expect(after(state, pivot, { type, message: 'no' }).steps['pivot']).toMatchObject({ kind: 'parked' });
    },
  );

  test('in an execution that was terminated is one that was tried before', () => {
    const cutOff = resumed(saga([a, pivot], [...done(a), scheduled(pivot)]));
    const again = evolve(cutOff, { type: 'stepResolved', step: 'pivot', how: 'retry', note: '' });
    expect(goesForward(again)).toBe(true);
    expect(mayBeCancelled(again)).toBe(false);
    const failed = after(evolve(again, scheduled(pivot)), pivot, noWorker);
    expect(failed.steps['pivot']).toMatchObject({ kind: 'parked' });
  });

  test.each<[string, TaskEvent[]]>([
    ['was handed back', [...done(a), ...handedBack(pivot)]],
    ['is to be tried again on the word of a person', retried],
    ['asks for approval again', [...retried, { type: 'approvalRequested', step: 'pivot', hash: 'a' }]],
  ])(
    'is a pivot that %s: a terminate leaves a person to say, and a cancel changes nothing',
    (_what, events) => {
      const state = saga([a, pivot], events);
      expect(needsResume(state)).toBe(true);
      expect(goesForward(state)).toBe(true);
      expect(resumed(state).phase).toMatchObject({ kind: 'needsAttention', step: 'pivot' });
      expect(mayBeCancelled(state)).toBe(false);
    },
  );
});
