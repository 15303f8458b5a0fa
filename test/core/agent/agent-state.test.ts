// Pure: the fold of what an agent's workflow is told.
import fc from 'fast-check';
import {
  type Gossip,
  MESSAGE_VERSION,
  type Remember,
  type RememberedDecision,
  type Upcasts,
  readGossip,
  readRemember,
  upcast,
} from '../../../src/core/agent/agent-messages';
import {
  type AgentEvent,
  type AgentState,
  REPLICA_MAXIMUM_BYTES,
  evolveAgent,
  heardEvent,
  membersIn,
  newAgent,
  rememberedEvent,
  rereadAgent,
  restoreAgent,
  snapshotOf,
} from '../../../src/core/agent/agent-state';
import { agentReport } from '../../../src/core/agent/agent-report';
import { MEMBERS } from '../../../src/core/agent/members';
import { dotsAt } from '../../../src/core/crdt/handles';
import { encodeContext, encodeKnowledge } from '../../../src/core/crdt/knowledge-json';
import { type Operation, ReplicaState } from '../../../src/core/crdt/replica';
import { assertNever, jsonBytes } from '../../../src/core/json';

/** 2023-11-14, in ms. */
const T = 1_700_000_000_000;
const found = (value: string): Operation => ({ type: 'orSet', name: 'facts', add: value });

function anAgent(member = 'research', cadre = 'cadre'): AgentState {
  return evolveAgent(newAgent(cadre, member, `${member}:00000001`), { type: 'joined', at: T }).state;
}

function remember(fields: Partial<Remember> = {}): Remember {
  return {
    version: MESSAGE_VERSION,
    id: 'task-1/run',
    task: 'task-1',
    decisions: [],
    operations: [],
    ...fields,
  };
}

function gossip(replica: ReplicaState, fields: Partial<Gossip> = {}): Gossip {
  return {
    version: MESSAGE_VERSION,
    cadre: 'cadre',
    from: 'analysis',
    seen: encodeContext(replica.context),
    delta: encodeKnowledge(replica.knowledge),
    asks: false,
    ...fields,
  };
}

function decision(fields: Partial<RememberedDecision> = {}): RememberedDecision {
  return { type: 'chosen', rationale: 'it is the best', task: 'task-1', step: 'a', ...fields };
}

/** `messages`, a second apart, each to be remembered. */
function told(state: AgentState, ...messages: readonly unknown[]): AgentState {
  return messages.reduce<AgentState>(
    (now, message, index) => evolveAgent(now, rememberedEvent(message, T + 1000 * index)).state,
    state,
  );
}

function heard(state: AgentState, message: unknown, at = T): AgentState {
  return evolveAgent(state, heardEvent(message, at)).state;
}

/** As a message arrives: as JSON. */
function asJson(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value) ?? 'null') as unknown;
  } catch {
    return null;
  }
}

/** As the next run has it. */
function continuedAsNew(state: AgentState): AgentState {
  return restoreAgent(JSON.parse(JSON.stringify(snapshotOf(state))));
}

const facts = ({ replica }: AgentState): unknown => replica.value('orSet', 'facts');
const why = ({ refusals }: AgentState): string => refusals.at(-1)?.why ?? '';

describe('what a task remembers', () => {
  const message = remember({
    decisions: [decision()],
    operations: [{ type: 'pnCounter', name: 'sources', by: 3 }, found('yes')],
  });

  test('is applied, and counted', () => {
    const state = told(anAgent(), message);
    expect(facts(state)).toEqual(['yes']);
    expect(state.replica.value('pnCounter', 'sources')).toBe(3);
    expect(state).toMatchObject({ remembered: 1, rememberedAt: T, decided: 1 });
    expect(state.decisions).toEqual([{ ...decision(), at: T }]);
  });

  test('is news to the others, in one part', () => {
    const { news = [] } = evolveAgent(anAgent(), rememberedEvent(message, T));
    expect(news.map(({ since, delta }) => [since, encodeContext(delta.context)])).toEqual([
      [undefined, { 'research:00000001': [2, 3] }],
    ]);
  });

  test('counts once, however often it comes', () => {
    const state = told(anAgent(), message, message, message);
    expect(state.replica.value('pnCounter', 'sources')).toBe(3);
    expect(state).toMatchObject({ remembered: 1, decided: 1, refused: 0 });
  });

  test('counts once, also over continue-as-new', () => {
    const state = told(continuedAsNew(told(anAgent(), message)), message);
    expect(state.replica.value('pnCounter', 'sources')).toBe(3);
    expect(state).toMatchObject({ remembered: 1, decided: 1 });
  });

  test('would count twice, were the table of ids lost at continue-as-new', () => {
    const { ids: _lost, ...rest } = snapshotOf(told(anAgent(), message));
    const state = told(restoreAgent(JSON.parse(JSON.stringify({ ...rest, ids: [] }))), message);
    expect(state.replica.value('pnCounter', 'sources')).toBe(6);
  });

  test('is known by its id: parts of one task count each', () => {
    const state = told(anAgent(), message, { ...message, id: 'task-1/run#1' });
    expect(state.replica.value('pnCounter', 'sources')).toBe(6);
  });

  test('is known for 5,000 tasks', () => {
    const many = Array.from({ length: 5000 }, (_none, index) => remember({ id: `later-${index}` }));
    const state = told(anAgent(), message, ...many);
    expect(state.ids).toHaveLength(5000);
    expect(told(state, many[0]).remembered).toBe(5001);
    // The oldest is out.
    expect(told(state, message).remembered).toBe(5002);
  });

  test('keeps as many entries as it says', () => {
    const operations = ['a', 'b', 'c'].map(found);
    expect(facts(told(anAgent(), remember({ operations, maxEntries: 2 })))).toEqual(['b', 'c']);
  });
});

describe('decisions', () => {
  test('the last 100 are kept, and all are counted', () => {
    const decisions = Array.from({ length: 60 }, (_none, index) => decision({ step: `s${index}` }));
    const state = told(anAgent(), remember({ id: 'a', decisions }), remember({ id: 'b', decisions }));
    expect(state.decided).toBe(120);
    expect(state.decisions).toHaveLength(100);
    expect(state.decisions[0]).toMatchObject({ step: 's20', at: T });
    expect(state.decisions.at(-1)).toMatchObject({ step: 's59', at: T + 1000 });
  });

  test('of more than 2 KiB go without their evidence', () => {
    const long = decision({ evidence: 'e'.repeat(3000), rationale: 'r'.repeat(3000), type: 't'.repeat(300) });
    const short = decision({ evidence: 'e'.repeat(100) });
    const state = told(anAgent(), remember({ decisions: [long, short] }));
    expect(state.decisions).toEqual([
      { type: 't'.repeat(100), rationale: 'r'.repeat(500), task: 'task-1', step: 'a', at: T },
      { ...short, at: T },
    ]);
  });
});

describe('what is refused', () => {
  const laptop = ReplicaState.create('laptop');
  laptop.apply(found('yes'), T);

  test.each([
    ['no object', 7, 'Expected the message to be an object'],
    ['no id', remember({ id: '' }), 'Expected `id` to be a text'],
    ['no decisions', { ...remember(), decisions: 7 }, 'Expected `decisions` to be a list'],
    ['a decision without a reason', remember({ decisions: [{ type: 'x' }] as never }), 'Expected a decision'],
    ['an unknown kind', remember({ operations: [{ type: 'x', name: 'a' }] as never }), 'Expected `type`'],
    ['no count of entries', remember({ maxEntries: 0 }), 'Expected `maxEntries`'],
  ])('a remember that has %s is recorded with its reason', (_what, message, reason) => {
    const state = told(anAgent(), message);
    expect(state).toMatchObject({ refused: 1, remembered: 0 });
    expect(state.refusals).toEqual([{ at: T, from: '', why: expect.stringContaining(reason) as string }]);
  });

  test('a message of another cadre is recorded with who sent it', () => {
    const state = heard(anAgent(), gossip(laptop, { cadre: 'other' }));
    expect(state.refusals).toEqual([
      { at: T, from: 'analysis', why: 'It is of the cadre "other", and this is "cadre"' },
    ]);
    expect(facts(state)).toEqual([]);
  });

  test('a time far in the future is recorded, and merges nothing', () => {
    const ahead = ReplicaState.create('ahead');
    ahead.apply(found('tomorrow'), T + 25 * 3_600_000);
    const state = heard(anAgent(), gossip(ahead));
    expect(facts(state)).toEqual([]);
    expect(why(state)).toContain('The replica "ahead" wrote at 2023-11-15');
  });

  test('one part that is refused does not keep out the others', () => {
    const ahead = ReplicaState.create('ahead');
    const tomorrow = ahead.apply(found('tomorrow'), T + 25 * 3_600_000);
    const today = ReplicaState.create('today').apply(found('today'), T);
    if (tomorrow === undefined || today === undefined) throw new Error('Nothing was done');
    const news = [tomorrow, today].map((delta) => ({ since: 1, delta: encodeKnowledge(delta) }));
    const { delta: _delta, ...rest } = gossip(laptop);
    const state = heard(anAgent(), { ...rest, news });
    expect(facts(state)).toEqual(['today']);
    expect(state.refused).toBe(1);
  });

  test('is counted, and the last 10 are kept, cut to 300 characters', () => {
    const messages = Array.from({ length: 12 }, (_none, index) =>
      gossip(laptop, { cadre: `other-${index}-${'x'.repeat(400)}` }),
    );
    const state = messages.reduce<AgentState>((now, message) => heard(now, message), anAgent());
    expect(state.refused).toBe(12);
    expect(state.refusals).toHaveLength(10);
    expect(state.refusals[0]?.why).toMatch(/^It is of the cadre "other-2-x+$/);
    expect(why(state)).toHaveLength(300);
  });

  test('is in the report', () => {
    const report = agentReport(told(anAgent(), 7), { searching: false, historyLength: 3 });
    expect(report).toMatchObject({ refused: 1, refusals: [{ from: '' }], unread: 0, historyLength: 3 });
  });
});

describe('a version that is not known', () => {
  const later = { ...remember({ id: 'later' }), version: 2, whatever: true };

  test('is kept unread, with when it came', () => {
    const state = told(anAgent(), later);
    expect(state.unread).toEqual([{ at: T, kind: 'remember', message: later }]);
    expect(state).toMatchObject({ refused: 0, remembered: 0 });
    expect(heard(state, { version: 'x' }).unread.at(-1)).toEqual({
      at: T,
      kind: 'gossip',
      message: { version: 'x' },
    });
  });

  test('is still there after continue-as-new, and where it is read again by a build that does not know it', () => {
    const state = rereadAgent(continuedAsNew(told(anAgent(), later)), T + 5).state;
    expect(state.unread).toEqual([{ at: T + 5, kind: 'remember', message: later }]);
  });

  test('is read again by a build that does', () => {
    // As if it were the older build that had left it.
    const now = remember({ id: 'now', operations: [found('yes')] });
    const state = { ...anAgent(), unread: [{ at: T, kind: 'remember', message: now }] } as const;
    const { state: after, news = [] } = rereadAgent(state, T + 5);
    expect(after).toMatchObject({ unread: [], remembered: 1, rememberedAt: T + 5 });
    expect(facts(after)).toEqual(['yes']);
    expect(news).toHaveLength(1);
  });

  test('is kept up to 64 KiB in all; beyond, that is recorded', () => {
    const large = { ...later, whatever: 'x'.repeat(40_000) };
    const state = told(anAgent(), large, large);
    expect(state.unread).toHaveLength(1);
    expect(why(state)).toContain('Of a version that this build does not know');
  });
});

describe('upcasts', () => {
  // As if there had been the versions -1 and 0.
  const upcasts: Upcasts = {
    [-1]: ({ name, ...rest }) => ({ ...rest, id: name }),
    0: (message) => ({ ...message, decisions: [] }),
  };
  const oldest = { version: -1, name: 'old', task: 'task', operations: [] };

  test('are chained up to the version of this build', () => {
    expect(upcast(oldest, upcasts)).toEqual({
      version: MESSAGE_VERSION,
      id: 'old',
      task: 'task',
      operations: [],
      decisions: [],
    });
    expect(readRemember(oldest, upcasts)).toMatchObject({ kind: 'message', message: { id: 'old' } });
  });

  test('leave a message of this version as it is', () => {
    const message = { ...remember() };
    expect(upcast(message, upcasts)).toBe(message);
  });

  test('that lack a link make it unknown', () => {
    expect(readRemember(oldest, { 0: (message) => message })).toEqual({ kind: 'unknown', version: -1 });
    for (const version of [2, 'toString', '__proto__', 0.5, null, undefined]) {
      expect(readRemember({ ...oldest, version })).toEqual({ kind: 'unknown', version });
      expect(readGossip({ ...oldest, version })).toEqual({ kind: 'unknown', version });
    }
  });

  test('that throw make it malformed', () => {
    const broken: Upcasts = {
      [-1]: () => {
        throw new TypeError('broken');
      },
    };
    expect(readRemember(oldest, broken)).toEqual({ kind: 'malformed', why: 'TypeError: broken' });
  });
});

describe('a replica of 1 MiB', () => {
  /** About 7 KiB each; so many that the next are refused. */
  const operations = Array.from({ length: 160 }, (_none, index) => found(`${index}${'x'.repeat(7000)}`));
  const full = told(anAgent(), remember({ operations }));

  test('refuses what makes it grow, and says how many operations of which task', () => {
    expect(jsonBytes(encodeKnowledge(full.replica.knowledge))).toBeLessThanOrEqual(REPLICA_MAXIMUM_BYTES);
    expect(full.refused).toBe(1);
    expect(full.refusals[0]).toMatchObject({ from: 'task-1' });
    expect(why(full)).toMatch(/^\d+ operations of 160: the replica is full \(1048576 bytes\)$/);
    expect((facts(full) as string[]).length).toBeGreaterThan(140);
  });

  test('takes removals, and then has room again', () => {
    const state = continuedAsNew(full);
    const [first = ''] = state.replica.entries({ type: 'orSet', name: 'facts' }).keys();
    const dots = dotsAt(state.replica.entries({ type: 'orSet', name: 'facts' }), first);
    const removal: Operation = { type: 'orSet', name: 'facts', remove: first, dots };
    const before = (facts(state) as string[]).length;
    const after = told(state, remember({ id: 'b', operations: [removal, found('y'.repeat(6000))] }));
    expect(after.refused).toBe(1);
    expect(facts(after)).toHaveLength(before);
    expect(facts(after)).toContain('y'.repeat(6000));
  });

  test('merges what others have up to a quarter more, and refuses it beyond', () => {
    const other = (count: number, name: string): ReplicaState => {
      const replica = ReplicaState.create(name);
      for (let index = 0; index < count; index += 1)
        replica.apply(found(`${name}${index}${'z'.repeat(7000)}`), T);
      return replica;
    };
    const merged = heard(continuedAsNew(full), gossip(other(25, 'small')));
    expect(merged.refused).toBe(1);
    expect((facts(merged) as string[]).filter((fact) => fact.startsWith('small'))).toHaveLength(25);
    const refused = heard(merged, gossip(other(60, 'more')));
    expect(refused.refused).toBe(2);
    expect(why(refused)).toMatch(/^With \d+ bytes more the replica would be too large$/);
    expect(facts(refused)).toEqual(facts(merged));
  });
});

describe('members', () => {
  test('one that joins is a member, and one that leaves is none', () => {
    const state = anAgent();
    expect(membersIn(state)).toEqual(['research']);
    const { state: left, news = [] } = evolveAgent(state, { type: 'left', at: T });
    expect(membersIn(left)).toEqual([]);
    expect(left.left).toBe(true);
    expect(news).toHaveLength(1);
  });

  test('one that is gone is none; nothing happens where it was none', () => {
    const other = anAgent('analysis');
    const state = heard(anAgent(), gossip(other.replica));
    expect(membersIn(state)).toEqual(['analysis', 'research']);
    const { state: after } = evolveAgent(state, { type: 'memberGone', at: T, member: 'analysis' });
    expect(membersIn(after)).toEqual(['research']);
    expect(evolveAgent(after, { type: 'memberGone', at: T, member: 'nobody' }).news).toBeUndefined();
  });

  test('one that others took for gone joins again as soon as it hears of it', () => {
    const other = anAgent('analysis');
    const state = heard(anAgent(), gossip(other.replica));
    const removed = evolveAgent(heard(other, gossip(state.replica)), {
      type: 'memberGone',
      at: T,
      member: 'research',
    }).state;
    expect(membersIn(removed)).toEqual(['analysis']);
    const { state: after, news = [] } = evolveAgent(state, heardEvent(gossip(removed.replica), T));
    expect(membersIn(after)).toEqual(['analysis', 'research']);
    expect(news).toHaveLength(1);
  });

  test('one that has left does not', () => {
    const state = anAgent();
    const copy = restoreAgent(snapshotOf(state));
    const left = evolveAgent(state, { type: 'left', at: T }).state;
    expect(membersIn(heard(left, gossip(copy.replica)))).toEqual([]);
  });

  test('what is made up for is no news to be passed on', () => {
    const other = ReplicaState.create('laptop');
    other.apply(found('yes'), T);
    const evolved = evolveAgent(anAgent(), heardEvent(gossip(other), T));
    expect(evolved.news).toBeUndefined();
    expect(evolved.caughtUp).toBe(true);
    expect(evolveAgent(evolved.state, heardEvent(gossip(other), T)).caughtUp).toBeUndefined();
  });
});

describe('the fold', () => {
  const anyOperation = fc.constantFrom<Operation>(
    found('a'),
    found('b'),
    { type: 'pnCounter', name: 'n', by: 1 },
    { type: 'lwwRegister', name: 'r', assign: 'x' },
    { type: 'orSet', name: 'facts', remove: '"a"', dots: [['research:00000001', 2]] },
  );
  const elsewhere = ReplicaState.create('laptop');
  elsewhere.apply(found('c'), T);
  const anyMessage = fc.oneof(
    fc.record({ kind: fc.constant('remember' as const), id: fc.nat(5), operations: fc.array(anyOperation) }),
    fc.record({ kind: fc.constant('gossip' as const), cadre: fc.constantFrom('cadre', 'other') }),
    fc.record({ kind: fc.constant('unknown' as const), version: fc.nat(9) }),
    fc.record({ kind: fc.constant('anything' as const), message: fc.anything() }),
  );
  const anyEvents = fc.array(fc.tuple(anyMessage, fc.nat(5000)), { maxLength: 12 });

  function eventOf(
    one: typeof anyMessage extends fc.Arbitrary<infer Message> ? Message : never,
    at: number,
  ): AgentEvent {
    switch (one.kind) {
      case 'remember': {
        const { id, operations } = one;
        return rememberedEvent(remember({ id: `task-${id}`, operations, decisions: [decision()] }), at);
      }
      case 'gossip':
        return heardEvent(gossip(elsewhere, { cadre: one.cadre }), at);
      case 'unknown':
        return heardEvent({ ...gossip(elsewhere), version: one.version }, at);
      case 'anything':
        return rememberedEvent(one.message, at);
      default:
        return assertNever(one);
    }
  }

  function fold(
    events: readonly (readonly [Parameters<typeof eventOf>[0], number])[],
    each = (state: AgentState) => state,
  ) {
    let at = T;
    let state = anAgent();
    for (const [one, ms] of events) {
      at += ms;
      state = each(evolveAgent(state, eventOf(one, at)).state);
    }
    return JSON.stringify(snapshotOf(state));
  }

  test('follows from the messages, their order and times, and from nothing else', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        expect(fold(events)).toBe(fold(events));
      }),
    );
  });

  test('is the same where it goes on from a checkpoint at every event', () => {
    const isJson = ([one]: readonly [Parameters<typeof eventOf>[0], number]): boolean =>
      one.kind !== 'anything';
    fc.assert(
      fc.property(anyEvents, (all) => {
        const events = all.filter(isJson);
        expect(fold(events, continuedAsNew)).toBe(fold(events));
      }),
    );
  });

  test('throws for no message, whatever it is', () => {
    const anyCorpus = fc
      .oneof(
        fc.anything({
          withBigInt: true,
          withMap: true,
          withSet: true,
          withNullPrototype: true,
          withDate: true,
        }),
        fc.record({
          version: fc.oneof(fc.constant(1), fc.anything()),
          id: fc.anything(),
          task: fc.anything(),
          cadre: fc.oneof(fc.constant('cadre'), fc.anything()),
          from: fc.oneof(fc.constant('analysis'), fc.anything()),
          asks: fc.oneof(fc.boolean(), fc.anything()),
          decisions: fc.oneof(fc.array(fc.anything()), fc.anything()),
          operations: fc.oneof(fc.array(fc.anything()), fc.anything()),
          seen: fc.oneof(fc.constant({}), fc.anything()),
          pending: fc.oneof(fc.constant({}), fc.anything()),
          delta: fc.oneof(
            fc.record({ context: fc.anything(), crdts: fc.anything(), reach: fc.constant('all') }),
            fc.anything(),
          ),
          news: fc.oneof(fc.array(fc.record({ since: fc.anything(), delta: fc.anything() })), fc.anything()),
          replica: fc.anything(),
        }),
      )
      .map(asJson);
    fc.assert(
      fc.property(anyCorpus, (message) => {
        const before = anAgent();
        const after = heard(told(before, message), message);
        expect(after.refused + after.unread.length + after.remembered).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  test('throws for nothing that is very deep', () => {
    const deep = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`) as unknown;
    const operations = [{ type: 'orSet', name: 'facts', add: deep }];
    const state = told(anAgent(), deep, { ...remember(), operations }, { ...remember(), id: deep });
    expect(state).toMatchObject({ refused: 3, remembered: 0 });
  });

  test('survives JSON', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        const text = fold(events.filter(([one]) => one.kind !== 'anything'));
        expect(JSON.stringify(snapshotOf(restoreAgent(JSON.parse(text))))).toBe(text);
      }),
    );
  });

  test('leaves what was handed over as it was', () => {
    const state = told(anAgent(), remember({ operations: [found('a')] }));
    const snapshot = snapshotOf(state);
    const text = JSON.stringify(snapshot);
    told(state, remember({ id: 'b', operations: [found('b')] }));
    expect(JSON.stringify(snapshot)).toBe(text);
  });

  test('begins with no state of another version', () => {
    for (const snapshot of [undefined, null, [], {}, { ...snapshotOf(anAgent()), version: 2 }]) {
      expect(() => restoreAgent(snapshot)).toThrow("an agent's state, of version 1");
    }
  });

  test('knows where members stand by a place that users have no handle of', () => {
    expect(anAgent().replica.entries(MEMBERS).size).toBe(1);
  });
});
