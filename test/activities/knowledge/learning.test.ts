// Pure: what one attempt of an agent does to its knowledge, and what it reads of it.
import { startLearning } from '../../../src/activities/knowledge/learning';
import type { KnowledgePart } from '../../../src/core/agent/agent-report';
import { encodeContext, encodeKnowledge } from '../../../src/core/crdt/knowledge-json';
import { type Operation, ReplicaState } from '../../../src/core/crdt/replica';

/** 2023-11-14, in ms. */
const T = 1_700_000_000_000;

/** The agent's replica, in which `operations` were done at {@link T}. */
function replicaWith(...operations: Operation[]): ReplicaState {
  const replica = ReplicaState.create('research:1');
  for (const operation of operations) replica.apply(operation, T);
  return replica;
}

function partOf(replica: ReplicaState): KnowledgePart {
  return {
    replica: replica.id,
    left: false,
    seen: encodeContext(replica.context),
    delta: encodeKnowledge(replica.knowledge),
  };
}

/** An attempt that reads `replica`, and how often it did. */
function attempt(replica: ReplicaState) {
  let reads = 0;
  const learning = startLearning({
    read: async () => {
      reads += 1;
      return partOf(replica);
    },
  });
  return { learning, knowledge: learning.knowledge, reads: () => reads };
}

describe('what is written', () => {
  test('are intents: nothing of it is in the replica', async () => {
    const replica = replicaWith();
    const { learning, knowledge } = attempt(replica);
    knowledge.counter('sources').increment(2);
    knowledge.growOnlyCounter('pages').increment();
    knowledge.set('facts').add('yes');
    knowledge.register('status').assign('done', { term: 3 });
    knowledge.log('trail').append({ at: 1 });
    expect(learning.operations).toEqual([
      { type: 'pnCounter', name: 'sources', by: 2 },
      { type: 'gCounter', name: 'pages', by: 1 },
      { type: 'orSet', name: 'facts', add: 'yes' },
      { type: 'lwwRegister', name: 'status', assign: 'done', term: 3 },
      { type: 'appendLog', name: 'trail', append: { at: 1 } },
    ]);
    expect(replica.context.size).toBe(0);
  });

  test('needs no replica', () => {
    const { knowledge, learning } = attempt(replicaWith());
    knowledge.set('facts').add('yes');
    expect(learning.operations).toHaveLength(1);
    expect(attempt(replicaWith()).reads()).toBe(0);
  });

  test('is a copy: what the agent does to its object later is no part of it', async () => {
    const { learning, knowledge } = attempt(replicaWith());
    const finding = { text: 'as it was', marks: [1] };
    knowledge.set('facts').add(finding);
    finding.text = 'changed';
    finding.marks.push(2);
    expect(learning.operations).toEqual([
      { type: 'orSet', name: 'facts', add: { text: 'as it was', marks: [1] } },
    ]);
    await expect(knowledge.set('facts').values()).resolves.toEqual([{ text: 'as it was', marks: [1] }]);
  });

  test.each<[string, (knowledge: ReturnType<typeof attempt>['knowledge']) => void, RegExp]>([
    ['by', (knowledge) => knowledge.counter('n').increment(0.5), /Expected by to be a whole number/],
    ['add', (knowledge) => knowledge.set('n').add(Number.NaN), /Expected add to be JSON/],
    ['add', (knowledge) => knowledge.set('n').add('x'.repeat(9000)), /Expected add to be at most 8 KiB/],
    ['set', (knowledge) => knowledge.map('n').set('k'.repeat(1001), 1), /Expected set to be a text/],
    ['name', (knowledge) => knowledge.map('n'.repeat(201)).set('k', 1), /Expected `name` to be a text/],
    ['term', (knowledge) => knowledge.register('n').assign(1, { term: -1 }), /Expected term to be a whole/],
  ])('is refused where it is none, and the field `%s` is named', (_field, write, message) => {
    const { learning, knowledge } = attempt(replicaWith());
    expect(() => write(knowledge)).toThrow(message);
    expect(learning.operations).toEqual([]);
  });

  test('is at most 1,000 operations', () => {
    const { knowledge, learning } = attempt(replicaWith());
    for (let index = 0; index < 1000; index += 1) knowledge.counter('n').increment();
    expect(() => knowledge.counter('n').increment()).toThrow(
      /Expected what an attempt does to its knowledge to be at most 1000 operations of 64 KiB in all, got {"operations":1001/,
    );
    expect(learning.operations).toHaveLength(1000);
  });

  test('is at most 64 KiB', () => {
    const { knowledge, learning } = attempt(replicaWith());
    for (let index = 0; index < 8; index += 1) knowledge.set('facts').add(`${index}${'x'.repeat(8000)}`);
    expect(() => knowledge.set('facts').add('y'.repeat(8000))).toThrow(/64 KiB in all/);
    expect(learning.operations).toHaveLength(8);
    // What was refused takes no room.
    knowledge.set('facts').add('z'.repeat(100));
    expect(learning.operations).toHaveLength(9);
  });

  test('is refused with the reason where nothing would be kept of it, and may be read', async () => {
    const { knowledge } = startLearning({
      read: async () => partOf(replicaWith({ type: 'orSet', name: 'facts', add: 'yes' })),
      refusal: 'A leader only reads',
    });
    expect(() => knowledge.set('facts').add('no')).toThrow('A leader only reads');
    await expect(knowledge.set('facts').remove('yes')).rejects.toThrow('A leader only reads');
    await expect(knowledge.set('facts').values()).resolves.toEqual(['yes']);
  });
});

describe('what is read', () => {
  const known: Operation[] = [
    { type: 'orSet', name: 'facts', add: 'old' },
    { type: 'pnCounter', name: 'sources', by: 5 },
    { type: 'lwwMap', name: 'by name', set: 'a', value: 1 },
  ];

  test('is the replica with what the attempt has done, before and after its first read', async () => {
    const { knowledge, reads } = attempt(replicaWith(...known));
    knowledge.set('facts').add('mine');
    knowledge.counter('sources').increment(2);
    await expect(knowledge.set('facts').values()).resolves.toEqual(['old', 'mine']);
    await expect(knowledge.counter('sources').value()).resolves.toBe(7);
    knowledge.counter('sources').decrement();
    knowledge.lastWriteMap('by name').set('a', 2);
    await expect(knowledge.counter('sources').value()).resolves.toBe(6);
    await expect(knowledge.lastWriteMap('by name').value()).resolves.toEqual({ a: 2 });
    await expect(knowledge.set('facts').has('old')).resolves.toBe(true);
    await expect(knowledge.log('nothing').values()).resolves.toEqual([]);
    expect(reads()).toBe(1);
  });

  test('is nothing but its own where there is no replica', async () => {
    const { knowledge } = startLearning({});
    knowledge.set('facts').add('mine');
    await expect(knowledge.set('facts').values()).resolves.toEqual(['mine']);
  });

  test('stays as it was at the first read', async () => {
    const replica = replicaWith(...known);
    const { knowledge } = attempt(replica);
    await expect(knowledge.counter('sources').value()).resolves.toBe(5);
    replica.apply({ type: 'pnCounter', name: 'sources', by: 100 }, T);
    await expect(knowledge.counter('sources').value()).resolves.toBe(5);
  });

  test('is asked for again after a read that failed', async () => {
    let fails = true;
    const { knowledge } = startLearning({
      read: async () => {
        if (fails) throw new Error('nobody answers');
        return partOf(replicaWith(...known));
      },
    });
    knowledge.counter('sources').increment();
    await expect(knowledge.counter('sources').value()).rejects.toThrow('nobody answers');
    fails = false;
    await expect(knowledge.counter('sources').value()).resolves.toBe(6);
  });

  test('is what a replica ahead of the clock here has taken, too', async () => {
    const ahead = ReplicaState.create('ahead:1');
    ahead.apply({ type: 'orSet', name: 'facts', add: 'tomorrow' }, Date.now() + 1e10);
    await expect(attempt(ahead).knowledge.set('facts').values()).resolves.toEqual(['tomorrow']);
  });
});

describe('what is removed', () => {
  const place = { type: 'orSet', name: 'facts' } as const;
  const known = replicaWith({ ...place, add: 'old' });

  test('carries the dots that were read, so that what is added meanwhile stays', async () => {
    const { learning, knowledge } = attempt(known);
    await expect(knowledge.set('facts').remove('old')).resolves.toBe(true);
    expect(learning.operations).toEqual([{ ...place, remove: '"old"', dots: [['research:1', 1]] }]);
    const replica = ReplicaState.read(JSON.parse(JSON.stringify(known)));
    replica.apply({ ...place, add: 'old' }, T);
    for (const operation of learning.operations) replica.apply(operation, T);
    expect(replica.value('orSet', 'facts')).toEqual(['old']);
  });

  test('is not read any more', async () => {
    const { knowledge } = attempt(known);
    await knowledge.set('facts').remove('old');
    await expect(knowledge.set('facts').values()).resolves.toEqual([]);
    await expect(knowledge.set('facts').remove('old')).resolves.toBe(false);
  });

  test('does nothing where it is not there', async () => {
    const { learning, knowledge } = attempt(known);
    await expect(knowledge.set('facts').remove('new')).resolves.toBe(false);
    await expect(knowledge.map('n').delete('k')).resolves.toBe(false);
    expect(learning.operations).toEqual([]);
  });

  test('is withdrawn where the attempt itself had added it', async () => {
    const { learning, knowledge } = attempt(known);
    knowledge.set('facts').add({ b: 1, a: 2 });
    knowledge.set('others').add({ b: 1, a: 2 });
    await expect(knowledge.set('facts').remove({ a: 2, b: 1 })).resolves.toBe(true);
    expect(learning.operations).toEqual([{ type: 'orSet', name: 'others', add: { b: 1, a: 2 } }]);
    await expect(knowledge.set('facts').values()).resolves.toEqual(['old']);
  });

  test('is both withdrawn and removed where the attempt had added what was there', async () => {
    const { learning, knowledge } = attempt(known);
    knowledge.set('facts').add('old');
    await expect(knowledge.set('facts').remove('old')).resolves.toBe(true);
    await expect(knowledge.set('facts').values()).resolves.toEqual([]);
    const replica = ReplicaState.read(JSON.parse(JSON.stringify(known)));
    for (const operation of learning.operations) replica.apply(operation, T);
    expect(replica.value('orSet', 'facts')).toEqual([]);
  });

  test('may be added again', async () => {
    const { learning, knowledge } = attempt(known);
    await knowledge.set('facts').remove('old');
    knowledge.set('facts').add('old');
    const replica = ReplicaState.read(JSON.parse(JSON.stringify(known)));
    for (const operation of learning.operations) replica.apply(operation, T);
    expect(replica.value('orSet', 'facts')).toEqual(['old']);
    await expect(knowledge.set('facts').values()).resolves.toEqual(['old']);
  });

  test('is removed once, however often it was added and removed again', async () => {
    const { learning, knowledge } = attempt(known);
    await knowledge.set('facts').remove('old');
    knowledge.set('facts').add('old');
    await expect(knowledge.set('facts').remove('old')).resolves.toBe(true);
    expect(learning.operations).toEqual([{ ...place, remove: '"old"', dots: [['research:1', 1]] }]);
    await expect(knowledge.set('facts').values()).resolves.toEqual([]);
  });

  test('is a key of a map, likewise', async () => {
    const map = { type: 'orMap', name: 'by name' } as const;
    const replica = replicaWith({ ...map, set: 'a', value: 1 }, { ...map, set: 'b', value: 2 });
    const { learning, knowledge } = attempt(replica);
    knowledge.map('by name').set('c', 3);
    await expect(knowledge.map('by name').delete('a')).resolves.toBe(true);
    await expect(knowledge.map('by name').delete('c')).resolves.toBe(true);
    expect(learning.operations).toEqual([{ ...map, remove: 'a', dots: [['research:1', 1]] }]);
    await expect(knowledge.map('by name').value()).resolves.toEqual({ b: [2] });
  });

  test('leaves room again for what may be written', async () => {
    const { knowledge } = attempt(replicaWith());
    for (let index = 0; index < 8; index += 1) knowledge.set('facts').add(`${index}${'x'.repeat(8000)}`);
    for (let index = 0; index < 8; index += 1)
      await knowledge.set('facts').remove(`${index}${'x'.repeat(8000)}`);
    expect(() => knowledge.set('facts').add('y'.repeat(8000))).not.toThrow();
  });
});
