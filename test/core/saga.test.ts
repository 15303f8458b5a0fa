// Pure: the laws of undoing, over random tasks.
import fc from 'fast-check';
import type { ResolvedPolicy } from '../../src/core/policy';
import { nextToUndo } from '../../src/core/saga';
import type { TaskEvent } from '../../src/core/task-events';
import { evolve, foldTask, restoreStep } from '../../src/core/task-fold';
import type { TaskState } from '../../src/core/task-state';
import { step } from '../support/agents';

const retry = { maximumAttempts: 1, initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1 };
const policy: ResolvedPolicy = { startToClose: 1, heartbeatTimeout: 1, retry, local: false };
const undoable: ResolvedPolicy = {
  ...policy,
  compensation: { startToClose: 1, heartbeatTimeout: 1, retry },
};
const failure = { type: 'Error', message: 'no' };
const FATES = ['completed', 'failed', 'neverBegan', 'cancelled', 'handedBack', 'waiting'] as const;
type Fate = (typeof FATES)[number];

const planned = (agents: readonly string[]): TaskState =>
  foldTask([
    { type: 'taskStarted', root: 'task/run', goal: 'a goal' },
    {
      type: 'planned',
      plan: { steps: agents.map((agent, index) => step(`s${index}`, agent)) },
      policies: { undoable, final: policy },
      by: 'caller',
      term: 0,
    },
  ]);

/** What a step's way leaves in the log. */
function eventsOf(id: string, agent: string, fate: Fate): TaskEvent[] {
  if (fate === 'waiting') return [];
  const scheduled: TaskEvent = { type: 'stepScheduled', step: id, agent, term: 0 };
  const end = {
    completed: [{ type: 'stepCompleted', step: id, output: { value: 1 } }],
    failed: [{ type: 'stepFailed', step: id, failure }],
    neverBegan: [{ type: 'stepFailed', step: id, failure: { type: 'AgentUnknown', message: 'no' } }],
    cancelled: [{ type: 'stepCancelled', step: id }],
    handedBack: [
      { type: 'stepHandedBack', step: id },
      { type: 'stepScheduled', step: id, agent, term: 0 },
      { type: 'stepCompleted', step: id, output: { value: 1 } },
    ],
  } as const satisfies Record<Exclude<Fate, 'waiting'>, readonly TaskEvent[]>;
  return [scheduled, ...end[fate]];
}

const anySteps = fc.array(
  fc.record({ agent: fc.constantFrom('undoable', 'undoable', 'final'), fate: fc.constantFrom(...FATES) }),
  { minLength: 1, maxLength: 12 },
);

test('what may have happened is undone once, in the reverse order of the starts, and nothing else', () => {
  fc.assert(
    fc.property(
      anySteps,
      fc.infiniteStream(fc.constantFrom('undone', 'undone', 'retry', 'skip')),
      (steps, ends) => {
        let state = planned(steps.map(({ agent }) => agent));
        for (const [index, { agent, fate }] of steps.entries()) {
          for (const event of eventsOf(`s${index}`, agent, fate)) state = evolve(state, event);
        }
        const expected = steps
          .map(({ agent, fate }, index) => ({ agent, fate, id: `s${index}` }))
          .filter(({ agent, fate }) => agent === 'undoable' && fate !== 'waiting' && fate !== 'neverBegan')
          .map(({ id }) => id);
        const order: string[] = [];
        for (;;) {
          const [entry] = nextToUndo(state.stack ?? [], state.compensations ?? []);
          if (entry === undefined) break;
          const end = ends.next().value as 'undone' | 'retry' | 'skip';
          state = evolve(state, { type: 'compensationScheduled', ...entry, outcome: 'unknown' });
          expect(state.phase.kind).toBe('compensating');
          if (end === 'undone') {
            state = evolve(state, { type: 'compensated', ...entry });
          } else {
            state = evolve(state, { type: 'compensationFailed', ...entry, failure });
            expect(state.phase).toMatchObject({ kind: 'needsAttention', step: entry.step });
            state = evolve(state, { type: 'compensationResolved', step: entry.step, how: end, note: '' });
          }
          if (end !== 'retry') order.push(entry.step);
          expect(JSON.parse(JSON.stringify(state))).toEqual(state);
        }
        expect(order).toEqual([...expected].sort((a, b) => Number(b.slice(1)) - Number(a.slice(1))));
        const kinds = (state.compensations ?? []).map(({ kind }) => kind);
        expect(kinds.every((kind) => kind === 'undone' || kind === 'skipped')).toBe(true);
        const ended = evolve(state, { type: 'taskFailed', failure });
        expect(ended.phase.kind).toBe(expected.length === 0 ? 'failed' : 'compensated');
      },
    ),
  );
});

test('a step that two agents tried is undone by both, the later one first', () => {
  const state = foldTask(
    [
      { type: 'stepScheduled', step: 's0', agent: 'undoable', term: 0 },
      { type: 'stepFailed', step: 's0', failure },
      {
        type: 'assigned',
        step: 's0',
        agent: 'another',
        policy: undoable,
        by: 'leader',
        reason: 'it can',
        term: 1,
      },
      { type: 'stepScheduled', step: 's0', agent: 'another', term: 1 },
    ],
    planned(['undoable']),
  );
  expect(state.stack).toEqual([
    { step: 's0', agent: 'undoable', group: 1 },
    { step: 's0', agent: 'another', group: 2 },
  ]);
  expect(nextToUndo(state.stack ?? [], [])).toEqual([{ step: 's0', agent: 'another' }]);
});

test('a step that Temporal never heard of leaves the stack as it was', () => {
  const before = foldTask(
    [{ type: 'stepScheduled', step: 's0', agent: 'undoable', term: 0 }],
    planned(['undoable', 'undoable']),
  );
  const after = evolve(before, { type: 'stepScheduled', step: 's1', agent: 'undoable', term: 0 });
  expect(restoreStep(after, 's1', before)).toEqual(before);
});

test('a cancel does not stop what is being undone', () => {
  const entry = { step: 's0', agent: 'undoable' };
  const state = foldTask(
    [
      { type: 'stepScheduled', ...entry, term: 0 },
      { type: 'compensationScheduled', ...entry, outcome: 'unknown' },
      { type: 'cancelRequested' },
    ],
    planned(['undoable']),
  );
  expect(state.phase.kind).toBe('compensating');
});
