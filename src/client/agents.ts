/** The replicas of a cadre's agents on the server: tells them, asks them, lists and compares them. */
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowHandle,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { type Gossip, MESSAGE_VERSION, type Remember } from '../core/agent/agent-messages';
import { AgentProjection } from '../core/agent/agent-projection';
import { type AgentReport, type KnowledgePart, agentReport, knowledgePart } from '../core/agent/agent-report';
import type { NewAgent } from '../core/agent/agent-start';
import type { AgentState } from '../core/agent/agent-state';
import { type Member, readMember } from '../core/agent/members';
import type { Replicas } from '../core/agent/replicas';
import type { ContextJson, KnowledgeJson } from '../core/crdt/knowledge-json';
import { CadreError, isCadreError } from '../core/failures';
import {
  AGENT_WORKFLOW,
  GOSSIP_SIGNAL,
  LEAVE_SIGNAL,
  MEMBER_MEMO,
  REMEMBER_SIGNAL,
  agentId,
  taskQueue,
} from '../core/names';
import { answers, isNotFound } from './grpc-status';
import { PRESENT_RUN, readFacts } from './history-reader';
import { listed, runningOf } from './listed';

/** How long a replica may take for what has come to it before it is read without, and how often it is looked at, in ms. */
const SETTLING_TIME_LIMIT = 500;
const SETTLING_INTERVAL = 25;
/** How long a replica that begins may take to hear from another, and how often it is asked, in ms. */
const JOINING_TIME_LIMIT = 2000;
const JOINING_INTERVAL = 20;
/**
 * What an agent waits for where a worker died with a workflow task of it in hand; Temporal's default is 10 s. Thousands of
 * messages that have piled up must be taken within it, at about a millisecond each on a busy machine.
 */
const WORKFLOW_TASK_TIMEOUT = 5000;

/** The replicas of one cadre, on the server of `client`. */
export class TemporalReplicas implements Replicas {
  /** `seeds`: whom a replica that begins may ask for the others. */
  constructor(
    private readonly client: Client,
    private readonly cadre: string,
    private readonly seeds: readonly Member[] = [],
  ) {}

  async remember(member: Member, message: Remember): Promise<void> {
    await this.client.workflow.signalWithStart(AGENT_WORKFLOW, {
      ...this.startOptions(member),
      signal: REMEMBER_SIGNAL,
      signalArgs: [message],
    });
  }

  async ensure(member: Member): Promise<void> {
    try {
      await this.client.workflow.start(AGENT_WORKFLOW, {
        ...this.startOptions(member),
        workflowIdConflictPolicy: 'USE_EXISTING',
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  async hasLeft(member: Member): Promise<boolean> {
    try {
      // Only by leaving does its workflow come to its end.
      return (await this.handle(member).describe()).status.name === 'COMPLETED';
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async read(member: Member): Promise<KnowledgePart> {
    const part = await this.part(member);
    if (part !== undefined && !part.left) return part;
    await this.ensure(member);
    await this.joined(member);
    const read = await this.part(member);
    if (read !== undefined) return read;
    throw notFound(member);
  }

  async report(member: Member): Promise<AgentReport | undefined> {
    const found = await this.look(member);
    return found && agentReport(found.state, found.run);
  }

  /** What `member` knows beyond `seen`; undefined where it is not there. */
  async part(member: Member, seen?: ContextJson): Promise<FoundPart | undefined> {
    const found = await this.look(member);
    return found && { ...knowledgePart(found.state, seen), busy: found.busy };
  }

  /** Tells `member` what a replica outside knows. Rejects as AgentNotFound where it is not there. */
  async tell(member: Member, from: string, seen: ContextJson, delta: KnowledgeJson): Promise<void> {
    const gossip: Gossip = { version: MESSAGE_VERSION, cadre: this.cadre, from, seen, delta, asks: false };
    try {
      await this.handle(member).signal(GOSSIP_SIGNAL, gossip);
    } catch (error) {
      throw isNotFound(error) ? notFound(member) : error;
    }
  }

  async leave(member: Member): Promise<void> {
    try {
      await this.handle(member).signal(LEAVE_SIGNAL);
    } catch (error) {
      throw isNotFound(error) ? notFound(member) : error;
    }
  }

  /** The replicas that run, by name. About a second behind. Needs no worker. */
  async members(): Promise<Member[]> {
    const found: Member[] = [];
    for await (const { memo } of runningOf(this.client, AGENT_WORKFLOW, taskQueue(this.cadre))) {
      const member = memo?.[MEMBER_MEMO];
      if (typeof member === 'string' && readMember(member) !== undefined) found.push(member);
    }
    // One that goes on in a new run may be listed with both.
    return [...new Set(found)].sort();
  }

  /**
   * The last run of each chain of `member`'s that the server has, the oldest first: one that was terminated, or has left,
   * begins anew. Rejects with the SDK's error where there is none.
   */
  async chains(member: Member): Promise<string[]> {
    const { runId: present } = await this.handle(member).describe();
    const ended = new Map<string, number>();
    const query = `WorkflowId = "${agentId(this.cadre, member)}" AND ExecutionStatus IN ("Terminated", "Completed", "Failed", "Canceled", "TimedOut")`;
    for await (const { runId, startTime } of listed(this.client, { query })) {
      if (runId !== present) ended.set(runId, startTime.getTime());
    }
    return [...[...ended].sort(([, a], [, b]) => a - b).map(([runId]) => runId), present];
  }

  /** Resolves once `member` has heard from another replica, or found none. */
  private async joined(member: Member): Promise<void> {
    const deadline = Date.now() + JOINING_TIME_LIMIT;
    while (Date.now() < deadline) {
      const report = await this.report(member);
      if (report?.searching === false) return;
      await delay(JOINING_INTERVAL);
    }
  }

  private handle(member: Member): WorkflowHandle {
    return this.client.workflow.getHandle(agentId(this.cadre, member));
  }

  private startOptions(member: Member): WorkflowStartOptions & { args: [NewAgent] } {
    return {
      workflowId: agentId(this.cadre, member),
      taskQueue: taskQueue(this.cadre),
      args: [{ cadre: this.cadre, member, seeds: this.seeds.filter((seed) => seed !== member) }],
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      memo: { [MEMBER_MEMO]: member },
      staticSummary: `agent ${member}`,
    };
  }

  /**
   * Reads `member` from its history, which needs no worker: the workflow itself is not asked. Waits a little where something
   * has come to it that it has not taken yet. Undefined where it does not run. Throws ServerUnreachable.
   */
  private async look(member: Member): Promise<Found | undefined> {
    const deadline = Date.now() + SETTLING_TIME_LIMIT;
    for (;;) {
      const projection = await this.project(member);
      if (projection?.state === undefined || projection.hasEnded) return undefined;
      const { isBusy: busy, isSearching: searching, historyLength } = projection;
      if (!busy || Date.now() >= deadline)
        return { state: projection.state, busy, run: { searching, historyLength } };
      await delay(SETTLING_INTERVAL);
    }
  }

  /** Of its present run, which begins with all that was before. */
  private async project(member: Member): Promise<AgentProjection | undefined> {
    const projection = new AgentProjection();
    const from = { firstRunId: PRESENT_RUN };
    try {
      for await (const fact of readFacts(this.client, agentId(this.cadre, member), from))
        projection.next(fact);
      return projection;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (isCadreError(error) || (await answers(this.client))) throw error;
      throw new CadreError('ServerUnreachable', 'Lost the Temporal server', { cause: error });
    }
  }
}

/** A replica as its history has it. */
interface Found {
  readonly state: AgentState;
  readonly busy: boolean;
  readonly run: Pick<AgentReport, 'searching' | 'historyLength'>;
}

/** `busy`: something has come to it that it has not taken yet, and that is not in this. */
export type FoundPart = KnowledgePart & { readonly busy: boolean };

function notFound(member: Member): CadreError {
  return new CadreError('AgentNotFound', `The agent "${member}" has no replica`);
}
