// Pure: what of a task its agents remember, however it ends.
import type { HistoryFact } from '../../src/core/history-facts';
import type { Plan } from '../../src/core/plan';
import type { TaskEvent } from '../../src/core/task-events';
import { foldTask } from '../../src/core/task-fold';
import { VOTES, type RememberRequest, rememberRequest, rememberedEvent } from '../../src/core/task-remember';
import { step } from '../support/agents';

const failure = { type: 'Error', message: 'no answer' };
const decisions = (type: string) => ({ value: [{ type, rationale: 'because' }] });
const knowledge = (by: number) => ({ value: [{ type: 'gCounter', name: 'n', by } as const] });

const PLAN: Plan = {
  steps: [
    step('find', 'research'),
    step('weigh', 'analysis', { needs: ['find'] }),
    { id: 'choose', instruction: 'choose', needs: ['weigh'], vote: { agents: ['judge', 'critic'] } },
    step('write', 'writer', { needs: ['choose'] }),
  ],
};

const started: TaskEvent[] = [
  { type: 'taskStarted', root: 'order-42/run-1', goal: 'an order' },
  {
    type: 'planned',
    plan: PLAN,
    policies: {},
    by: 'planner',
    term: 7,
    decisions: decisions('planned'),
  },
];

function completed(id: string, agent: string, by: number): TaskEvent[] {
  return [
    { type: 'stepScheduled', step: id, agent, term: 7 },
    { type: 'decisionsRecorded', step: id, decisions: decisions(`did ${id}`) },
    { type: 'stepCompleted', step: id, output: { value: id }, knowledge: knowledge(by) },
  ];
}

const outcome = { choice: 'yes', by: 'quorum', term: 8, tally: [], voters: 2 } as const;
const voted: TaskEvent[] = [
  { type: 'voteDecided', step: 'choose', outcome },
  { type: 'stepCompleted', step: 'choose', output: { value: outcome } },
];
const undoing = (id: string, agent: string): TaskEvent[] => [
  { type: 'compensationScheduled', step: id, agent, outcome: 'completed' },
  { type: 'compensated', step: id, agent },
];

function requestOf(...events: TaskEvent[]): RememberRequest | undefined {
  return rememberRequest(foldTask([...started, ...events]));
}

const planner = { agent: 'planner', steps: [{ step: 'plan', decisions: decisions('planned') }] };
const found = { step: 'find', decisions: decisions('did find'), knowledge: knowledge(1) };

test('a task that completes tells each agent what it decided and learnt', () => {
  const request = requestOf(
    ...completed('find', 'research', 1),
    ...completed('weigh', 'analysis', 2),
    ...voted,
    ...completed('write', 'writer', 3),
    { type: 'aggregated', by: 'aggregator', term: 8, decisions: decisions('summed up') },
    { type: 'taskCompleted' },
  );
  expect(request).toEqual({
    root: 'order-42/run-1',
    task: 'order-42',
    agents: [
      planner,
      { agent: 'research', steps: [found] },
      {
        agent: 'analysis',
        steps: [{ step: 'weigh', decisions: decisions('did weigh'), knowledge: knowledge(2) }],
      },
      {
        agent: 'judge',
        steps: [
          {
            step: 'choose',
            knowledge: {
              value: [
                {
                  ...VOTES,
                  set: 'order-42/choose',
                  value: { choice: 'yes', by: 'quorum', term: 8 },
                  term: 8,
                },
              ],
            },
          },
        ],
      },
      {
        agent: 'writer',
        steps: [{ step: 'write', decisions: decisions('did write'), knowledge: knowledge(3) }],
      },
      { agent: 'aggregator', steps: [{ step: 'aggregate', decisions: decisions('summed up') }] },
    ],
  });
});

test('an agent of several steps is told of all of them at once', () => {
  const request = rememberRequest(
    foldTask([
      started[0] as TaskEvent,
      {
        type: 'planned',
        plan: { steps: [step('a', 'research'), step('b', 'research')] },
        policies: {},
        by: 'caller',
        term: 1,
      },
      ...completed('a', 'research', 1),
      ...completed('b', 'research', 2),
      { type: 'taskCompleted' },
    ]),
  );
  expect(request?.agents.map(({ agent, steps }) => [agent, steps.map((one) => one.step)])).toEqual([
    ['research', ['a', 'b']],
  ]);
});

test('of a step that was undone the decisions stay, and the knowledge does not', () => {
  const request = requestOf(
    ...completed('find', 'research', 1),
    ...completed('weigh', 'analysis', 2),
    { type: 'stepFailed', step: 'write', failure },
    ...undoing('weigh', 'analysis'),
    { type: 'taskFailed', failure },
  );
  expect(request?.agents).toEqual([
    planner,
    { agent: 'research', steps: [found] },
    { agent: 'analysis', steps: [{ step: 'weigh', decisions: decisions('did weigh') }] },
  ]);
});

test('of a step that could not be undone no knowledge stays either', () => {
  const request = requestOf(
    ...completed('find', 'research', 1),
    { type: 'compensationScheduled', step: 'find', agent: 'research', outcome: 'completed' },
    { type: 'compensationFailed', step: 'find', agent: 'research', failure },
    { type: 'compensationResolved', step: 'find', how: 'skip', note: 'by hand' },
    { type: 'taskFailed', failure },
  );
  expect(request?.agents).toEqual([
    planner,
    { agent: 'research', steps: [{ step: 'find', decisions: decisions('did find') }] },
  ]);
});

test.each<[string, TaskEvent[]]>([
  [
    'failed',
    [
      { type: 'stepFailed', step: 'weigh', failure },
      { type: 'taskFailed', failure },
    ],
  ],
  [
    'was cancelled',
    [{ type: 'stepCancelled', step: 'weigh' }, { type: 'cancelRequested' }, { type: 'taskCancelled' }],
  ],
])('a step that %s tells nothing, and the others do', (_how, ends) => {
  const request = requestOf(
    ...completed('find', 'research', 1),
    { type: 'stepScheduled', step: 'weigh', agent: 'analysis', term: 7 },
    ...ends,
  );
  expect(request?.agents).toEqual([planner, { agent: 'research', steps: [found] }]);
});

test('a step that a person skipped tells nothing, a vote neither', () => {
  const skipped = (id: string): TaskEvent[] => [
    { type: 'stepScheduled', step: id, agent: 'x', term: 7 },
    { type: 'stepParked', step: id, failure },
    { type: 'stepResolved', step: id, how: 'skip', note: 'never mind' },
  ];
  expect(requestOf(...skipped('find'), ...skipped('choose'), { type: 'taskCompleted' })?.agents).toEqual([
    planner,
  ]);
});

test('a step that was reassigned is remembered by who did it', () => {
  const request = requestOf(
    { type: 'stepScheduled', step: 'find', agent: 'research', term: 7 },
    { type: 'stepFailed', step: 'find', failure },
    {
      type: 'assigned',
      step: 'find',
      agent: 'archivist',
      policy: { startToClose: 1 } as never,
      by: 'assigner',
      reason: 'it knows',
      term: 7,
    },
    ...completed('find', 'archivist', 1),
    { type: 'taskCompleted' },
  );
  expect(request?.agents).toEqual([planner, { agent: 'archivist', steps: [found] }]);
});

test('what a vote decided in a later term is not written over by one of an earlier', () => {
  const request = requestOf(...voted);
  expect(request?.agents[1]?.steps[0]?.knowledge).toMatchObject({ value: [{ term: 8 }] });
});

test('a vote whose output is in the artifact store is not published', () => {
  const output = { artifact: 'sha256:00', bytes: 70_000 };
  expect(requestOf({ type: 'stepCompleted', step: 'choose', output })?.agents).toEqual([planner]);
});

test('a task in which nothing was decided or learnt tells nobody', () => {
  const events: TaskEvent[] = [
    started[0] as TaskEvent,
    { type: 'planned', plan: { steps: [step('a', 'research')] }, policies: {}, by: 'caller', term: 1 },
    { type: 'stepScheduled', step: 'a', agent: 'research', term: 1 },
    { type: 'stepCompleted', step: 'a', output: { value: 1 } },
    { type: 'aggregated', by: 'aggregator', term: 1 },
    { type: 'taskCompleted' },
  ];
  expect(rememberRequest(foldTask(events))).toBeUndefined();
  expect(rememberRequest(foldTask([]))).toBeUndefined();
});

test('a task is remembered once', () => {
  const events = completed('find', 'research', 1);
  expect(requestOf(...events)).toBeDefined();
  expect(requestOf(...events, { type: 'remembered', agents: ['research'] })).toBeUndefined();
});

test('one whose agents could not be told may be told again', () => {
  const events = completed('find', 'research', 1);
  expect(requestOf(...events, { type: 'rememberFailed', failure })).toEqual(requestOf(...events));
});

test('a task that goes on after a terminate is the same root, without what came after its last slash', () => {
  const request = rememberRequest(
    foldTask([{ ...started[0], root: 'a/b/run-1~run-0' } as TaskEvent, ...started.slice(1)]),
  );
  expect(request).toMatchObject({ root: 'a/b/run-1~run-0', task: 'a/b' });
});

test('the log has who was told, or why nobody was', () => {
  const fact = { kind: 'localActivityCompleted', result: { agents: ['research'] } } as unknown;
  expect(rememberedEvent(fact as HistoryFact & { kind: 'localActivityCompleted' })).toEqual({
    type: 'remembered',
    agents: ['research'],
  });
  const failed = { kind: 'localActivityFailed', failure } as unknown;
  expect(rememberedEvent(failed as HistoryFact & { kind: 'localActivityFailed' })).toEqual({
    type: 'rememberFailed',
    failure,
  });
  for (const result of [undefined, null, 7, {}, { agents: 'research' }]) {
    const odd = { kind: 'localActivityCompleted', result } as unknown;
    expect(rememberedEvent(odd as HistoryFact & { kind: 'localActivityCompleted' })).toBeUndefined();
  }
});
