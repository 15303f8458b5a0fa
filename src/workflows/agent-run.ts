/**
 * One run of an agent's replica. Owns when it tells the others, and when it goes on in a new run; what a message means is
 * `core/agent/agent-state.ts`'s, whom it tells what is `core/agent/outbox.ts`'s.
 *
 * 1. A handler only records: it neither waits nor throws, so no message holds up another, or the workflow.
 * 2. A run ends only when all it has sent has arrived: what is not awaited then, the server drops. Who is started again
 *    is not waited for, since that may take long: the next run sees to it.
 */
import {
  ActivityCancellationType,
  CancellationScope,
  allHandlersFinished,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import { agentDetails } from '../core/agent/agent-details';
import { type AgentReport, type KnowledgePart, agentReport, knowledgePart } from '../core/agent/agent-report';
import { type AgentHandover, type AgentStart, agentBeginning } from '../core/agent/agent-start';
import {
  type AgentEvent,
  type AgentState,
  type Evolved,
  cohortOf,
  evolveAgent,
  heardEvent,
  membersIn,
  rememberedEvent,
  rereadAgent,
  snapshotOf,
} from '../core/agent/agent-state';
import type { Member } from '../core/agent/members';
import { type Letter, Outbox } from '../core/agent/outbox';
import { crossing } from '../core/failure-info';
import { jsonBytes } from '../core/json';
import { ENSURE_AGENT_ACTIVITY, agentId } from '../core/names';
import type { Resume } from '../core/resume';
import { gossipSignal } from './messages';
import { showDetails } from './show-details';
import { sleepUnless } from './sleep-unless';

/**
 * A replay costs 0.3 to 0.4 s per 1,000 events, and is paid at every cache loss. While much comes a run ends late: where a
 * message comes before the server has taken its end, it is replayed and ends anew.
 */
const HISTORY_MAXIMUM_EVENTS = 300;
const HISTORY_MAXIMUM_BYTES = 4 * 1024 * 1024;

type EnsureAgentActivities = { [ENSURE_AGENT_ACTIVITY](member: Member): Promise<'started' | 'unknown'> };

export class AgentRun {
  private current: AgentState;
  private readonly outbox: Outbox;
  private readonly answers: Letter[] = [];
  /** Members that were not there, with what they were to be told. */
  private readonly starting = new Map<Member, Letter>();
  private readonly seeds: readonly Member[];
  private searching: boolean;
  private readonly show = showDetails(() => agentDetails(this.current));

  constructor(start: unknown) {
    const { taskQueue, firstExecutionRunId } = workflowInfo();
    const beginning = crossing(() => agentBeginning(start, taskQueue, firstExecutionRunId));
    this.current = beginning.state;
    if (beginning.kind === 'new') {
      this.outbox = new Outbox();
      this.seeds = beginning.seeds;
      this.searching = true;
      this.record({ type: 'joined', at: Date.now() });
    } else {
      this.outbox = crossing(() => Outbox.read(beginning.outbox, Date.now(), cohortOf(this.current).length));
      this.seeds = [];
      this.searching = false;
      this.take(rereadAgent(this.current, Date.now()));
    }
  }

  remember(message: unknown): void {
    this.record(rememberedEvent(message, Date.now()));
  }

  hear(message: unknown): void {
    const event = heardEvent(message, Date.now());
    const { refused } = this.current;
    this.record(event);
    if (event.type !== 'heard' || event.read.kind !== 'message') return;
    const { message: heard } = event.read;
    if (heard.cadre !== this.current.cadre) return;
    // What was refused would be refused again, and again.
    const asksBack = this.current.refused === refused;
    const answer = this.outbox.answer(this.current, heard, asksBack);
    if (answer !== undefined) this.answers.push(answer);
  }

  leave(): void {
    if (!this.current.left) this.record({ type: 'left', at: Date.now() });
  }

  report(): AgentReport {
    const { historyLength } = workflowInfo();
    const searching = this.searching && membersIn(this.current).length < 2;
    return agentReport(this.current, { historyLength, searching });
  }

  knowledge(seen: unknown): KnowledgePart {
    return crossing(() => knowledgePart(this.current, seen));
  }

  /** Gossips until it has left; goes on in a new run before the history grows long. A cancel makes it leave. */
  async execute(): Promise<void> {
    CancellationScope.current().cancelRequested.catch(() => this.leave());
    await CancellationScope.nonCancellable(() => this.gossip());
  }

  private async gossip(): Promise<void> {
    // The message that it was started with comes first: it goes with the first greeting.
    await Promise.resolve();
    await this.findOthers();
    for (;;) {
      await condition(() => this.mustSend() || this.current.left || this.isLong());
      if (this.isLong()) await this.continueAsNew();
      await this.send(this.answers.splice(0));
      if (!this.outbox.isDirty) {
        if (this.current.left && this.outbox.mayLeave(this.current)) break;
        continue;
      }
      const wait = this.outbox.dueIn(Date.now());
      if (wait > 0)
        await sleepUnless(wait, 'next round of gossip', () => this.answers.length > 0 || this.isLong());
      else await this.send(this.outbox.round(this.current, Date.now()));
    }
    await condition(allHandlersFinished);
  }

  /**
   * Asks one after the other of those that come before it by name, until one is there: it tells who else is. Where none is,
   * asks all that come after it: of those that begin at once, the first finds the others.
   */
  private async findOthers(): Promise<void> {
    for (const [index, seed] of this.seeds.entries()) {
      const letter = this.outbox.hello(this.current, seed, Date.now());
      const how = await this.deliver(letter);
      const isFound = how === 'delivered' && seed < this.current.member;
      if (how === 'refused') this.outbox.failed(letter);
      // It may end before it answers.
      if (how === 'delivered') this.outbox.seek(isFound ? this.seeds.slice(index) : [seed], Date.now());
      if (isFound) return;
    }
    this.searching = false;
  }

  private mustSend(): boolean {
    return this.answers.length > 0 || this.outbox.isDirty;
  }

  private isLong(): boolean {
    const { historyLength, historySize, continueAsNewSuggested } = workflowInfo();
    return (
      historyLength >= HISTORY_MAXIMUM_EVENTS ||
      historySize >= HISTORY_MAXIMUM_BYTES ||
      continueAsNewSuggested
    );
  }

  /** What is large goes one after the other: a worker's answer to a workflow task has at most 4 MB. */
  private async send(letters: readonly Letter[]): Promise<void> {
    for (const batch of batchesOf(letters)) await Promise.all(batch.map((letter) => this.sendOne(letter)));
  }

  private async sendOne(letter: Letter): Promise<void> {
    const { to } = letter;
    // It asks for what it lacks itself, once it runs.
    if (this.starting.has(to)) return;
    const how = await this.deliver(letter);
    if (how === 'delivered') return this.outbox.delivered(letter);
    if (how === 'refused') return this.outbox.failed(letter);
    // Who has left must not come back by an answer to its last question.
    if (!membersIn(this.current).includes(to)) return this.outbox.gone(to);
    if (!this.starting.has(to)) void this.startAgain(letter);
  }

  /** Nobody waits for it: where no worker knows the agent, that is found out within a minute. */
  private async startAgain(letter: Letter): Promise<void> {
    const { to } = letter;
    const { [ENSURE_AGENT_ACTIVITY]: ensureAgent } = proxyActivities<EnsureAgentActivities>({
      startToCloseTimeout: '10 seconds',
      scheduleToCloseTimeout: '1 minute',
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      summary: `start ${to}`,
    });
    this.starting.set(to, letter);
    const found = await ensureAgent(to).catch(() => 'unreachable' as const);
    this.starting.delete(to);
    if (found === 'unreachable') return this.outbox.failed(letter);
    this.outbox.gone(to);
    if (found === 'unknown') this.record({ type: 'memberGone', at: Date.now(), member: to });
  }

  private async deliver({ to, gossip }: Letter): Promise<'delivered' | 'missing' | 'refused'> {
    try {
      await getExternalWorkflowHandle(agentId(this.current.cadre, to)).signal(gossipSignal, gossip);
      return 'delivered';
    } catch (error) {
      return error instanceof Error && /not ?found/i.test(error.message) ? 'missing' : 'refused';
    }
  }

  private async continueAsNew(): Promise<never> {
    await condition(allHandlersFinished);
    // The next run finds out anew.
    for (const letter of this.starting.values()) this.outbox.failed(letter);
    const { workflowId, runId } = workflowInfo();
    const resume: Resume<AgentHandover> = {
      snapshot: { agent: snapshotOf(this.current), outbox: this.outbox.toJSON() },
      origin: { kind: 'continuedAsNew', workflowId, runId },
      overrides: {},
    };
    return continueAsNew<(start: AgentStart) => Promise<void>>(resume);
  }

  private record(event: AgentEvent): void {
    this.take(evolveAgent(this.current, event));
  }

  private take(evolved: Evolved): void {
    this.current = evolved.state;
    this.outbox.take(evolved, Date.now());
    this.show();
  }
}

/** In bytes of JSON. */
const BATCH_MAXIMUM_BYTES = 1024 * 1024;

/** `letters` in groups of at most {@link BATCH_MAXIMUM_BYTES}, or of one. */
function batchesOf(letters: readonly Letter[]): Letter[][] {
  const batches: Letter[][] = [];
  let bytes = Infinity;
  for (const letter of letters) {
    const more = jsonBytes(letter.gossip);
    bytes += more;
    if (bytes > BATCH_MAXIMUM_BYTES) {
      bytes = more;
      batches.push([]);
    }
    batches.at(-1)?.push(letter);
  }
  return batches;
}
