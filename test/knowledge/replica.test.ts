// Pure: a replica outside of Temporal, and another that it meets through JSON.
import { CLOCK_AHEAD_MAXIMUM, type KnowledgeJson, Replica } from '../../src/knowledge';

const T = 1_700_000_000_000;

function open(name: string, maxEntries?: number): Replica {
  let now = T;
  return Replica.create(name, {
    now: () => (now += 1000),
    ...(maxEntries === undefined ? {} : { maxEntries }),
  });
}

function throughJson<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}

/** What `from` has and `to` lacks goes over as JSON. */
function send(from: Replica, to: Replica): boolean {
  return to.merge(throughJson(from.delta(throughJson(to.seen))));
}

function meet(...replicas: Replica[]): void {
  for (const to of replicas) for (const from of replicas) if (from !== to) send(from, to);
  for (const to of replicas) for (const from of replicas) if (from !== to) expect(send(from, to)).toBe(false);
}

/** All that is read of it. */
function read({ knowledge }: Replica): unknown {
  return {
    counter: knowledge.counter('x').value(),
    growOnlyCounter: knowledge.growOnlyCounter('x').value(),
    register: knowledge.register('x').value(),
    multiValueRegister: knowledge.multiValueRegister('x').values(),
    set: knowledge.set('x').values(),
    growOnlySet: knowledge.growOnlySet('x').values(),
    map: knowledge.map('x').value(),
    lastWriteMap: knowledge.lastWriteMap('x').value(),
    log: knowledge.log('x').values(),
  };
}

function write({ knowledge }: Replica, by: string): void {
  knowledge.counter('x').increment(3);
  knowledge.counter('x').decrement();
  knowledge.growOnlyCounter('x').increment();
  knowledge.register('x').assign(by);
  knowledge.multiValueRegister('x').assign(by);
  knowledge.set('x').add('both');
  knowledge.set('x').add({ by });
  knowledge.growOnlySet('x').add(by);
  knowledge.map('x').set('k', by);
  knowledge.lastWriteMap('x').set('k', by, { term: 1 });
  knowledge.log('x').append(by);
}

test('one that is empty reads as nothing', () => {
  expect(read(open('laptop'))).toEqual({
    counter: 0,
    growOnlyCounter: 0,
    register: undefined,
    multiValueRegister: [],
    set: [],
    growOnlySet: [],
    map: {},
    lastWriteMap: {},
    log: [],
  });
});

test('two that wrote while apart have all of both once they have met', () => {
  const [a, b] = [open('a'), open('b')];
  write(a, 'a');
  write(b, 'b');
  expect(read(a)).not.toEqual(read(b));
  meet(a, b);
  expect(read(a)).toEqual(read(b));
  expect(read(a)).toMatchObject({ counter: 4, growOnlyCounter: 2, register: 'b', lastWriteMap: { k: 'b' } });
  const { knowledge } = a;
  for (const both of [
    knowledge.multiValueRegister('x').values(),
    knowledge.growOnlySet('x').values(),
    knowledge.log('x').values(),
    knowledge.map('x').getAll('k'),
  ]) {
    expect(new Set(both)).toEqual(new Set(['a', 'b']));
  }
  expect(knowledge.set('x').values()).toHaveLength(3);
  expect(a.versionVector).toEqual(b.versionVector);
  expect(Object.values(a.versionVector)).toEqual([11, 11]);
  expect(a.toJSON().knowledge).toEqual(b.toJSON().knowledge);
});

test('what is read of one key, removed and had', () => {
  const [a, b] = [open('a'), open('b')];
  write(a, 'a');
  write(b, 'b');
  meet(a, b);
  const { knowledge } = a;
  expect([knowledge.map('x').get('k'), new Set(knowledge.map('x').getAll('k'))]).toEqual([
    'b',
    new Set(['a', 'b']),
  ]);
  expect([knowledge.map('x').get('none'), knowledge.map('x').getAll('none')]).toEqual([undefined, []]);
  expect(['k', 'none'].map((key) => knowledge.lastWriteMap('x').get(key))).toEqual(['b', undefined]);
  expect(['a', 'c'].map((value) => knowledge.growOnlySet('x').has(value))).toEqual([true, false]);
  expect(knowledge.set('x').has({ by: 'a' })).toBe(true);
  expect([1, 2].map(() => knowledge.set('x').remove({ by: 'a' }))).toEqual([true, false]);
  expect([1, 2].map(() => knowledge.map('x').delete('k'))).toEqual([true, false]);
  expect(knowledge.lastWriteMap('x').delete('k')).toBe(true);
  meet(a, b);
  expect(read(b)).toMatchObject({
    map: {},
    lastWriteMap: {},
    set: expect.not.arrayContaining([{ by: 'a' }]),
  });
});

test('kinds and names stand apart', () => {
  const { knowledge } = open('a');
  for (const name of ['x', '__proto__', '']) knowledge.counter(name).increment(name.length + 1);
  expect(['x', '__proto__', '', 'y'].map((name) => knowledge.counter(name).value())).toEqual([2, 10, 1, 0]);
  expect(knowledge.growOnlyCounter('x').value()).toBe(0);
});

test('loaded, it reads as it was saved, and writes under an id of its own', () => {
  const saved = open('laptop');
  write(saved, 'before');
  const loaded = Replica.load(throughJson(saved));
  expect(read(loaded)).toEqual(read(saved));
  expect(loaded.id).toMatch(/^laptop:[0-9a-f]+$/);
  expect(loaded.id).not.toBe(saved.id);
  expect(loaded.versionVector).toEqual(saved.versionVector);
});

test('a file that is loaded twice makes two replicas, whose operations all count', () => {
  const saved = open('laptop');
  write(saved, 'before');
  const file = JSON.stringify(saved);
  const others = [1, 2, 3].map(() => Replica.load(JSON.parse(file), { now: () => T }));
  for (const replica of [saved, ...others]) replica.knowledge.counter('x').increment(10);
  meet(saved, ...others);
  for (const replica of [saved, ...others]) expect(replica.knowledge.counter('x').value()).toBe(42);
  expect(new Set([saved, ...others].map(({ id }) => id)).size).toBe(4);
});

test('a delta merges however often, and not before what it leaves out; only the first time is news', () => {
  const [a, b] = [open('a'), open('b')];
  const deltas: KnowledgeJson[] = [];
  for (const value of [1, 2, 3, 4]) {
    const { seen } = a;
    a.knowledge.register('x').assign(value);
    a.knowledge.log('x').append(value);
    deltas.push(throughJson(a.delta(seen)));
  }
  for (const early of deltas.slice(1)) {
    expect(() => b.merge(early)).toThrow(/made for what this replica has seen.*"a:/);
  }
  expect(b.versionVector).toEqual({});
  const news = [...deltas, ...deltas].map((delta) => b.merge(delta));
  expect(news).toEqual([true, true, true, true, false, false, false, false]);
  expect(read(b)).toEqual(read(a));
});

test('a delta has what another lacks, and little else', () => {
  const [a, b] = [open('a'), open('b')];
  for (let value = 0; value < 1000; value += 1) a.knowledge.set('x').add(value);
  send(a, b);
  a.knowledge.set('x').add('new');
  expect(JSON.stringify(a.delta(b.seen)).length).toBeLessThan(200);
  expect(JSON.stringify(a.delta()).length).toBeGreaterThan(20_000);
  expect(Object.keys(b.delta(a.seen).crdts)).toEqual([]);
});

test('whoever changes what he wrote, read or sent changes nothing here', () => {
  const a = open('a');
  const finding = { text: 'as it was' };
  a.knowledge.set('x').add(finding);
  finding.text = 'changed';
  const [had] = a.knowledge.set('x').values() as { text: string }[];
  expect(had).toEqual({ text: 'as it was' });
  if (had !== undefined) had.text = 'changed too';
  a.apply({ type: 'orMap', name: 'x', set: 'k', value: [finding] });
  finding.text = 'again';
  expect(a.knowledge.set('x').values()).toEqual([{ text: 'as it was' }]);
  expect(a.knowledge.map('x').get('k')).toEqual([{ text: 'changed' }]);
});

test('collections keep as many entries as they are told, the newest', () => {
  const a = open('a', 3);
  for (const value of [1, 2, 3, 4, 5]) {
    a.knowledge.set('x').add(value);
    a.knowledge.log('x').append(value);
  }
  expect(read(a)).toMatchObject({ set: [3, 4, 5], log: [3, 4, 5] });
});

test('by default they keep 2,000, and the clock is that of the machine', () => {
  const a = Replica.create('a');
  for (let value = 0; value < 2001; value += 1) a.knowledge.log('x').append(value);
  expect(a.knowledge.log('x').values()).toHaveLength(2000);
  expect(Math.abs(a.toJSON().time[0] - Date.now())).toBeLessThan(60_000);
});

test('what was written more than a day ahead is refused, and nothing is merged', () => {
  const ahead = Replica.create('ahead', { now: () => T + CLOCK_AHEAD_MAXIMUM + 60_000 });
  ahead.knowledge.register('x').assign('from tomorrow');
  const a = Replica.create('a', { now: () => T });
  a.knowledge.register('x').assign('mine');
  expect(() => send(ahead, a)).toThrow(expect.objectContaining({ type: 'ClockAhead' }));
  expect([read(a), Object.keys(a.versionVector)]).toMatchObject([{ register: 'mine' }, [a.id]]);
});

describe('it refuses, and names the field', () => {
  test.each([
    ['', /name to be 1 to 60/],
    ['x'.repeat(61), /name to be 1 to 60/],
    ['a:b', /name to be 1 to 60/],
    ['a\nb', /name to be 1 to 60/],
    ['\ud83e', /name to be 1 to 60/],
    [7 as never, /name to be 1 to 60/],
    [undefined as never, /name to be 1 to 60/],
  ])('the name %j', (name, message) => {
    expect(() => Replica.create(name)).toThrow(
      expect.objectContaining({ type: 'InputInvalid', message: expect.stringMatching(message) }),
    );
  });

  test.each([0, -1, 1.5, 1_000_001, Number.NaN, '5' as never])('`maxEntries` of %p', (maxEntries) => {
    const refusal = expect.objectContaining({
      type: 'InputInvalid',
      message: expect.stringMatching(/`maxEntries`.*1 to 1000000/),
    });
    expect(() => Replica.create('a', { maxEntries })).toThrow(refusal);
    expect(() => Replica.load(throughJson(open('a')), { maxEntries })).toThrow(refusal);
  });

  test.each<[string, (replica: Replica) => unknown, RegExp]>([
    ['an increment of 0', ({ knowledge }) => knowledge.counter('x').increment(0), /by /],
    ['a decrement below 1', ({ knowledge }) => knowledge.counter('x').decrement(-5), /by .*1 or more/],
    ['a look for what no set has', ({ knowledge }) => knowledge.set('x').has(undefined as never), /value /],
    ['a removal of what no set has', ({ knowledge }) => knowledge.set('x').remove(Number.NaN), /value /],
    ['half a decrement', ({ knowledge }) => knowledge.counter('x').decrement(0.5), /by /],
    [
      'an increment below 1',
      ({ knowledge }) => knowledge.growOnlyCounter('x').increment(-1),
      /by .*1 or more/,
    ],
    [
      'a value that JSON drops',
      ({ knowledge }) => knowledge.register('x').assign(undefined as never),
      /assign /,
    ],
    ['a value that JSON changes', ({ knowledge }) => knowledge.set('x').add(new Date(0) as never), /add /],
    ['a function', ({ knowledge }) => knowledge.log('x').append((() => 1) as never), /append /],
    ['a BigInt', ({ knowledge }) => knowledge.log('x').append(1n as never), /append /],
    ['a value over 8 KiB', ({ knowledge }) => knowledge.map('x').set('k', 'x'.repeat(8191)), /value .*8 KiB/],
    [
      'a key over 1,000 characters',
      ({ knowledge }) => knowledge.map('x').set('k'.repeat(1001), 1),
      /set .*1000/,
    ],
    ['a term below 0', ({ knowledge }) => knowledge.register('x').assign(1, { term: -1 }), /term /],
    ['a name over 200 characters', ({ knowledge }) => knowledge.set('x'.repeat(201)).add(1), /`name` .*200/],
    ['an operation of no kind', (replica) => replica.apply({ type: 'x', name: 'x' } as never), /`type` /],
    ['a delta that is none', (replica) => replica.merge({} as never), /`delta`\.reach /],
    ['a `seen` that is none', (replica) => replica.delta({ a: [2, 1] }), /`seen`\.a /],
  ])('%s', (_title, act, message) => {
    const replica = open('a');
    expect(() => act(replica)).toThrow(
      expect.objectContaining({ type: 'InputInvalid', message: expect.stringMatching(message) }),
    );
    expect(replica.versionVector).toEqual({});
  });

  test('the longest that it takes', () => {
    const replica = open('x'.repeat(60), 1_000_000);
    replica.knowledge.map('x'.repeat(200)).set('k'.repeat(1000), 'x'.repeat(8190), { term: 0 });
    expect(
      Replica.load(throughJson(replica)).knowledge.map('x'.repeat(200)).get('k'.repeat(1000)),
    ).toHaveLength(8190);
  });
});

test.each(['counter', 'growOnlyCounter'] as const)('a %s refuses what it could not count exactly', (kind) => {
  const counter = Replica.create('a').knowledge[kind]('x');
  counter.increment(Number.MAX_SAFE_INTEGER);
  expect(() => counter.increment()).toThrow(/by .*9007199254740991/);
  expect(counter.value()).toBe(Number.MAX_SAFE_INTEGER);
});
