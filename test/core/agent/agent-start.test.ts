// Pure: what an agent's workflow begins with.
import { agentBeginning } from '../../../src/core/agent/agent-start';
import { evolveAgent, snapshotOf } from '../../../src/core/agent/agent-state';
import { Outbox } from '../../../src/core/agent/outbox';

const seeds = ['writer', 'research.1', 'planner', 'research', 7, 'No agent', 'analysis'];

test('a new replica has nothing, and an id of its member and first run', () => {
  const beginning = agentBeginning({ member: 'research.2', seeds: [] }, 'cadre', '0123-456789ab');
  expect(beginning).toMatchObject({
    kind: 'new',
    seeds: [],
    state: { cadre: 'cadre', member: 'research.2' },
  });
  expect(beginning.state.replica.id).toBe('research.2:456789ab');
  expect(beginning.state.replica.context.size).toBe(0);
});

test('it asks others by name, whatever order they are given in, and not itself', () => {
  const beginning = agentBeginning({ member: 'research', seeds }, 'cadre', 'run');
  expect(beginning).toMatchObject({ seeds: ['analysis', 'planner', 'research.1', 'writer'] });
});

test('it is of the cadre that is said, and of that of its queue otherwise', () => {
  expect(agentBeginning({ member: 'a' }, 'queue', 'run').state.cadre).toBe('queue');
  expect(agentBeginning({ member: 'a', cadre: 'cadre' }, 'queue', 'run').state.cadre).toBe('cadre');
});

test.each([
  ['no member', {}, '`member`'],
  ['a member that is none', { member: 'A' }, '`member`'],
  ['no object', 7, '`member`'],
  ['no list of seeds', { member: 'a', seeds: 'b' }, '`seeds`'],
  ['no cadre', { member: 'a', cadre: 7 }, '`cadre`'],
  ['no state', { snapshot: {} }, '`snapshot`'],
])('a start with %s is refused', (_what, start, field) => {
  expect(() => agentBeginning(start, 'cadre', 'run')).toThrow(`Expected ${field} to be`);
});

test('the next run goes on with what was handed over, under the same id', () => {
  const { state } = agentBeginning({ member: 'a' }, 'cadre', 'first-run');
  const joined = evolveAgent(state, { type: 'joined', at: 1 }).state;
  const handover = { snapshot: { agent: snapshotOf(joined), outbox: new Outbox().toJSON() } };
  const beginning = agentBeginning(JSON.parse(JSON.stringify(handover)), 'cadre', 'first-run');
  expect(beginning.kind).toBe('resumed');
  expect(snapshotOf(beginning.state)).toEqual(snapshotOf(joined));
});
