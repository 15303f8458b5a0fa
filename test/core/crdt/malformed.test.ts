// Pure: what no replica has written is refused, by a CadreError that names the field, and changes nothing.
import fc from 'fast-check';
import { isCadreError } from '../../../src/core/failures';
import { decodeContext, decodeKnowledge, encodeKnowledge } from '../../../src/core/crdt/knowledge-json';
import { ReplicaState, checkOperation } from '../../../src/core/crdt/replica';
import { CRDT_NAMES } from '../../../src/core/crdt/types';
import { Replica } from '../../../src/knowledge';
import { T } from './histories';

type Row = readonly [title: string, field: RegExp, make: () => unknown];

const DEPTH = 20_000;
const deep = (): unknown => JSON.parse('['.repeat(DEPTH) + ']'.repeat(DEPTH));
const ring = (): unknown => {
  const list: unknown[] = [];
  list.push(list);
  return list;
};

/** One entry of an OR-Set, with `fields` in the place of what is right. */
function knowledge(fields: object = {}): unknown {
  return {
    context: { a: [1, 3] },
    crdts: { orSet: { s: { '"x"': [['a', 1, T, 0, 'x']] } } },
    reach: 'all',
    ...fields,
  };
}

function withContext(a: unknown): () => unknown {
  return () => knowledge({ context: { a }, crdts: {} });
}

function withSiblings(siblings: unknown, type = 'orSet'): () => unknown {
  return () => knowledge({ crdts: { [type]: { s: { k: siblings } } } });
}

const CONTEXTS: readonly Row[] = [
  ['a text', /\.a /, withContext('1')],
  ['a number', /\.a /, withContext(7)],
  ['null', /\.a /, withContext(null)],
  ['no intervals', /\.a /, withContext([])],
  ['half an interval', /\.a /, withContext([1])],
  ['one and a half', /\.a /, withContext([1, 2, 4])],
  ['from 0', /\.a /, withContext([0, 2])],
  ['from less than 0', /\.a /, withContext([-3, 2])],
  ['backwards', /\.a /, withContext([3, 1])],
  ['in the wrong order', /\.a /, withContext([5, 6, 1, 2])],
  ['overlapping', /\.a /, withContext([1, 4, 3, 6])],
  ['without a gap', /\.a /, withContext([1, 2, 3, 4])],
  ['a fraction', /\.a /, withContext([1, 2.5])],
  ['too great', /\.a /, withContext([1, 2 ** 53])],
  ['texts', /\.a /, withContext(['1', '2'])],
  ['null in it', /\.a /, withContext([1, null])],
  ['an object', /\.a /, withContext({ 0: 1, 1: 2, length: 2 })],
  ['nested deep', /\.a /, withContext([deep(), 1])],
  ['a BigInt', /\.a /, withContext([1n, 2n])],
  [
    'of __proto__',
    /\.__proto__ /,
    () => knowledge({ context: JSON.parse('{"__proto__":[2,1]}'), crdts: {} }),
  ],
  ['a list', /context /, () => knowledge({ context: [] })],
  ['nothing', /context /, () => knowledge({ context: undefined })],
  ['what it replaced, backwards', /replaced\.a /, () => knowledge({ replaced: { a: [3, 1] } })],
  ['what it replaced, a list', /replaced /, () => knowledge({ replaced: [] })],
  ['what it replaced, null', /replaced /, () => knowledge({ replaced: null })],
];

const SIBLINGS: readonly Row[] = [
  ['no list', /orSet\.s\.k /, withSiblings({})],
  ['null', /orSet\.s\.k /, withSiblings(null)],
  ['a list of a number', /orSet\.s\.k /, withSiblings([1])],
  ['too few fields', /orSet\.s\.k /, withSiblings([['a', 1, T, 0]])],
  ['too many fields', /orSet\.s\.k /, withSiblings([['a', 1, T, 0, 'x', 1, 2]])],
  ['no replica', /orSet\.s\.k /, withSiblings([[null, 1, T, 0, 'x']])],
  ['a counter of 0', /orSet\.s\.k /, withSiblings([['a', 0, T, 0, 'x']])],
  ['a counter as text', /orSet\.s\.k /, withSiblings([['a', '1', T, 0, 'x']])],
  ['a time before 1970', /orSet\.s\.k /, withSiblings([['a', 1, -1, 0, 'x']])],
  ['a time that is none', /orSet\.s\.k /, withSiblings([['a', 1, 'now', 0, 'x']])],
  ['half a count', /orSet\.s\.k /, withSiblings([['a', 1, T, 0.5, 'x']])],
  ['a count below 0', /orSet\.s\.k /, withSiblings([['a', 1, T, -1, 'x']])],
  ['a term below 0', /orSet\.s\.k /, withSiblings([['a', 1, T, 0, 'x', -1]])],
  ['a term of null', /orSet\.s\.k /, withSiblings([['a', 1, T, 0, 'x', null]])],
  ['what its context has not seen', /orSet\.s\.k .*has seen/, withSiblings([['a', 4, T, 0, 'x']])],
  ['a stranger', /orSet\.s\.k .*has seen/, withSiblings([['b', 1, T, 0, 'x']])],
  [
    'a dot twice',
    /orSet\.s\.k .*an operation each/,
    withSiblings([
      ['a', 1, T, 0, 'x'],
      ['a', 1, T, 1, 'y'],
    ]),
  ],
  ['a value nested deep', /orSet\.s\.k /, withSiblings([['a', 1, T, 0, deep()]])],
  ['a ring', /orSet\.s\.k /, withSiblings([['a', 1, T, 0, ring()]])],
  ['a BigInt', /orSet\.s\.k /, withSiblings([['a', 1, T, 0, 1n]])],
  ['no value', /orSet\.s\.k /, withSiblings([['a', 1, T, 0, undefined]])],
  [
    'a count that is a text',
    /gCounter\.s\.k .*gCounter stores/,
    withSiblings([['a', 1, T, 0, '7']], 'gCounter'),
  ],
  ['a count that shrinks', /gCounter\.s\.k /, withSiblings([['a', 1, T, 0, -7]], 'gCounter')],
  ['one total of a pnCounter', /pnCounter\.s\.k /, withSiblings([['a', 1, T, 0, 7]], 'pnCounter')],
  ['totals of null', /pnCounter\.s\.k /, withSiblings([['a', 1, T, 0, null]], 'pnCounter')],
  ['three totals', /pnCounter\.s\.k /, withSiblings([['a', 1, T, 0, [1, 2, 3]]], 'pnCounter')],
];

const WHOLES: readonly Row[] = [
  ...[undefined, null, true, 7, 'knowledge', []].map(
    (json): Row => [JSON.stringify(json) ?? 'nothing', /^Expected it /, () => json],
  ),
  ['a BigInt', /^Expected it /, () => 5n],
  ['nested deep', /^Expected it /, deep],
  ['an empty object', /it\.reach /, () => ({})],
  ['no reach', /it\.reach /, () => knowledge({ reach: undefined })],
  ['an unknown reach', /it\.reach /, () => knowledge({ reach: 'some' })],
  ['no CRDTs', /it\.crdts /, () => knowledge({ crdts: undefined })],
  ['a list of CRDTs', /it\.crdts /, () => knowledge({ crdts: [] })],
  [
    'an unknown kind',
    /it\.crdts .*gCounter, pnCounter.*"twoPhaseSet"/,
    () => knowledge({ crdts: { twoPhaseSet: {} } }),
  ],
  ['a kind called constructor', /it\.crdts .*constructor/, () => knowledge({ crdts: { constructor: {} } })],
  [
    'a kind called __proto__',
    /it\.crdts .*__proto__/,
    () => knowledge({ crdts: JSON.parse('{"__proto__":{}}') }),
  ],
  ['names in a list', /it\.crdts\.orSet /, () => knowledge({ crdts: { orSet: [] } })],
  ['keys in a text', /it\.crdts\.orSet\.s /, () => knowledge({ crdts: { orSet: { s: 'x' } } })],
];

const OPERATIONS: readonly Row[] = [
  ...[undefined, null, 7, 'add', [], 5n, deep(), ring()].map(
    (candidate): Row => [typeof candidate, /an operation on knowledge /, () => candidate],
  ),
  ['no kind', /`type` /, () => ({ name: 'n', by: 1 })],
  ['an unknown kind', /`type` /, () => ({ type: 'toString', name: 'n', by: 1 })],
  ['a kind nested deep', /`type` /, () => ({ type: deep(), name: 'n', by: 1 })],
  ['no name', /`name` /, () => ({ type: 'gCounter', by: 1 })],
  ['a name too long', /`name` .*200/, () => ({ type: 'gCounter', name: 'x'.repeat(201), by: 1 })],
  ['a BigInt for a name', /`name` /, () => ({ type: 'gCounter', name: 7n, by: 1 })],
  ...[undefined, null, 0, -1, 0.5, '1', Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1n, deep()].map(
    (by): Row => [`by ${typeof by}`, /by .*\(gCounter "n"\)/, () => ({ type: 'gCounter', name: 'n', by })],
  ),
  ['nothing added', /by /, () => ({ type: 'pnCounter', name: 'n', by: 0 })],
  ...[
    undefined,
    Number.NaN,
    -0,
    1n,
    () => 1,
    Symbol('x'),
    new Date(0),
    new Map(),
    [undefined],
    new Array(2),
    { a: undefined },
    deep(),
    ring(),
    'x'.repeat(8191),
  ].map(
    (value): Row => [
      `a value: ${typeof value}`,
      /assign .*\(mvRegister "n"\)/,
      () => ({ type: 'mvRegister', name: 'n', assign: value }),
    ],
  ),
  [
    'a value nested 33 deep',
    /append /,
    () => ({ type: 'appendLog', name: 'n', append: JSON.parse('['.repeat(34) + ']'.repeat(34)) }),
  ],
  ['a term below 0', /term /, () => ({ type: 'lwwRegister', name: 'n', assign: 1, term: -1 })],
  ['a term of null', /term /, () => ({ type: 'lwwMap', name: 'n', set: 'k', value: 1, term: null })],
  ['a key too long', /set .*1000/, () => ({ type: 'orMap', name: 'n', set: 'x'.repeat(1001), value: 1 })],
  ['a key that is none', /set /, () => ({ type: 'orMap', name: 'n', set: 7, value: 1 })],
  ['no value', /value /, () => ({ type: 'orMap', name: 'n', set: 'k' })],
  ['a removal without dots', /dots /, () => ({ type: 'orSet', name: 'n', remove: 'k' })],
  ['a removal by a number', /remove /, () => ({ type: 'orSet', name: 'n', remove: 7, dots: [] })],
  ...[[['a']], [['a', 0]], [['a', 1, 2]], [[1, 'a']], ['a', 1], { 0: ['a', 1] }].map(
    (dots): Row => [
      `dots ${JSON.stringify(dots)}`,
      /dots /,
      () => ({ type: 'orMap', name: 'n', remove: 'k', dots }),
    ],
  ),
  ['a removal from what only grows', /add /, () => ({ type: 'gSet', name: 'n', remove: 'k', dots: [] })],
];

const REPLICAS: readonly Row[] = [
  ...[undefined, null, 7, '{}', [], {}].map(
    (json): Row => [JSON.stringify(json) ?? 'nothing', /replica\.version /, () => json],
  ),
  ...[2, '1', null, 1n, deep()].map(
    (version): Row => [`version ${typeof version}`, /replica\.version /, () => replica({ version })],
  ),
  ...[undefined, 7, null, deep()].map(
    (id): Row => [`id ${typeof id}`, /replica\.id /, () => replica({ id })],
  ),
  ...[undefined, T, [T], [T, 0, 0], [T, 0.5], ['0', '0'], [T, null], [-1, 0], [0, -1]].map(
    (time): Row => [`time ${JSON.stringify(time)}`, /replica\.time /, () => replica({ time })],
  ),
  ['nothing known', /replica\.knowledge /, () => replica({ knowledge: undefined })],
  [
    'a delta for a state',
    /replica\.knowledge\.reach /,
    () => replica({ knowledge: knowledge({ reach: 'keys' }) }),
  ],
];

function replica(fields: object = {}): unknown {
  return { version: 1, id: 'laptop:1', time: [T, 0], knowledge: knowledge(), ...fields };
}

/** The message of the InputInvalid that `act` throws; else what it does instead. */
function refusalOf(act: () => unknown): string {
  try {
    act();
    return 'nothing is refused';
  } catch (error) {
    if (!isCadreError(error) || error.type !== 'InputInvalid') return `not by InputInvalid: ${String(error)}`;
    return error.message.length < 700 ? error.message : `in ${error.message.length} characters`;
  }
}

/** What is in it is not to change. */
function written(): ReplicaState {
  const state = ReplicaState.create('mine');
  state.apply({ type: 'orSet', name: 's', add: 'mine' }, T);
  return state;
}

describe('knowledge of others', () => {
  test('is taken where it is right', () => {
    expect(decodeKnowledge(knowledge(), 'it').crdts.size).toBe(1);
    expect(
      encodeKnowledge(decodeKnowledge(knowledge({ replaced: { a: [2, 2], b: [1, 1] } }), 'it')).replaced,
    ).toEqual({ b: [1, 1] });
  });

  test.each([...WHOLES, ...CONTEXTS, ...SIBLINGS])('is refused: %s', (_title, field, make) => {
    const state = written();
    const before = JSON.stringify(state);
    expect(refusalOf(() => state.merge(decodeKnowledge(make(), 'it'), T))).toMatch(field);
    expect(JSON.stringify(state)).toBe(before);
  });

  test.each(CONTEXTS.slice(0, 19))('is refused as a context: %s', (_title, _field, make) => {
    expect(refusalOf(() => decodeContext((make() as { context: unknown }).context, 'it'))).toMatch(
      /^Expected it\.a /,
    );
  });

  test('is refused by the public replica, which goes on as it was', () => {
    const mine = Replica.create('laptop', { now: () => T });
    mine.knowledge.set('s').add(1);
    const before = JSON.stringify(mine);
    for (const [, , make] of [...WHOLES, ...CONTEXTS, ...SIBLINGS]) {
      expect(refusalOf(() => mine.merge(make() as never))).toMatch(/`delta`/);
    }
    for (const [, , make] of CONTEXTS.slice(0, 19)) {
      expect(refusalOf(() => mine.delta((make() as { context: never }).context))).toMatch(/`seen`\.a/);
    }
    expect(JSON.stringify(mine)).toBe(before);
  });

  test('is refused, or does no harm, whatever was changed in it', () => {
    const source = written();
    for (const [index, type] of CRDT_NAMES.entries()) {
      source.apply({ type: 'pnCounter', name: type, by: index + 1 }, T);
      source.apply({ type: 'orMap', name: type, set: '__proto__', value: { a: [index] } }, T);
    }
    const text = JSON.stringify(source.toJSON().knowledge);
    const anyChange = fc.record({
      at: fc.nat(text.length),
      length: fc.nat(6),
      insert: fc.constantFrom(
        '',
        '0',
        '-1',
        'null',
        '[]',
        '{}',
        '"',
        ',',
        '[',
        '1e999',
        '"x"',
        '[1,1]',
        '"__proto__":',
      ),
    });
    let [refused, taken] = [0, 0];
    fc.assert(
      fc.property(anyChange, ({ at, length, insert }) => {
        const changed = parse(text.slice(0, at) + insert + text.slice(at + length));
        if (changed === undefined) return;
        const state = written();
        const before = JSON.stringify(state);
        try {
          state.merge(decodeKnowledge(changed, 'it'), T);
          taken += 1;
        } catch (error) {
          refused += 1;
          expect(isCadreError(error) && ['InputInvalid', 'ClockAhead'].includes(error.type)).toBe(true);
          expect(JSON.stringify(state)).toBe(before);
        }
        for (const name of ['s', ...CRDT_NAMES]) for (const type of CRDT_NAMES) state.value(type, name);
        expect(JSON.stringify(ReplicaState.read(JSON.parse(JSON.stringify(state))))).toBe(
          JSON.stringify(state),
        );
      }),
      { numRuns: 5000 },
    );
    expect(Math.min(refused, taken)).toBeGreaterThan(100);
  });
});

test.each(OPERATIONS)('an operation is refused: %s', (_title, field, make) => {
  expect(refusalOf(() => checkOperation(make()))).toMatch(field);
});

test.each(REPLICAS)('a replica is refused: %s', (_title, field, make) => {
  expect(refusalOf(() => ReplicaState.read(make()))).toMatch(field);
  expect(refusalOf(() => Replica.load(make()))).toMatch(field);
});

test('a file in which keys have nothing under them is read as one without them', () => {
  const empty = knowledge({ crdts: { orSet: { s: { k: [] } }, lwwRegister: { r: { '': [] } } } });
  const state = ReplicaState.read(replica({ knowledge: empty }));
  expect([state.value('orSet', 's'), state.value('lwwRegister', 'r')]).toEqual([[], undefined]);
  expect(state.toJSON().knowledge.crdts).toEqual({});
});

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
