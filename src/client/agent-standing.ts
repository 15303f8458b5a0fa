/** What a person asks of a cadre's agents: what they decided, what they know, and whether they agree. */
import type { Client } from '@temporalio/client';
import type { AgentReport, KnowledgePart } from '../core/agent/agent-report';
import { AgentProjection } from '../core/agent/agent-projection';
import { type DatedDecision, MERGED_MAXIMUM_BYTES } from '../core/agent/agent-state';
import { type Member, knownPlaces, memberOf, readMember, writerOf } from '../core/agent/members';
import { type CausalContext, type VersionVector, versionVector, without } from '../core/crdt/causal-context';
import { entriesAt } from '../core/crdt/knowledge';
import {
  type ContextJson,
  type KnowledgeJson,
  decodeContext,
  decodeKnowledge,
  encodeKnowledge,
} from '../core/crdt/knowledge-json';
import { type Sibling, byTime, termOf, valueOf, winner } from '../core/crdt/sibling';
import { CRDT_TYPES, type CrdtName } from '../core/crdt/types';
import { CadreError, inputInvalid, isCadreError } from '../core/failures';
import { type Json, jsonBytes } from '../core/json';
import { agentId } from '../core/names';
import type { Replica } from '../knowledge/replica';
import { type FoundPart, TemporalReplicas } from './agents';
import { readFacts } from './history-reader';
import { isNotFound } from './grpc-status';
import { type WatchOptions, watchChanges } from './watch';

/** An agent: one replica, or several that are one. Times are in ms since 1970. */
export interface AgentStanding {
  readonly agent: string;
  /** The last decisions, oldest first: up to 100 a replica. */
  readonly decisions: readonly DatedDecision[];
  /** How many there were in all, and how many tasks are remembered. */
  readonly decided: number;
  readonly remembered: number;
  /** When it was last told of a task. */
  readonly rememberedAt?: number;
  readonly replicas: readonly ReplicaStanding[];
}

/** One of an agent's replicas. */
export interface ReplicaStanding
  extends Omit<AgentReport, 'agent' | 'decisions' | 'decided' | 'searching' | 'left'> {
  /** Id of its workflow. */
  readonly workflow: string;
}

/** What a replica knows: one named CRDT after the other. */
export interface KnowledgeStanding {
  readonly member: Member;
  readonly versionVector: VersionVector;
  readonly crdts: readonly CrdtStanding[];
}

export interface CrdtStanding {
  readonly type: CrdtName;
  readonly name: string;
  readonly value: Json | undefined;
  /** In the order in which they were written last. */
  readonly entries: readonly EntryStanding[];
}

/** What stands under one key. */
export interface EntryStanding extends Written {
  readonly key: string;
  /** What was written concurrently, and did not win. */
  readonly conflicts: readonly Written[];
}

export interface Written {
  readonly value: Json;
  /** Who wrote it: an agent, or a replica outside. */
  readonly by: string;
  /** By the writer's hybrid clock, in ms since 1970. */
  readonly at: number;
  /** Of the leader that decided it, where one did. */
  readonly term?: number;
}

/** Whether all replicas of a cadre know the same. */
export interface KnowledgeCheck {
  /** True where each has what any other has, and nothing more has come to one. */
  readonly agree: boolean;
  readonly replicas: readonly {
    readonly member: Member;
    readonly versionVector: VersionVector;
    /** How many operations of whom it lacks that another replica has; none where all agree. */
    readonly lacks: Readonly<Record<string, number>>;
    /** True where it has seen what another has, and yet knows something else. That must never be. */
    readonly differs: boolean;
    /** True where something has come to it that it has not taken yet: so it stays while no worker runs workflows. */
    readonly busy: boolean;
  }[];
}

/** What an exchange with a replica outside did. */
export interface Exchange {
  /** With which replica of the cadre. */
  readonly member: Member;
  /** How many operations each side had that the other lacked. */
  readonly sent: number;
  readonly received: number;
}

/** How long what an exchange sent may take until the replica has it, in ms. */
const EXCHANGE_TIME_LIMIT = 5000;
const EXCHANGE_INTERVAL = 200;

/** The agents of one cadre. */
export class Agents {
  private readonly replicas: TemporalReplicas;

  constructor(
    private readonly client: Client,
    private readonly cadre: string,
  ) {
    this.replicas = new TemporalReplicas(client, cadre);
  }

  /** All that have been told of a task, by name. About a second behind. */
  async list(): Promise<AgentStanding[]> {
    const members = await this.replicas.members();
    const names = [...new Set(members.map(agentOf))];
    const standings = await Promise.all(
      names.map((name) =>
        this.standing(
          name,
          members.filter((member) => agentOf(member) === name),
        ),
      ),
    );
    return standings.filter((standing) => standing !== undefined);
  }

  /** Throws AgentNotFound where `name` has no replica, ServerUnreachable. */
  async read(name: string): Promise<AgentStanding> {
    const standing = await this.standing(name, await this.membersFor(name));
    if (standing === undefined) throw unknownAgent(name);
    return standing;
  }

  /** Undefined where none of `members` is there, or all have left since they were listed. */
  private async standing(name: string, members: readonly Member[]): Promise<AgentStanding | undefined> {
    const reports = (await Promise.all(members.map((member) => this.replicas.report(member))))
      .filter((report) => report !== undefined)
      .filter(({ left }) => !left);
    if (reports.length === 0) return undefined;
    const told = reports.flatMap(({ rememberedAt }) => rememberedAt ?? []);
    return {
      agent: name,
      decisions: reports.flatMap(({ decisions }) => decisions).sort((a, b) => a.at - b.at),
      decided: total(reports.map(({ decided }) => decided)),
      remembered: total(reports.map(({ remembered }) => remembered)),
      ...(told.length === 0 ? {} : { rememberedAt: Math.max(...told) }),
      replicas: reports.map(
        ({ agent: _agent, decisions: _all, decided: _count, searching: _s, left: _l, ...rest }) => ({
          ...rest,
          workflow: agentId(this.cadre, rest.member),
        }),
      ),
    };
  }

  /**
   * The decisions of `name`, oldest first, read from its histories as far back as the server has them; those since `since`
   * (ms since 1970). Needs no worker. Throws AgentNotFound.
   */
  async *decisions(name: string, { since = 0 }: { since?: number } = {}): AsyncGenerator<DatedDecision> {
    const decisions: DatedDecision[] = [];
    for (const member of await this.membersFor(name)) {
      for await (const decision of this.decisionsOf(member))
        if (decision.at >= since) decisions.push(decision);
    }
    yield* decisions.sort((a, b) => a.at - b.at);
  }

  /** What the first replica of `name` knows; without a name the first there is. Throws AgentNotFound. */
  async knowledge(name?: string): Promise<KnowledgeStanding> {
    return this.knowledgeOf(await this.anyMember(name), name);
  }

  private async knowledgeOf(member: Member, name?: string): Promise<KnowledgeStanding> {
    const part = await this.replicas.part(member);
    if (part === undefined) throw unknownAgent(name ?? '');
    return knowledgeStanding(member, part);
  }

  /** `also`: members that run, and that the list may not have yet. */
  async check(also: readonly Member[] = []): Promise<KnowledgeCheck> {
    const members = [...new Set([...(await this.replicas.members()), ...also])].sort();
    const parts = await Promise.all(
      members.map(async (member) => ({ member, part: await this.replicas.part(member) })),
    );
    return knowledgeCheck(
      parts.flatMap(({ member, part }) => (part === undefined ? [] : [{ member, part }])),
    );
  }

  /**
   * {@link knowledge} at first, and whenever it is not what it was. Looks every `interval` ms (default 500), at the same
   * replica for as long as that runs: another may know less.
   */
  watch(name?: string, options: WatchOptions = {}): AsyncGenerator<KnowledgeStanding> {
    let watched: Member | undefined;
    const read = async (): Promise<KnowledgeStanding> => {
      watched = await this.anyMember(name, watched);
      return this.knowledgeOf(watched, name);
    };
    return watchChanges(read, ({ crdts }) => crdts, options);
  }

  /**
   * Gives `replica` what the cadre knows and the cadre what `replica` knows, by way of one of the cadre's replicas (of the
   * agent `name`, else the first there is); gossip takes it to the others. Resolves once that has it. Throws AgentNotFound,
   * ClockAhead and KnowledgeFull where it was refused, NoWorker, ServerUnreachable; to repeat it is harmless.
   */
  async exchange(replica: Replica, { name }: { name?: string } = {}): Promise<Exchange> {
    const member = await this.anyMember(name);
    if (typeof replica?.delta !== 'function') {
      throw inputInvalid('the replica', 'a Replica of cadre/knowledge', replica);
    }
    const part = await this.replicas.part(member, replica.seen);
    if (part === undefined) throw unknownAgent(name ?? member);
    const before = decodeContext(replica.seen, '`seen`');
    replica.merge(part.delta);
    const there = decodeContext(part.seen, '`seen`');
    const received = countBeyond(there, before);
    const sent = countBeyond(before, there);
    if (sent > 0) await this.send(replica, member, part.seen);
    return { member, sent, received };
  }

  /** Has all replicas of `name` tell the others what they know, leave the cadre and end. Throws AgentNotFound. */
  async leave(name: string): Promise<Member[]> {
    const members = await this.membersFor(name);
    const asked = await Promise.allSettled(members.map((member) => this.replicas.leave(member)));
    const left = members.filter((_member, index) => asked[index]?.status === 'fulfilled');
    // One that has ended meanwhile has left.
    const failure = asked.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
    if (failure !== undefined && (left.length === 0 || !isUnknownAgent(failure.reason))) throw failure.reason;
    return left;
  }

  private async send(replica: Replica, member: Member, seen: ContextJson): Promise<void> {
    const delta = replica.delta(seen);
    const bytes = jsonBytes(delta);
    if (bytes > MERGED_MAXIMUM_BYTES) {
      throw new CadreError(
        'KnowledgeFull',
        `The replica outside has ${bytes} bytes that "${member}" lacks, which takes at most ${MERGED_MAXIMUM_BYTES}`,
      );
    }
    const refusedBefore = (await this.replicas.report(member))?.refused ?? 0;
    await this.replicas.tell(member, replica.id, replica.seen, delta);
    const deadline = Date.now() + EXCHANGE_TIME_LIMIT;
    while (Date.now() < deadline) {
      const report = await this.replicas.report(member);
      const now = await this.replicas.part(member, replica.seen);
      if (now !== undefined && isCovered(replica.seen, now.seen)) return;
      const refusal = report?.refusals.findLast(({ from }) => from === replica.id);
      if (report !== undefined && report.refused > refusedBefore && refusal !== undefined) {
        throw new CadreError('ExchangeRefused', `The replica "${member}" did not take it: ${refusal.why}`);
      }
      await new Promise((resolve) => setTimeout(resolve, EXCHANGE_INTERVAL));
    }
    throw new CadreError(
      'NoWorker',
      `The replica "${member}" has not taken it within ${EXCHANGE_TIME_LIMIT / 1000} s`,
    );
  }

  private async membersFor(name: string): Promise<Member[]> {
    const all = (await this.replicas.members()).filter((member) => agentOf(member) === name);
    // The list is about a second behind.
    return all.length > 0 ? all : [memberOf(name, 0)];
  }

  /** `before` where it runs, else the first there is. Throws AgentNotFound. */
  private async anyMember(name: string | undefined, before?: Member): Promise<Member> {
    const listed = await this.replicas.members();
    const running = name === undefined ? listed : listed.filter((member) => agentOf(member) === name);
    if (before !== undefined && running.includes(before)) return before;
    const [first = name === undefined ? undefined : memberOf(name, 0)] = running;
    // One that is not listed may have begun just now, or have left: it answers all the same.
    const isThere =
      first !== undefined && (listed.includes(first) || (await this.replicas.report(first))?.left === false);
    if (first === undefined || !isThere) throw unknownAgent(name ?? '');
    return first;
  }

  private async *decisionsOf(member: Member): AsyncGenerator<DatedDecision> {
    try {
      for (const lastRunId of await this.replicas.chains(member)) yield* this.decisionsIn(member, lastRunId);
    } catch (error) {
      if (isNotFound(error)) throw unknownAgent(member);
      throw error;
    }
  }

  private async *decisionsIn(member: Member, lastRunId: string): AsyncGenerator<DatedDecision> {
    const projection = new AgentProjection();
    for await (const fact of readFacts(this.client, agentId(this.cadre, member), { lastRunId })) {
      for (const event of projection.next(fact)) {
        if (event.type !== 'remembered' || event.read.kind !== 'message') continue;
        for (const decision of event.read.message.decisions) yield { ...decision, at: event.at };
      }
    }
  }
}

/** What `part` of a replica says, one CRDT after the other; who its members are is not knowledge. */
function knowledgeStanding(member: Member, part: KnowledgePart): KnowledgeStanding {
  const knowledge = decodeKnowledge(part.delta, 'the knowledge');
  return {
    member,
    versionVector: versionVector(decodeContext(part.seen, '`seen`')),
    crdts: knownPlaces(knowledge).map((place) => {
      const entries = entriesAt(knowledge, place) ?? new Map<string, readonly Sibling[]>();
      return {
        ...place,
        value: CRDT_TYPES[place.type].value(entries),
        entries: [...entries]
          .map(([key, siblings]) => entryStanding(key, siblings))
          .sort((a, b) => a.at - b.at),
      };
    }),
  };
}

function entryStanding(key: string, siblings: readonly Sibling[]): EntryStanding {
  const won = winner(siblings);
  return {
    key,
    ...written(won),
    conflicts: siblings
      .filter((one) => one !== won)
      .toSorted(byTime)
      .map(written),
  };
}

function written(sibling: Sibling): Written {
  const [replica, , ms] = sibling;
  const term = termOf(sibling);
  return { value: valueOf(sibling), by: writerOf(replica), at: ms, ...(term === 0 ? {} : { term }) };
}

function knowledgeCheck(
  replicas: readonly { readonly member: Member; readonly part: FoundPart }[],
): KnowledgeCheck {
  const read = replicas.map(({ member, part }) => ({
    member,
    busy: part.busy,
    seen: decodeContext(part.seen, '`seen`'),
    text: JSON.stringify(encodedOf(part.delta)),
  }));
  const standings = read.map(({ member, busy, seen, text }) => {
    const lacks: Record<string, number> = {};
    for (const other of read) {
      for (const [writer, count] of missingBy(other.seen, seen)) {
        lacks[writer] = Math.max(lacks[writer] ?? 0, count);
      }
    }
    const differs = read.some(
      (other) =>
        countBeyond(other.seen, seen) === 0 && countBeyond(seen, other.seen) === 0 && other.text !== text,
    );
    return { member, versionVector: versionVector(seen), lacks, differs, busy };
  });
  return {
    agree: standings.every(
      ({ lacks, differs, busy }) => Object.keys(lacks).length === 0 && !differs && !busy,
    ),
    replicas: standings,
  };
}

/** The same text for equal knowledge. */
function encodedOf(delta: KnowledgeJson): unknown {
  return encodeKnowledge(decodeKnowledge(delta, 'the knowledge')).crdts;
}

/** By writer, how many operations `context` has that `other` has not. */
function missingBy(context: CausalContext, other: CausalContext): Map<string, number> {
  const missing = new Map<string, number>();
  for (const [replica, intervals] of without(context, other)) {
    const writer = writerOf(replica);
    missing.set(writer, (missing.get(writer) ?? 0) + countIn(intervals));
  }
  return missing;
}

/** How many there are from each first to each last, of `[first, last, first, last ...]`. */
function countIn(intervals: readonly number[]): number {
  let count = 0;
  for (let index = 0; index < intervals.length; index += 2) {
    count += (intervals[index + 1] as number) - (intervals[index] as number) + 1;
  }
  return count;
}

function countBeyond(context: CausalContext, other: CausalContext): number {
  return total([...missingBy(context, other).values()]);
}

function isCovered(seen: ContextJson, by: ContextJson): boolean {
  return countBeyond(decodeContext(seen, '`seen`'), decodeContext(by, '`seen`')) === 0;
}

function agentOf(member: Member): string {
  return readMember(member)?.agent ?? member;
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}

function unknownAgent(name: string): CadreError {
  return new CadreError(
    'AgentNotFound',
    name === '' ? 'No agent of this cadre has a replica yet' : `The agent "${name}" has no replica`,
  );
}

function isUnknownAgent(error: unknown): boolean {
  return isCadreError(error) && error.type === 'AgentNotFound';
}
