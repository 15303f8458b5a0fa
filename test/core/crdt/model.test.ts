// Pure: every kind of CRDT beside a model that forgets nothing.
import { canonicalJson } from '../../../src/core/json';
import { nextCounter } from '../../../src/core/crdt/causal-context';
import type { Knowledge } from '../../../src/core/crdt/knowledge';
import type { Operation, ReplicaState } from '../../../src/core/crdt/replica';
import { CRDT_NAMES, type CrdtName } from '../../../src/core/crdt/types';
import { type Plan, failureIn, play, same, somePlans } from './histories';
import { type Happening, Model, type Seen } from './model';

const CASES = 1000;

/** Plays `plan`, and throws where a replica reads something else than the model. */
function compare(plan: Plan, type: CrdtName): void {
  const model = new Model();
  const seen = new Map<ReplicaState, Seen>();
  const seenBy = (replica: ReplicaState): Seen => {
    const set = seen.get(replica) ?? new Set<string>();
    seen.set(replica, set);
    return set;
  };
  const ids = new Map<Knowledge, string>();
  let dot: Happening['dot'] = ['', 0];
  play(plan, type, {
    before: (replica) => void (dot = [replica.id, nextCounter(replica.context, replica.id)]),
    applied(replica, operation, delta) {
      const happening = { dot, time: timeOf(replica), maxEntries: plan.maxEntries };
      const isDone = model.apply(seenBy(replica), operation, happening);
      same(String(delta !== undefined), String(isDone), `that it does something: ${shortly(operation)}`);
      if (delta !== undefined) ids.set(delta, JSON.stringify(dot));
    },
    exchanged(to, source) {
      const told = 'id' in source ? seenBy(source) : source.map((delta) => ids.get(delta) ?? '');
      for (const id of told) seenBy(to).add(id);
    },
    changed(replica) {
      for (const name of ['facts', '__proto__']) {
        const value = canonicalJson(replica.value(type, name)) ?? 'undefined';
        same(value, model.value(seenBy(replica), { type, name }), `what ${JSON.stringify(replica.id)} reads`);
      }
    },
  });
}

/** Of what it did last. */
function timeOf(replica: ReplicaState): Happening['time'] {
  return replica.toJSON().time;
}

function shortly(operation: Operation): string {
  return JSON.stringify(operation).slice(0, 200);
}

const plans = somePlans(CASES);

test.each(CRDT_NAMES)('a %s is read as the model has it, after each operation and exchange', (type) => {
  expect(failureIn(plans, (plan) => compare(plan, type))).toBe('');
});
