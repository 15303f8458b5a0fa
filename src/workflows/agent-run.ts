/**
 * One run of an agent's replica. Owns when it tells the others, and when it goes on in a new run; what a message means is
 * `core/agent/agent-state.ts`'s, whom it tells what is `core/agent/outbox.ts`'s.
 *
 * 1. A handler only records: it neither waits nor throws, so no message holds up another, or the workflow.
 * 2. A run ends only when all it has sent has arrived: what is not awaited then, the server drops.
 */
import {
  ActivityCancellationType,
  CancellationScope,
  allHandlersFinished,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  proxyActivities,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import { agentDetails } from '../core/agent/agent-details';
import { type AgentReport, type KnowledgePart, agentReport, knowledgePart } from '../core/agent/agent-report';
import { type AgentHandover, type AgentStart, agentBeginning } from '../core/agent/agent-start';
import {
  type AgentEvent,
  type AgentState,
  type Evolved,
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
import { ENSURE_AGENT_ACTIVITY, agentId } from '../core/names';
import type { Resume } from '../core/resume';
import { gossipSignal } from './messages';
import { sleepUnless } from './sleep-unless';

/** A replay costs 0.3 to 0.4 s per 1,000 events, and is paid at every cache loss. */
const HISTORY_MAXIMUM_EVENTS = 1000;
const HISTORY_MAXIMUM_BYTES = 4 * 1024 * 1024;

type EnsureAgentActivities = { [ENSURE_AGENT_ACTIVITY](member: Member): Promise<'started' | 'unknown'> };

export class AgentRun {
  private current: AgentState;
  private readonly outbox: Outbox;
  private readonly answers: Letter[] = [];
  private readonly seeds: readonly Member[];
  private searching: boolean;

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
      this.outbox = crossing(() => Outbox.read(beginning.outbox, Date.now(), membersIn(this.current).length));
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
    this.record(event);
    if (event.type !== 'heard' || event.read.kind !== 'message') return;
    const { message: heard } = event.read;
    if (heard.cadre !== this.current.cadre) return;
    const answer = this.outbox.answer(this.current, heard);
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
    await this.findOthers();
    for (;;) {
      await condition(() => this.mustSend() || this.current.left || this.isLong());
      if (this.isLong()) await this.continueAsNew();
      await this.send(this.answers.splice(0));
      if (!this.outbox.isDirty) {
        if (this.current.left && this.answers.length === 0) break;
        continue;
      }
      const wait = this.outbox.dueIn(Date.now());
      if (wait > 0)
        await sleepUnless(wait, 'next round of gossip', () => this.answers.length > 0 || this.isLong());
      else await this.send(this.outbox.round(this.current, Date.now()));
    }
    await condition(allHandlersFinished);
  }

  /** Asks one after the other until one is there: it tells who else is. */
  private async findOthers(): Promise<void> {
    for (const seed of this.seeds) {
      if (membersIn(this.current).length > 1) return;
      if ((await this.deliver(this.outbox.compare(this.current, seed))) === 'delivered') return;
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

  private async send(letters: readonly Letter[]): Promise<void> {
    await Promise.all(letters.map((letter) => this.sendOne(letter)));
  }

  private async sendOne(letter: Letter): Promise<void> {
    const { to } = letter;
    const how = await this.deliver(letter);
    if (how === 'delivered') return this.outbox.delivered(letter);
    if (how === 'refused') return this.outbox.failed(letter);
    // A worker that knows the agent starts it, and it asks for what it lacks itself.
    const { [ENSURE_AGENT_ACTIVITY]: ensureAgent } = proxyActivities<EnsureAgentActivities>({
      startToCloseTimeout: '10 seconds',
      scheduleToCloseTimeout: '1 minute',
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      summary: `start ${to}`,
    });
    const found = await ensureAgent(to).catch(() => 'unreachable' as const);
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

  private take({ state, news }: Evolved): void {
    this.current = state;
    if (news !== undefined) this.outbox.add(news, Date.now(), membersIn(state).length);
    setCurrentDetails(agentDetails(state));
  }
}
