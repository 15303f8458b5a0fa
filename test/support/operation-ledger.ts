import type { CrdtStanding, KnowledgeStanding } from '../../src/client/agent-standing';
import type { Operation } from '../../src/core/crdt/replica';
import type { CrdtName } from '../../src/core/crdt/types';
import { type Json, assertNever, canonicalJson, isRecord } from '../../src/core/json';
import { Random } from './random';

type Kind = (typeof KINDS)[number];
const KINDS = [
  'sources',
  'balance',
  'terms',
  'facts',
  'owners',
  'status',
  'opinions',
  'topic',
  'choice',
  'trail',
] as const;

/** Values that several agents write over each other have so many keys. */
const SHARED_KEYS = 5;

/**
 * Operations on all kinds of CRDT, and what they must come to: kept outside of what is tested, of those that the server
 * acknowledged. Values are unique, so that what is lost or counted twice shows.
 */
export class OperationLedger {
  private readonly random: Random;
  private drawn = 0;
  private readonly acknowledged: Operation[] = [];
  /** By place and key: what a removal that was acknowledged took away. */
  private readonly removed = new Set<string>();

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** A random operation that adds something. */
  draw(): Operation {
    const number = (this.drawn += 1);
    const kind: Kind = this.random.oneOf(KINDS);
    const shared = `k${Math.floor(this.random.between(0, SHARED_KEYS))}`;
    const by = Math.ceil(this.random.between(0, 5));
    switch (kind) {
      case 'sources':
        return { type: 'gCounter', name: kind, by };
      case 'balance':
        return { type: 'pnCounter', name: kind, by: this.random.oneOf([by, -by]) };
      case 'terms':
        return { type: 'gSet', name: kind, add: `term ${number}` };
      case 'facts':
        return { type: 'orSet', name: kind, add: { fact: number } };
      case 'owners':
        return { type: 'lwwMap', name: kind, set: `owner ${number}`, value: number };
      case 'status':
        return { type: 'lwwMap', name: kind, set: shared, value: number };
      case 'opinions':
        return { type: 'orMap', name: kind, set: shared, value: number };
      case 'topic':
        return { type: 'lwwRegister', name: kind, assign: number };
      case 'choice':
        return { type: 'mvRegister', name: kind, assign: number };
      case 'trail':
        return { type: 'appendLog', name: kind, append: number };
      default:
        return assertNever(kind);
    }
  }

  /** What a replica is told and has acknowledged. A removal must be of what that replica has. */
  acknowledge(operations: readonly Operation[]): void {
    for (const operation of operations) {
      if ('remove' in operation) this.removed.add(`${operation.type} ${operation.name} ${operation.remove}`);
      this.acknowledged.push(operation);
    }
  }

  /** How many operations there were: each has a dot. */
  get count(): number {
    return this.acknowledged.length;
  }

  /** What `standing` lacks of what was acknowledged, has twice, or has of nobody. Nothing where all is well. */
  problemsOf({ crdts }: Pick<KnowledgeStanding, 'crdts'>): string[] {
    const problems: string[] = [];
    for (const name of KINDS) {
      const operations = this.acknowledged.filter((one) => one.name === name);
      const type = operations[0]?.type;
      if (type === undefined) continue;
      const found = crdts.find((one) => one.type === type && one.name === name);
      problems.push(...this.compare(type, operations, found).map((problem) => `${type} ${name}: ${problem}`));
    }
    return problems;
  }

  private compare(
    type: CrdtName,
    operations: readonly Operation[],
    found: CrdtStanding | undefined,
  ): string[] {
    const value = found?.value ?? null;
    switch (type) {
      case 'gCounter':
      case 'pnCounter': {
        const sum = operations.reduce((total, one) => total + ('by' in one ? one.by : 0), 0);
        return value === sum ? [] : [`${canonicalJson(value)} instead of ${sum}`];
      }
      case 'gSet':
      case 'orSet':
      case 'appendLog':
        return differences(this.kept(operations), Array.isArray(value) ? value : []);
      case 'lwwRegister':
      case 'mvRegister':
        return strangers(operations, type === 'mvRegister' ? value : [value]);
      case 'lwwMap':
      case 'orMap':
        return this.compareMap(operations, isRecord(value) ? value : {});
      default:
        return assertNever(type);
    }
  }

  private compareMap(operations: readonly Operation[], value: Record<string, unknown>): string[] {
    const kept = operations.filter((one) => !this.isRemoved(one));
    const keys = [...new Set(kept.flatMap((one) => ('set' in one ? one.set : [])))];
    return [
      ...differences(keys, Object.keys(value)),
      ...Object.entries(value).flatMap(([key, one]) =>
        strangers(
          kept.filter((operation) => 'set' in operation && operation.set === key),
          Array.isArray(one) ? one : [one],
        ),
      ),
    ];
  }

  private kept(operations: readonly Operation[]): Json[] {
    return operations
      .filter((one) => !this.isRemoved(one))
      .flatMap((one) => ('add' in one ? [one.add] : 'append' in one ? [one.append] : []));
  }

  private isRemoved(operation: Operation): boolean {
    const key = keyOf(operation);
    return key !== undefined && this.removed.has(`${operation.type} ${operation.name} ${key}`);
  }
}

/** Under which key a set or a map has it; the values here are short, and stand in their keys as they are. */
export function keyOf(operation: Operation): string | undefined {
  if ('set' in operation) return operation.set;
  return 'add' in operation ? canonicalJson(operation.add) : undefined;
}

function differences(expected: readonly Json[], found: readonly unknown[]): string[] {
  const [wanted, had] = [expected.map(canonicalJson), found.map(canonicalJson)];
  return [
    ...wanted.filter((one) => !had.includes(one)).map((one) => `${one} is lost`),
    ...had.filter((one) => !wanted.includes(one)).map((one) => `${one} is of nobody`),
    ...had.filter((one, index) => had.indexOf(one) !== index).map((one) => `${one} is there twice`),
  ];
}

/** Of values that are written over each other the latest is left, or several: each must have been written. */
function strangers(operations: readonly Operation[], found: unknown): string[] {
  const written = operations.map((one) => ('assign' in one ? one.assign : 'value' in one ? one.value : null));
  const values: unknown[] = Array.isArray(found) ? found : [];
  return [
    ...(values.length === 0 ? ['nothing is there'] : []),
    ...values
      .filter((value) => !written.some((one) => one === value))
      .map((one) => `${canonicalJson(one)} is of nobody`),
  ];
}
