// Pure: what one replica tells the others, letter by letter.
import { readGossip } from '../../../src/core/agent/agent-messages';
import type { Gossip, Heard } from '../../../src/core/agent/agent-messages';
import {
  type AgentEvent,
  type AgentState,
  evolveAgent,
  heardEvent,
  newAgent,
  rememberedEvent,
} from '../../../src/core/agent/agent-state';
import { ROUND } from '../../../src/core/agent/gossip';
import { type Letter, Outbox } from '../../../src/core/agent/outbox';
import { encodeContext, encodeKnowledge } from '../../../src/core/crdt/knowledge-json';
import type { Operation } from '../../../src/core/crdt/replica';
import { jsonBytes } from '../../../src/core/json';

/** 2023-11-14, in ms; at the beginning of a round. */
const T = 1_700_000_000_000;
const found = (value: string): Operation => ({ type: 'orSet', name: 'facts', add: value });

/** An agent with its outbox, and a clock. */
class Correspondent {
  state: AgentState;
  outbox = new Outbox();
  now = T;
  private tasks = 0;

  constructor(
    readonly member: string,
    run = '1',
  ) {
    this.state = newAgent('cadre', member, `${member}:${run}`);
    this.take({ type: 'joined', at: T });
  }

  take(event: AgentEvent): void {
    const evolved = evolveAgent(this.state, event);
    this.state = evolved.state;
    this.outbox.take(evolved, this.now);
  }

  remember(...operations: Operation[]): void {
    this.tasks += 1;
    const id = `${this.member}-${this.tasks}`;
    this.take(rememberedEvent({ version: 1, id, task: id, decisions: [], operations }, this.now));
  }

  hear({ gossip }: Letter): Letter | undefined {
    this.take(heardEvent(gossip, this.now));
    return this.outbox.answer(this.state, heardOf(gossip));
  }

  /** What is sent in the next round; it is delivered. */
  round(): Letter[] {
    this.now += this.outbox.dueIn(this.now);
    const letters = this.outbox.round(this.state, this.now);
    for (const letter of letters) this.outbox.delivered(letter);
    return letters;
  }

  continueAsNew(): void {
    this.outbox = Outbox.read(JSON.parse(JSON.stringify(this.outbox)), this.now, 9);
  }

  /** Knows what `other` knows, and has told all it had to. */
  meet(other: Correspondent): void {
    const gossip: Gossip = {
      version: 1,
      cadre: 'cadre',
      from: 'laptop',
      seen: encodeContext(other.state.replica.context),
      delta: encodeKnowledge(other.state.replica.knowledge),
      asks: false,
    };
    this.take(heardEvent(gossip, this.now));
  }
}

function heardOf(gossip: Gossip): Heard {
  const read = readGossip(gossip);
  if (read.kind !== 'message') throw new Error('It is no message');
  return read.message;
}

/** Agents that know each other, and have fallen silent. */
function cadreOf(...members: string[]): Correspondent[] {
  const all = members.map((member) => new Correspondent(member));
  for (let time = 0; time < 2; time += 1) {
    for (const one of all) for (const other of all) if (one !== other) one.meet(other);
  }
  for (const one of all) while (one.outbox.isDirty) one.round();
  const latest = Math.max(...all.map(({ now }) => now)) + 2 * ROUND;
  for (const one of all) one.now = latest - (latest % ROUND) + 10;
  return all;
}

/** What the first of 17 agents remembers, on its way to one who passes it on: it takes three rounds to all. */
function toldBy(...operations: Operation[]): {
  all: Correspondent[];
  a: Correspondent;
  letter: Letter;
  to: Correspondent;
} {
  const all = cadreOf(
    ...Array.from({ length: 17 }, (_none, index) => `agent-${String(index).padStart(2, '0')}`),
  );
  const [a] = all as [Correspondent];
  a.remember(...operations);
  const [letter] = a.round() as [Letter];
  return { all, a, letter, to: all.find(({ member }) => member === letter.to) as Correspondent };
}

const partsOf = ({ gossip }: Letter): unknown[] => (gossip.news ?? []).map(({ delta }) => delta.context);

test('what is new is told at once, to those whose way it is', () => {
  const [a] = cadreOf('a', 'b', 'c', 'd') as [Correspondent];
  a.remember(found('yes'));
  expect(a.outbox.dueIn(a.now)).toBe(0);
  const letters = a.round();
  expect(letters.map(({ to }) => to)).toEqual(['b', 'c', 'd']);
  for (const letter of letters) {
    expect(partsOf(letter)).toEqual([{ 'a:1': [2, 2] }]);
    expect(letter.gossip).toMatchObject({ from: 'a', replica: 'a:1', asks: false });
  }
});

test('what is new at the end of a round is told in the next', () => {
  const [a] = cadreOf('a', 'b') as [Correspondent];
  a.now += 985;
  a.remember(found('yes'));
  expect(a.outbox.dueIn(a.now)).toBe(5);
});

test('a second round waits for the next second', () => {
  const [a] = cadreOf('a', 'b') as [Correspondent];
  a.remember(found('yes'));
  a.round();
  a.remember(found('no'));
  expect(a.outbox.dueIn(a.now)).toBe(ROUND - 10);
});

test('what is new in one round is one part', () => {
  const [a] = cadreOf('a', 'b') as [Correspondent];
  a.remember(found('yes'));
  a.remember(found('no'));
  expect(a.round().map(partsOf)).toEqual([[{ 'a:1': [2, 3] }]]);
});

test('who was told all is not compared with', () => {
  const [a, b] = cadreOf('a', 'b') as [Correspondent, Correspondent];
  a.hear(b.outbox.compare(b.state, 'a'));
  a.remember(found('yes'));
  expect(a.round()).toHaveLength(1);
  expect(a.round()).toEqual([]);
  expect(a.outbox.isDirty).toBe(false);
});

test('who was told is compared with the next, which may not have been', () => {
  const [a, b, c] = cadreOf('a', 'b', 'c') as [Correspondent, Correspondent, Correspondent];
  a.remember(found('yes'));
  for (const letter of a.round()) if (letter.to === 'b') expect(b.hear(letter)).toBeUndefined();
  expect(b.round()).toEqual([]);
  const [comparison, ...others] = b.round();
  expect(others).toEqual([]);
  expect(comparison).toMatchObject({ to: 'c', gossip: { asks: true } });
  expect(comparison?.gossip.news).toBeUndefined();
  // It was not: it asks, and is told.
  const question = c.hear(comparison as Letter);
  expect(question).toMatchObject({ to: 'b', gossip: { asks: true } });
  const answer = b.hear(question as Letter);
  expect(answer).toMatchObject({ to: 'c', gossip: { asks: false } });
  expect(c.hear(answer as Letter)).toBeUndefined();
  expect(c.state.replica.value('orSet', 'facts')).toEqual(['yes']);
});

test('one who has all does not answer', () => {
  const [a, b] = cadreOf('a', 'b') as [Correspondent, Correspondent];
  expect(b.hear(a.outbox.compare(a.state, 'b'))).toBeUndefined();
});

test('what comes twice is passed on once', () => {
  const { letter, to } = toldBy(found('yes'));
  const sent = [letter, letter, letter, letter].flatMap((one) => {
    to.hear(one);
    return to.round();
  });
  const told = sent.filter((one) => partsOf(one).length > 0).map((one) => one.to);
  expect(told.length).toBeGreaterThan(0);
  expect(new Set(told).size).toBe(told.length);
  expect(to.outbox.isDirty).toBe(false);
  const again = toldBy(found('yes'));
  again.to.hear(again.letter);
  again.to.round();
  const { news } = again.to.outbox.toJSON();
  expect(news).toHaveLength(1);
  again.to.hear(again.letter);
  expect(again.to.outbox.toJSON().news).toEqual(news);
});

test('what an answer brought sooner is passed on when it comes', () => {
  const { letter, to, a } = toldBy(found('yes'));
  to.meet(a);
  to.hear(letter);
  const parts = [to.round(), to.round(), to.round()].flat().flatMap(partsOf);
  expect(parts).toContainEqual({ [`${a.member}:1`]: [2, 2] });
});

test('one that asks for what is on its way to it is not answered', () => {
  const [a, b] = cadreOf('a', 'b') as [Correspondent, Correspondent];
  a.remember(found('yes'));
  const question = b.outbox.compare(b.state, 'a');
  expect(a.hear(question)).toBeUndefined();
  a.round();
  while (a.outbox.isDirty) a.round();
  expect(a.hear(question)).toMatchObject({ gossip: { asks: false } });
});

test('what is on its way is said to be, so that nobody asks for it', () => {
  const { letter, to, a } = toldBy(found('yes'));
  to.hear(letter);
  to.remember(found('no'));
  const letters = to.round();
  expect(letters.length).toBeGreaterThan(0);
  for (const { gossip } of letters) {
    const told = (gossip.news ?? []).flatMap(({ delta }) => Object.keys(delta.context));
    const pending = Object.keys(gossip.pending ?? {});
    expect([...told, ...pending].sort()).toEqual([`${a.member}:1`, `${to.member}:1`].sort());
  }
});

test('a replica outside is not answered', () => {
  const [a] = cadreOf('a', 'b') as [Correspondent];
  const gossip: Gossip = { version: 1, cadre: 'cadre', from: 'My laptop', seen: {}, asks: true };
  expect(a.hear({ to: 'a', gossip })).toBeUndefined();
  expect(a.hear({ to: 'a', gossip: { ...gossip, from: 'a' } })).toBeUndefined();
});

test('one that began anew is told again what the one before it had seen', () => {
  const [a, b] = cadreOf('a', 'b') as [Correspondent, Correspondent];
  a.remember(found('yes'));
  a.round();
  const again = new Correspondent('b', '2');
  // It hears of it from another, who does not have it.
  again.meet(b);
  const question = again.outbox.compare(again.state, 'a');
  expect(a.hear(question)).toMatchObject({ to: 'b', gossip: { delta: expect.anything() as unknown } });
});

describe('a letter that does not arrive', () => {
  test('is made up for in the next round', () => {
    const [a] = cadreOf('a', 'b') as [Correspondent];
    a.remember(found('yes'));
    const [letter] = a.outbox.round(a.state, a.now);
    a.outbox.failed(letter as Letter);
    a.now += ROUND;
    expect(a.outbox.round(a.state, a.now)).toMatchObject([{ to: 'b', gossip: { asks: true } }]);
  });

  test('is nobody’s any more who is gone', () => {
    const [a] = cadreOf('a', 'b') as [Correspondent];
    a.remember(found('yes'));
    const [letter] = a.outbox.round(a.state, a.now);
    a.outbox.failed(letter as Letter);
    a.outbox.gone('b');
    a.take({ type: 'memberGone', at: a.now, member: 'b' });
    while (a.outbox.isDirty) expect(a.round()).toEqual([]);
  });
});

describe('what the next run gets', () => {
  test('is what is on its way, in the round it was minted in', () => {
    const [a] = cadreOf('a', 'b', 'c', 'd', 'e', 'f') as [Correspondent];
    a.remember(found('yes'));
    const before = a.round().map(({ to }) => to);
    a.continueAsNew();
    const later = a.round().map(({ to }) => to);
    expect([...before, ...later]).toEqual(expect.arrayContaining(before));
    expect(new Set([...before, ...later]).size).toBe(before.length + later.length);
  });

  test('has no second round in the same second', () => {
    const [a] = cadreOf('a', 'b', 'c', 'd', 'e', 'f') as [Correspondent];
    a.remember(found('yes'));
    a.round();
    a.continueAsNew();
    expect(a.outbox.isDirty).toBe(true);
    expect(a.outbox.dueIn(a.now)).toBeGreaterThan(0);
  });

  test('asks those whose questions were not answered yet', () => {
    const [a] = cadreOf('a', 'b') as [Correspondent];
    const joins = new Correspondent('c');
    const answer = a.hear(joins.outbox.hello(joins.state, 'a', joins.now));
    expect(answer?.to).toBe('c');
    a.continueAsNew();
    expect(a.round().find(({ to }) => to === 'c')).toMatchObject({ gossip: { asks: true } });
  });

  test('does not ask those whose were', () => {
    const [a] = cadreOf('a', 'b') as [Correspondent];
    const joins = new Correspondent('c');
    const answer = a.hear(joins.outbox.hello(joins.state, 'a', joins.now)) as Letter;
    a.outbox.delivered(answer);
    expect(a.outbox.toJSON().owed).toEqual([]);
  });

  test('is at most 256 KiB: what is more is asked for', () => {
    const [a] = cadreOf('a', 'b') as [Correspondent];
    for (let index = 0; index < 50; index += 1) a.remember(found(`${index}${'x'.repeat(7000)}`));
    expect(jsonBytes(a.outbox)).toBeLessThan(256 * 1024);
    a.continueAsNew();
    expect(a.round()).toMatchObject([{ to: 'b', gossip: { asks: true } }]);
  });
});

test('of more than 1 MiB that is new nothing travels: it is asked for', () => {
  const many = (name: string, count: number): Operation[] =>
    Array.from({ length: count }, (_none, index) => found(`${name}${index}${'x'.repeat(7000)}`));
  const { letter, to, all } = toldBy(...many('a', 100));
  to.hear(letter);
  to.remember(...many('b', 40));
  const other = all.find((one) => one !== to && one.member !== letter.gossip.from) as Correspondent;
  other.remember(...many('c', 25));
  to.hear(other.round()[0] as Letter);
  const [comparison] = to.round() as [Letter];
  expect(comparison.gossip.news).toBeUndefined();
  const reader = all.find(({ member }) => member === comparison.to) as Correspondent;
  const question = reader.hear(comparison) as Letter;
  expect(question.gossip.asks).toBe(true);
  expect(reader.hear(to.hear(question) as Letter)).toBeUndefined();
  expect(reader.state.replica.value('orSet', 'facts')).toHaveLength(165);
});

describe('one that begins', () => {
  test('says with its first message what it was told meanwhile', () => {
    const [a] = cadreOf('a', 'b') as [Correspondent];
    const joins = new Correspondent('c');
    joins.remember(found('yes'));
    expect(joins.outbox.isDirty).toBe(false);
    const hello = joins.outbox.hello(joins.state, 'a', joins.now);
    expect(hello.gossip.asks).toBe(true);
    expect(partsOf(hello)).toEqual([{ 'c:1': [1, 2] }]);
    expect(a.hear(hello)).toMatchObject({ to: 'c', gossip: { asks: false } });
    expect(a.state.replica.value('orSet', 'facts')).toEqual(['yes']);
  });

  test('tells it to all as soon as it knows who they are', () => {
    const [a] = cadreOf('a', 'b') as [Correspondent];
    const joins = new Correspondent('c');
    joins.now = a.now;
    joins.remember(found('yes'));
    joins.hear(a.hear(joins.outbox.hello(joins.state, 'a', joins.now)) as Letter);
    const told = joins.round().filter((letter) => partsOf(letter).length > 0);
    expect(told.map(({ to }) => to)).toContain('b');
  });

  test('asks one seed a round, until somebody is known', () => {
    const joins = new Correspondent('c');
    joins.outbox.seek(['a', 'b'], joins.now);
    expect(joins.outbox.dueIn(joins.now)).toBe(ROUND);
    expect([joins.round(), joins.round(), joins.round()].flat().map(({ to }) => to)).toEqual(['a', 'b', 'a']);
    const [a] = cadreOf('a', 'b') as [Correspondent];
    joins.meet(a);
    while (joins.outbox.isDirty) joins.round();
    expect(joins.outbox.toJSON().seeds).toEqual([]);
  });

  test('gives up after 30 rounds', () => {
    const joins = new Correspondent('c');
    joins.outbox.seek(['a'], joins.now);
    let asked = 0;
    while (joins.outbox.isDirty) asked += joins.round().length;
    expect(asked).toBe(30);
  });

  test('does not ask again a seed that is not there', () => {
    const joins = new Correspondent('c');
    joins.outbox.seek(['a', 'b'], joins.now);
    joins.outbox.gone('a');
    expect([joins.round(), joins.round()].flat().map(({ to }) => to)).toEqual(['b', 'b']);
  });
});

describe('one that leaves', () => {
  test('may not before somebody has all it knows, and tells one all of it', () => {
    const [a, b] = cadreOf('a', 'b', 'c') as [Correspondent, Correspondent];
    a.take({ type: 'left', at: a.now });
    while (a.outbox.isDirty) a.outbox.round(a.state, (a.now += ROUND));
    expect(a.outbox.mayLeave(a.state)).toBe(false);
    expect(a.outbox.isDirty).toBe(true);
    const [will] = a.outbox.round(a.state, (a.now += ROUND));
    expect(will).toMatchObject({ to: 'b', gossip: { asks: false, delta: { reach: 'all' } } });
    expect(b.hear(will as Letter)).toBeUndefined();
    a.outbox.delivered(will as Letter);
    expect(a.outbox.mayLeave(a.state)).toBe(true);
    expect(b.state.replica.context).toEqual(a.state.replica.context);
  });

  test('may where nobody else is', () => {
    const alone = new Correspondent('a');
    alone.take({ type: 'left', at: alone.now });
    expect(alone.outbox.mayLeave(alone.state)).toBe(true);
  });

  test('asks for nothing', () => {
    const [a, b] = cadreOf('a', 'b') as [Correspondent, Correspondent];
    b.remember(found('yes'));
    const [news] = b.round();
    a.take({ type: 'left', at: a.now });
    const { news: _news, ...rest } = (news as Letter).gossip;
    expect(a.hear({ to: 'a', gossip: rest })).toBeUndefined();
  });
});
