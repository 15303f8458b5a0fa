// Pure: replicas on a bad network, against the laws of what they hold once it is well again.
import { type CausalContext, covers } from '../../../src/core/crdt/causal-context';
import { type ReplicaState } from '../../../src/core/crdt/replica';
import type { Knowledge } from '../../../src/core/crdt/knowledge';
import { CRDT_NAMES } from '../../../src/core/crdt/types';
import { places } from '../../../src/core/crdt/knowledge-json';
import { Random } from '../../support/random';
import { joined, same, textOf } from './histories';
import { SimulatedNetwork, planNetwork } from './network';

const SEEDS = 1000;
/** They take 4 s where nothing else runs. In ms. */
const TIME_LIMIT = 120_000;

interface Run {
  readonly seed: number;
  readonly network: SimulatedNetwork;
  readonly wrong: string | undefined;
}

function simulate(seed: number): Run {
  const random = new Random(seed);
  const network = new SimulatedNetwork(planNetwork(random), random);
  let wrong: string | undefined;
  try {
    network.run();
    network.heal();
    check(network);
  } catch (error) {
    wrong = error instanceof Error ? error.message : String(error);
  }
  return { seed, network, wrong };
}

function check({ states, deltas, mortal }: SimulatedNetwork): void {
  const [first, ...others] = states;
  if (first === undefined) throw new Error('There is nobody');
  const text = textOf(first.knowledge);
  for (const other of others) {
    same(JSON.stringify(other.versionVector), JSON.stringify(first.versionVector), 'the version vector');
    same(textOf(other.knowledge), text, `the knowledge of ${other.id}`);
    same(valuesOf(other), valuesOf(first), `the values of ${other.id}`);
  }
  const known = deltas.filter((delta) => isKnown(delta, first.context));
  same(textOf(joined(...known)), text, 'what is made of all deltas');
  // What a replica did before it lost its state may be lost with it.
  const lost = deltas.find((delta) => !isKnown(delta, first.context) && !isKnown(delta, mortal));
  if (lost !== undefined) throw new Error(`An operation is lost: ${textOf(lost).slice(0, 200)}`);
}

function valuesOf(replica: ReplicaState): string {
  const values = places(replica.knowledge).map(({ type, name }) => replica.value(type, name));
  return JSON.stringify(values);
}

/** True where `seen` has the dot of an operation. */
function isKnown({ context }: Knowledge, seen: CausalContext): boolean {
  return [...context].every(([replica, [counter = 0]]) => covers(seen, replica, counter));
}

test(
  `${SEEDS} networks of 5 replicas agree once they are well, on all that was ever done`,
  () => {
    const runs = Array.from({ length: SEEDS }, (_, index) => simulate(index + 1));
    const broken = runs.filter(({ wrong }) => wrong !== undefined);
    const [first] = broken;
    expect(first === undefined ? '' : `${broken.length} do not; seed ${first.seed}: ${first.wrong}`).toBe('');
    // It is about something.
    const sum = (count: (network: SimulatedNetwork) => number): number =>
      runs.reduce((total, { network }) => total + count(network), 0);
    expect(sum(({ lost }) => lost)).toBeGreaterThan(SEEDS);
    expect(sum(({ rejoined }) => rejoined)).toBeGreaterThan(SEEDS / 2);
    expect(sum(({ deltas }) => deltas.length)).toBeGreaterThan(30 * SEEDS);
    const types = new Set(
      runs.flatMap(({ network }) => network.states.flatMap(({ knowledge }) => [...knowledge.crdts.keys()])),
    );
    expect([...types].sort()).toEqual([...CRDT_NAMES].sort());
  },
  TIME_LIMIT,
);
