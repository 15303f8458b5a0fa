// Pure: what each kind of CRDT makes of what happens apart, told by hand.
import type { Json } from '../../../src/core/json';
import { type Knowledge } from '../../../src/core/crdt/knowledge';
import { type KnowledgeOf, dotsAt, knowledgeOf } from '../../../src/core/crdt/handles';
import { ReplicaState, checkOperation } from '../../../src/core/crdt/replica';
import { T } from './histories';

/** A replica that is written to by handles; what it does is later by a minute each time. */
class Writer {
  readonly state: ReplicaState;
  readonly deltas: Knowledge[] = [];
  readonly knowledge: KnowledgeOf<'now'>;

  constructor(
    id: string,
    private now = T,
    maxEntries?: number,
  ) {
    this.state = ReplicaState.create(id);
    const { state } = this;
    this.knowledge = knowledgeOf<'now'>({
      write: (operation) => {
        this.now += 60_000;
        const delta = state.apply(checkOperation(operation), this.now, maxEntries);
        if (delta !== undefined) this.deltas.push(delta);
      },
      read: (place, value) => value(state.entries(place)),
      remove(place, key) {
        const dots = dotsAt(state.entries(place), key);
        if (dots.length > 0) this.write({ ...place, remove: key, dots });
        return dots.length > 0;
      },
    });
  }

  get(other: Writer): void {
    this.state.merge(other.state.since(this.state.context), Math.max(this.now, other.now));
  }
}

function two(maxEntries?: number): [Writer, Writer] {
  return [new Writer('a', T, maxEntries), new Writer('b', T + 1000, maxEntries)];
}

/** Both have all afterwards, and read the same. */
function meet<Value>(a: Writer, b: Writer, read: (knowledge: KnowledgeOf<'now'>) => Value): Value {
  a.get(b);
  b.get(a);
  expect(read(a.knowledge)).toEqual(read(b.knowledge));
  return read(a.knowledge);
}

describe('counters', () => {
  test('additions made apart all count, once each', () => {
    const [a, b] = two();
    for (let times = 0; times < 3; times += 1) a.knowledge.counter('n').increment();
    b.knowledge.counter('n').increment(10);
    b.knowledge.counter('n').decrement(4);
    for (let times = 0; times < 3; times += 1) meet(a, b, (knowledge) => knowledge.counter('n').value());
    expect(a.knowledge.counter('n').value()).toBe(9);
    a.knowledge.counter('n').decrement(20);
    expect(meet(a, b, (knowledge) => knowledge.counter('n').value())).toBe(-11);
  });

  test('a thousand additions leave a total for each replica, and no more', () => {
    const [a, b] = two();
    for (let times = 0; times < 500; times += 1)
      for (const { knowledge } of [a, b]) knowledge.counter('n').increment();
    expect(meet(a, b, (knowledge) => knowledge.counter('n').value())).toBe(1000);
    const { n } = a.state.toJSON().knowledge.crdts['pnCounter'] ?? {};
    expect(Object.values(n ?? {}).map((siblings) => siblings.length)).toEqual([1, 1]);
  });

  test('a counter that only grows is one of its own, and takes no less than 1', () => {
    const [a, b] = two();
    a.knowledge.growOnlyCounter('n').increment(2);
    b.knowledge.growOnlyCounter('n').increment(3);
    a.knowledge.counter('n').increment(50);
    expect(meet(a, b, (knowledge) => knowledge.growOnlyCounter('n').value())).toBe(5);
    for (const by of [0, -1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => a.knowledge.growOnlyCounter('n').increment(by)).toThrow(/by .*1 or more/);
    }
    expect(a.knowledge.growOnlyCounter('n').value()).toBe(5);
  });
});

describe('sets', () => {
  test('of an addition and a removal that are concurrent the addition wins', () => {
    const [a, b] = two();
    a.knowledge.set('s').add('x');
    b.get(a);
    expect(b.knowledge.set('s').remove('x')).toBe(true);
    a.knowledge.set('s').add('x');
    expect(meet(a, b, (knowledge) => knowledge.set('s').values())).toEqual(['x']);
    b.knowledge.set('s').remove('x');
    expect(meet(a, b, (knowledge) => knowledge.set('s').values())).toEqual([]);
  });

  test('a removal takes what it has read: of two additions the one that it has seen', () => {
    const [a, b] = two();
    a.knowledge.set('s').add('x');
    b.knowledge.set('s').add('x');
    a.knowledge.set('s').remove('x');
    expect(a.knowledge.set('s').has('x')).toBe(false);
    expect(meet(a, b, (knowledge) => knowledge.set('s').has('x'))).toBe(true);
  });

  test('a removal of what was not seen does nothing, and mints nothing', () => {
    const [a, b] = two();
    b.knowledge.set('s').add('x');
    expect(a.knowledge.set('s').remove('x')).toBe(false);
    const operation = { type: 'orSet', name: 's', remove: '"x"', dots: [['b', 1]] } as const;
    expect(a.state.apply(operation, T)).toBeUndefined();
    expect(a.state.versionVector).toEqual({});
    expect(meet(a, b, (knowledge) => knowledge.set('s').values())).toEqual(['x']);
  });

  test('values are known by their content, whatever the order of their fields', () => {
    const [a, b] = two();
    const long = 'x'.repeat(100);
    for (const value of [{ b: long, a: 1 }, 1, '1', null, [], {}, '']) a.knowledge.set('s').add(value);
    for (const value of [{ a: 1, b: long }, 1]) b.knowledge.set('s').add(value);
    expect(meet(a, b, (knowledge) => knowledge.set('s').values()).length).toBe(7);
    expect(b.knowledge.set('s').remove({ a: 1, b: long })).toBe(true);
    expect(meet(a, b, (knowledge) => knowledge.set('s').has({ b: long, a: 1 }))).toBe(false);
  });

  test('adding to a grow-only set what is in it does nothing; what its bound dropped comes back', () => {
    const [a] = two(2);
    const facts = a.knowledge.growOnlySet('s');
    for (const value of ['x', 'x', 'y', 'x']) facts.add(value);
    expect([facts.values(), a.state.versionVector]).toEqual([['x', 'y'], { a: 2 }]);
    facts.add('z');
    expect(facts.values()).toEqual(['y', 'z']);
    facts.add('x');
    expect(facts.values()).toEqual(['z', 'x']);
  });
});

describe('registers', () => {
  test('of concurrent values an LWW-Register reads the later one, an MV-Register all', () => {
    const [a, b] = two();
    a.knowledge.register('r').assign('a1');
    b.knowledge.register('r').assign('b1');
    a.knowledge.multiValueRegister('r').assign('a2');
    b.knowledge.multiValueRegister('r').assign('b2');
    expect(meet(a, b, (knowledge) => knowledge.register('r').value())).toBe('b1');
    expect(meet(a, b, (knowledge) => knowledge.multiValueRegister('r').values())).toEqual(['a2', 'b2']);
    a.knowledge.multiValueRegister('r').assign('both seen');
    expect(meet(a, b, (knowledge) => knowledge.multiValueRegister('r').values())).toEqual(['both seen']);
  });

  test('causality goes before the time, the term before the time, the time before the replica', () => {
    const [a, b] = [new Writer('a', T + 3_600_000), new Writer('b', T)];
    const read = (knowledge: KnowledgeOf<'now'>): Json | undefined => knowledge.register('r').value();
    a.knowledge.register('r').assign('an hour ahead');
    b.get(a);
    b.knowledge.register('r').assign('after it');
    expect(meet(a, b, read)).toBe('after it');
    a.knowledge.register('r').assign('of no term, later');
    b.knowledge.register('r').assign('of term 1', { term: 1 });
    expect(meet(a, b, read)).toBe('of term 1');
    b.knowledge.register('r').assign('b, earlier', { term: 2 });
    a.knowledge.register('r').assign('a, later', { term: 2 });
    expect(meet(a, b, read)).toBe('a, later');
  });

  test('at equal times the greater replica wins', () => {
    const [a, b] = [ReplicaState.create('a'), ReplicaState.create('b')];
    for (const replica of [b, a]) replica.apply({ type: 'lwwRegister', name: 'r', assign: replica.id }, T);
    a.merge(b.since(a.context), T);
    expect(a.value('lwwRegister', 'r')).toBe('b');
  });

  test('what a leader decided whom a later one is known to have followed has no effect', () => {
    const [a, b] = two();
    a.knowledge.register('r').assign('of term 2', { term: 2 });
    a.knowledge.lastWriteMap('m').set('k', 'of term 2', { term: 2 });
    b.get(a);
    const before = JSON.stringify(b.state);
    b.knowledge.register('r').assign('of term 1', { term: 1 });
    b.knowledge.register('r').assign('of none');
    b.knowledge.lastWriteMap('m').set('k', 'of term 1', { term: 1 });
    expect(JSON.stringify(b.state)).toBe(before);
    b.knowledge.register('r').assign('of term 2 too', { term: 2 });
    expect(meet(a, b, (knowledge) => knowledge.register('r').value())).toBe('of term 2 too');
  });
});

describe('maps', () => {
  test('an OR-Map keeps concurrent values side by side, an LWW-Map reads the later one', () => {
    const [a, b] = two();
    for (const { knowledge, state } of [a, b]) {
      knowledge.map('m').set('k', state.id);
      knowledge.lastWriteMap('m').set('k', state.id);
    }
    expect(meet(a, b, (knowledge) => knowledge.map('m').value())).toEqual({ k: ['a', 'b'] });
    expect(meet(a, b, (knowledge) => [knowledge.map('m').get('k'), knowledge.map('m').getAll('k')])).toEqual([
      'b',
      ['a', 'b'],
    ]);
    expect(meet(a, b, (knowledge) => knowledge.lastWriteMap('m').value())).toEqual({ k: 'b' });
    a.knowledge.map('m').set('k', 'both seen');
    expect(meet(a, b, (knowledge) => knowledge.map('m').value())).toEqual({ k: ['both seen'] });
  });

  test('what is set while it is deleted elsewhere stays, and nothing else', () => {
    const [a, b] = two();
    for (const key of ['k', 'l']) a.knowledge.map('m').set(key, 1);
    b.get(a);
    for (const key of ['k', 'l']) expect(b.knowledge.map('m').delete(key)).toBe(true);
    a.knowledge.map('m').set('k', 2);
    expect(meet(a, b, (knowledge) => knowledge.map('m').value())).toEqual({ k: [2] });
    expect(a.knowledge.map('m').delete('l')).toBe(false);
  });

  test('keys may be any text', () => {
    const [a, b] = two();
    const keys = ['__proto__', 'constructor', '', 'x'.repeat(1000), '\ud83e', '鍵'];
    for (const key of keys) a.knowledge.lastWriteMap('__proto__').set(key, key);
    const value = meet(a, b, (knowledge) => knowledge.lastWriteMap('__proto__').value());
    expect(Object.entries(value)).toEqual(keys.map((key) => [key, key]));
    expect(b.knowledge.lastWriteMap('constructor').value()).toEqual({});
  });
});

describe('bounds', () => {
  test('a log keeps its newest entries, in the order of time, wherever they were appended', () => {
    const [a, b] = two(4);
    for (const value of [1, 2, 3]) {
      a.knowledge.log('l').append(`a${value}`);
      b.knowledge.log('l').append(`b${value}`);
    }
    expect(meet(a, b, (knowledge) => knowledge.log('l').values())).toEqual([
      'a1',
      'b1',
      'a2',
      'b2',
      'a3',
      'b3',
    ]);
    a.knowledge.log('l').append('a4');
    expect(meet(a, b, (knowledge) => knowledge.log('l').values())).toEqual(['b2', 'a3', 'b3', 'a4']);
  });

  test('the oldest entries of a set or map go, and one that is written again is the newest', () => {
    const [a] = two(2);
    for (const key of ['x', 'y', 'x', 'z']) {
      a.knowledge.set('s').add(key);
      a.knowledge.map('m').set(key, 1);
      a.knowledge.lastWriteMap('m').set(key, 1);
    }
    const { knowledge } = a;
    expect(knowledge.set('s').values()).toEqual(['x', 'z']);
    expect(
      [knowledge.map('m').value(), knowledge.lastWriteMap('m').value()].map((value) => Object.keys(value)),
    ).toEqual([
      ['x', 'z'],
      ['x', 'z'],
    ]);
  });

  test('ten thousand facts leave as many as are kept, one interval of context, and no tombstones', () => {
    const [a] = two(100);
    for (let fact = 1; fact <= 10_000; fact += 1) a.knowledge.set('facts').add(fact);
    const { knowledge } = a.state.toJSON();
    expect(knowledge.context).toEqual({ a: [1, 10_000] });
    expect(Object.keys(knowledge.crdts['orSet']?.['facts'] ?? {}).length).toBe(100);
    for (const fact of a.knowledge.set('facts').values()) a.knowledge.set('facts').remove(fact);
    const left = JSON.stringify(a.state.toJSON().knowledge).slice(0, 200);
    expect(left).toBe('{"context":{"a":[1,10100]},"crdts":{},"reach":"all"}');
  });
});

describe('deltas', () => {
  test('where one between two is lost, what it replaced stands until it is told of, and is asked for', () => {
    const [a, b] = two();
    for (const value of [1, 2, 3]) a.knowledge.multiValueRegister('r').assign(value);
    const [first, second, third] = a.deltas;
    for (const delta of [third, first]) if (delta !== undefined) b.state.merge(delta, T);
    expect(b.state.versionVector).toEqual({ a: 1 });
    const delayed = ReplicaState.read(JSON.parse(JSON.stringify(b.state)));
    if (second !== undefined) delayed.merge(second, T);
    expect(JSON.stringify(delayed.knowledge.crdts)).toBe(JSON.stringify(a.state.knowledge.crdts));
    expect(delayed.value('mvRegister', 'r')).toEqual([3]);
    expect(meet(a, b, (knowledge) => knowledge.multiValueRegister('r').values())).toEqual([3]);
  });

  test('what comes after it was replaced does not come back', () => {
    const [a, b] = two();
    a.knowledge.set('s').add('x');
    a.knowledge.set('s').remove('x');
    for (const delta of a.deltas.toReversed()) b.state.merge(delta, T);
    expect(b.knowledge.set('s').values()).toEqual([]);
    expect(JSON.stringify(b.state.toJSON().knowledge)).toBe(JSON.stringify(a.state.toJSON().knowledge));
  });

  test('a delta is as small as what it tells of', () => {
    const [a, b] = two();
    for (let fact = 0; fact < 1000; fact += 1) a.knowledge.set('facts').add(fact);
    b.get(a);
    a.knowledge.set('facts').add('one more');
    const { crdts } = a.state.since(b.state.context);
    expect([...(crdts.get('orSet')?.get('facts')?.keys() ?? [])]).toEqual(['"one more"']);
  });
});
