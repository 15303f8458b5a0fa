/** The replicas of a cadre's agents on the server: tells them, asks them, lists and compares them. */
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Client,
  QueryRejectedError,
  WorkflowClient,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowHandle,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { type Gossip, MESSAGE_VERSION, type Remember } from '../core/agent/agent-messages';
import type { AgentReport, KnowledgePart } from '../core/agent/agent-report';
import type { NewAgent } from '../core/agent/agent-start';
import { type Member, readMember } from '../core/agent/members';
import type { Replicas } from '../core/agent/replicas';
import type { ContextJson, KnowledgeJson } from '../core/crdt/knowledge-json';
import { CadreError } from '../core/failures';
import {
  AGENT_WORKFLOW,
  GOSSIP_SIGNAL,
  LEAVE_SIGNAL,
  MEMBER_MEMO,
  REMEMBER_SIGNAL,
  agentId,
  taskQueue,
} from '../core/names';
import { agentQuery, knowledgeQuery } from '../workflows/messages';
import { GRPC_STATUS, answers, hasStatus, isNotFound } from './grpc-status';

/** How long a query may take, in ms. */
const QUERY_TIME_LIMIT = 5000;
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
  /** Asks only replicas that run: one that has ended would answer with what it knew last. */
  private readonly running: WorkflowClient;

  /** `seeds`: whom a replica that begins may ask for the others. */
  constructor(
    private readonly client: Client,
    private readonly cadre: string,
    private readonly seeds: readonly Member[] = [],
  ) {
    this.running = new WorkflowClient({
      connection: client.connection,
      namespace: client.options.namespace,
      dataConverter: client.options.loadedDataConverter,
      queryRejectCondition: 'NOT_OPEN',
    });
  }

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
    // The query waits for the first workflow task, in which it has asked the others; their answers are a task each.
    await this.joined(member);
    const read = await this.part(member);
    if (read !== undefined) return read;
    throw notFound(member);
  }

  async report(member: Member): Promise<AgentReport | undefined> {
    return this.ask(member, (handle) => handle.query<AgentReport>(agentQuery.name));
  }

  /** What `member` knows beyond `seen`; undefined where it is not there. */
  part(member: Member, seen?: ContextJson): Promise<KnowledgePart | undefined> {
    const args: [ContextJson?] = seen === undefined ? [] : [seen];
    return this.ask(member, (handle) =>
      handle.query<KnowledgePart, [ContextJson?]>(knowledgeQuery.name, ...args),
    );
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
    const query = `WorkflowType = "${AGENT_WORKFLOW}" AND TaskQueue = "${taskQueue(this.cadre)}" AND ExecutionStatus = "Running"`;
    const found: Member[] = [];
    try {
      for await (const { memo } of this.client.workflow.list({ query })) {
        const member = memo?.[MEMBER_MEMO];
        if (typeof member === 'string' && readMember(member) !== undefined) found.push(member);
      }
    } catch (error) {
      // The test server whose clock skips waits lists nothing.
      if (!hasStatus(error, GRPC_STATUS.unimplemented)) throw error;
    }
    return found.sort();
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

  /** What `query` answers; undefined where the replica is not there. Throws NoWorker, ServerUnreachable. */
  private async ask<Answer>(
    member: Member,
    query: (handle: WorkflowHandle) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    const handle = this.running.getHandle(agentId(this.cadre, member));
    try {
      return await this.client.withDeadline(Date.now() + QUERY_TIME_LIMIT, () => query(handle));
    } catch (error) {
      if (isNotFound(error) || error instanceof QueryRejectedError) return undefined;
      if (!(await answers(this.client))) {
        throw new CadreError('ServerUnreachable', 'Lost the Temporal server', { cause: error });
      }
      throw new CadreError('NoWorker', `No worker that runs workflows answers for the agent "${member}"`, {
        cause: error,
      });
    }
  }
}

function notFound(member: Member): CadreError {
  return new CadreError('AgentNotFound', `The agent "${member}" has no replica`);
}
