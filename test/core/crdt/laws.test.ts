// Pure: the laws of every kind of CRDT in the registry. `npm run laws` holds each with ten times as many cases.
import { type CausalContext, addAll, exceeds } from '../../../src/core/crdt/causal-context';
import { type Knowledge, join, mayJoin } from '../../../src/core/crdt/knowledge';
import { decodeKnowledge, encodeKnowledge } from '../../../src/core/crdt/knowledge-json';
import { ReplicaState, checkOperation } from '../../../src/core/crdt/replica';
import { CRDT_NAMES, type CrdtName } from '../../../src/core/crdt/types';
import {
  type History,
  type Plan,
  T,
  contextText,
  failureIn,
  joined,
  joinedDeltas,
  play,
  reasonOf,
  same,
  sameKnowledge,
  somePlans,
  textOf,
} from './histories';

/** A law and kind. */
const CASES = Number(process.env['CADRE_LAW_CASES'] ?? 1000);
/** A thousand cases of a law and kind take 0.1 to 0.3 s. In ms. */
const TIME_LIMIT = 60_000 + 20 * CASES;
const NOW = T + 3_600_000;

/** Throws where it does not hold. */
type Law = (history: History, type: CrdtName) => void;

const LAWS: Record<string, Law> = {
  'merge is commutative': ({ states: [a, b] }) => {
    // As text: the encoding of equal knowledge is equal too.
    same(textOf(joined(of(a), of(b))), textOf(joined(of(b), of(a))), 'a ⊔ b');
  },
  'merge is associative, of states and of parts': ({ states, messages, deltas }) => {
    const [a, b] = states;
    const parts = [of(b), ...deltas.slice(-2), ...messages.slice(-2)];
    for (const [index, one] of parts.entries()) {
      const other = parts[(index + 1) % parts.length] ?? one;
      const first = joined(of(a), one, other);
      sameKnowledge(joined(of(a), joined(one, other)), first, 'a ⊔ (b ⊔ c)');
      sameKnowledge(joined(of(a), joinedDeltas(one, other)), first, 'a ⊔ (b ⊔ c), of parts');
    }
  },
  'merge is idempotent': ({ states, messages }) => {
    const [a, b] = states;
    for (const part of [of(b), ...messages]) {
      const once = joined(of(a), part);
      sameKnowledge(joined(once, part), once, '(a ⊔ b) ⊔ b');
      sameKnowledge(joined(once, once), once, 'a ⊔ a');
    }
  },
  'merge is inflationary: what was seen stays seen': ({ states, messages, deltas }) => {
    const [a] = states;
    for (const part of [...messages, ...deltas]) {
      const both = joined(of(a), part).context;
      truth(!exceeds(of(a).context, both) && !exceeds(part.context, both), 'the join covers both');
      const expected: CausalContext = new Map();
      addAll(expected, of(a).context);
      addAll(expected, part.context);
      truth(!exceeds(both, expected), 'the join covers nothing else');
    }
  },
  'merge leaves what it merges as it was, also where more is merged later': ({
    states,
    messages,
    deltas,
  }) => {
    const parts = [of(states[1]), ...messages];
    const before = parts.map(textOf);
    const into = joined(...parts, of(states[0]), ...deltas);
    join(into, joined(...deltas));
    for (const [index, part] of parts.entries()) same(textOf(part), before[index] ?? '', 'what was merged');
  },
  'a merge is news where the context grows, and only there': ({ states, deltas }) => {
    const [a, b] = states;
    const parts = [of(b), state(b).since(state(a).context), ...deltas.slice(-3)];
    for (const part of parts) {
      const replica = replicaOf(of(a));
      const isNews = replica.merge(part, NOW);
      const grew = reasonOf(() => sameKnowledge(replica.knowledge, of(a), '')) !== undefined;
      truth(isNews === grew, `news: ${isNews}, grew: ${grew}`);
    }
  },
  'deltas in any order, duplicated, are the state': ({ states, deltas, plan }) => {
    const all = joined(...states.map(of));
    for (const [salt, ordered] of orders(deltas, plan).entries()) {
      sameKnowledge(joined(...ordered), all, `deltas in order ${salt}`);
      const half = Math.floor(ordered.length / 2);
      const groups = [joinedDeltas(...ordered.slice(half)), joinedDeltas(...ordered.slice(0, half))];
      sameKnowledge(joined(...groups, ...ordered.slice(0, 1)), all, `groups of order ${salt}`);
    }
  },
  'what a replica lacks brings it to the one that has it': ({ states }) => {
    for (const a of states) {
      const b = state(states[(states.indexOf(a) + 1) % states.length]);
      const part = a.since(b.context);
      const both = joined(of(a), of(b));
      sameKnowledge(joined(of(b), part), both, 'b ⊔ since(b)');
      truth(!exceeds(part.context, a.context), 'nobody tells of what he has not seen');
      truth(a.since(both.context).crdts.size === 0, 'who has all lacks nothing');
    }
  },
  'what one lacks is merged by who has the rest, and leaves all others as they were': ({ states }) => {
    const [a, b, c = a] = states;
    const other = copyOf(state(c));
    const part = state(a).since(state(b).context);
    other.merge(part, NOW);
    const hasRest = mayJoin(of(c), part);
    const expected = hasRest ? joined(of(c), of(a)) : of(c);
    sameKnowledge(of(other), expected, hasRest ? 'c ⊔ since(b)' : 'c');
  },
  'state and operations survive JSON, and apply is a function of both and the time': ({ plan }, type) => {
    let [copy, sent] = ['', ''];
    play(plan, type, {
      before(replica, operation, now) {
        sent = JSON.stringify(operation);
        const other = copyOf(replica);
        const delta = other.apply(checkOperation(JSON.parse(sent)), now, plan.maxEntries);
        if (delta !== undefined) sameKnowledge(throughJson(delta), delta, 'the delta');
        copy = JSON.stringify(other);
      },
      applied(replica, operation) {
        same(JSON.stringify(replica), copy, 'the copy, one operation later');
        same(JSON.stringify(operation), sent, 'the operation');
      },
    });
  },
  'equal contexts are equal knowledge': ({ plan }, type) => {
    const known = new Map<string, Knowledge>();
    play(plan, type, {
      changed({ knowledge }) {
        const context = contextText(knowledge);
        sameKnowledge(knowledge, known.get(context) ?? knowledge, 'of the same context');
        known.set(context, joined(knowledge));
      },
    });
  },
  'the delta of an operation is what it did': ({ plan }, type) => {
    let before: Knowledge = joined();
    play(plan, type, {
      before: (replica) => void (before = joined(replica.knowledge)),
      applied(replica, _operation, delta) {
        const after = delta === undefined ? before : joined(before, delta);
        sameKnowledge(replica.knowledge, after, 'state ⊔ delta');
        truth((delta === undefined) === !exceeds(replica.context, before.context), 'a dot an operation');
      },
    });
  },
  'its value depends on the knowledge alone': ({ states, deltas, plan }, type) => {
    const all = joined(...states.map(of));
    const rebuilt = orders(deltas, plan).map((ordered) => replicaOf(joined(...ordered)));
    for (const name of ['facts', '__proto__']) {
      const value = JSON.stringify(replicaOf(all).value(type, name)) ?? '';
      for (const replica of rebuilt) same(JSON.stringify(replica.value(type, name)) ?? '', value, name);
    }
  },
};

const plans = somePlans(CASES);

describe.each(CRDT_NAMES)('%s', (type) => {
  test.each(Object.entries(LAWS))(
    '%s',
    (_title, law) => {
      let times = 0;
      const failure = failureIn(plans, (plan) => {
        const history = play(plan, type);
        if (history.deltas.length > 1 && history.messages.length > 0) times += 1;
        law(history, type);
      });
      expect(failure).toBe('');
      // It is about something.
      expect(times).toBeGreaterThan(CASES / 2);
    },
    TIME_LIMIT,
  );
});

/** A stranger that has merged `knowledge`. */
function replicaOf(knowledge: Knowledge): ReplicaState {
  const replica = ReplicaState.create('a stranger');
  replica.merge(knowledge, NOW);
  return replica;
}

function copyOf(replica: ReplicaState): ReplicaState {
  return ReplicaState.read(JSON.parse(JSON.stringify(replica)));
}

function throughJson(knowledge: Knowledge): Knowledge {
  return decodeKnowledge(JSON.parse(JSON.stringify(encodeKnowledge(knowledge))), 'it');
}

/** As they were made, backwards, and shuffled; the last with some of them twice. */
function orders(deltas: readonly Knowledge[], { steps }: Plan): Knowledge[][] {
  const weight = (index: number): number => (index * 7919 + (steps[0]?.[4] ?? 0) * 104_729) % 31;
  const shuffled = deltas
    .map((delta, index) => [weight(index), delta] as const)
    .sort(([a], [b]) => a - b)
    .map(([, delta]) => delta);
  return [[...deltas], deltas.toReversed(), [...shuffled, ...shuffled.slice(0, 3)]];
}

function of(replica: ReplicaState | undefined): Knowledge {
  return state(replica).knowledge;
}

function state(replica: ReplicaState | undefined): ReplicaState {
  if (replica === undefined) throw new RangeError('Expected a replica, got none');
  return replica;
}

function truth(holds: boolean, what: string): void {
  if (!holds) throw new Error(`It does not hold that ${what}`);
}
