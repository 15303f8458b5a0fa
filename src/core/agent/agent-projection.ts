/**
 * Reads an agent's history as the events of its state. The fold of them from the first run on, and that from what any
 * later run began with, are the state that the workflow has.
 */
import { type HistoryFact, isEnd } from '../history-facts';
import { ENSURE_AGENT_ACTIVITY, GOSSIP_SIGNAL, LEAVE_SIGNAL, REMEMBER_SIGNAL, agentId } from '../names';
import { agentBeginning } from './agent-start';
import {
  type AgentEvent,
  type AgentState,
  evolveAgent,
  heardEvent,
  membersIn,
  rememberedEvent,
  rereadAgent,
} from './agent-state';
import { type Member, readMember } from './members';

/** What a workflow task brings; `at` is when it began: the workflow's time. */
type Pending = (at: number) => AgentEvent | 'reread';

export class AgentProjection {
  private current: AgentState | undefined;
  /** Messages first, then what activities came to: so the workflow hears of them in one task. */
  private messages: Pending[] = [];
  private outcomes: Pending[] = [];
  private taskBegan = 0;
  private readonly ensured = new Map<number, Member>();
  /** Whom a new replica asks for the others, by workflow id, and has no answer from yet. */
  private asked = new Set<string>();
  private answered = false;
  private underWay = false;
  private over = false;
  private length = 0;

  /** As the last workflow task left it; undefined before the first fact. */
  get state(): AgentState | undefined {
    return this.current;
  }

  /** Whether it begins, and has not heard from another yet. */
  get isSearching(): boolean {
    if (this.current === undefined) return true;
    return (this.asked.size > 0 || this.answered) && membersIn(this.current).length < 2;
  }

  /** Whether something has come that no workflow task has taken yet, or may have: while one is under way it is not seen. */
  get isBusy(): boolean {
    return this.underWay || this.messages.length > 0 || this.outcomes.length > 0;
  }

  get hasEnded(): boolean {
    return this.over;
  }

  /** How many events the run has that the last fact is of, up to that. */
  get historyLength(): number {
    return this.length;
  }

  /** The events that `fact` adds; what has come before is none. Throws InputInvalid for a history that is no agent's. */
  next(fact: HistoryFact): AgentEvent[] {
    this.length = fact.eventId;
    this.over = isEnd(fact);
    switch (fact.kind) {
      case 'workflowStarted':
        this.begin(fact);
        return [];
      case 'signalled': {
        const event = eventOf(fact.name, fact.input[0]);
        if (event !== undefined) this.messages.push(event);
        return [];
      }
      case 'signalDelivered':
      case 'signalFailed':
        this.hears(fact);
        return [];
      case 'cancelRequested':
        this.outcomes.push((at) => ({ type: 'left', at }));
        return [];
      case 'activityScheduled':
        if (fact.activityType === ENSURE_AGENT_ACTIVITY)
          this.ensured.set(fact.eventId, String(fact.input[0]));
        return [];
      case 'activityCompleted': {
        const member = this.ensured.get(fact.scheduledEventId);
        if (member !== undefined && fact.result === 'unknown') {
          this.outcomes.push((at) => ({ type: 'memberGone', at, member }));
        }
        return [];
      }
      case 'workflowTaskStarted':
        this.taskBegan = fact.time;
        this.underWay = true;
        return [];
      case 'workflowTaskFailed':
        this.underWay = false;
        return [];
      case 'workflowTaskCompleted':
        this.underWay = false;
        return this.take(this.taskBegan);
      default:
        return [];
    }
  }

  private begin({ workflowId, firstRunId, input }: HistoryFact & { kind: 'workflowStarted' }): void {
    this.ensured.clear();
    if (this.current !== undefined) {
      this.messages.push(() => 'reread');
      return;
    }
    const beginning = agentBeginning(input, cadreOf(workflowId), firstRunId);
    this.current = beginning.state;
    const { cadre } = beginning.state;
    if (beginning.kind === 'new') this.asked = new Set(beginning.seeds.map((seed) => agentId(cadre, seed)));
    this.messages.push(beginning.kind === 'new' ? (at) => ({ type: 'joined', at }) : () => 'reread');
  }

  /** It asks one after the other, and stops at the first that comes before it by name and is there. */
  private hears({ kind, to }: HistoryFact & { kind: 'signalDelivered' | 'signalFailed' }): void {
    if (this.current === undefined || !this.asked.delete(to)) return;
    this.answered ||= kind === 'signalDelivered' && to < agentId(this.current.cadre, this.current.member);
  }

  private take(at: number): AgentEvent[] {
    const events: AgentEvent[] = [];
    const pending = [...this.messages.splice(0), ...this.outcomes.splice(0)];
    for (const make of pending) {
      const event = make(at);
      if (this.current === undefined) continue;
      if (event === 'reread') {
        this.current = rereadAgent(this.current, at).state;
      } else if (event.type !== 'left' || !this.current.left) {
        const before = this.current;
        this.current = evolveAgent(before, event).state;
        if (this.current !== before) events.push(event);
      }
    }
    return events;
  }
}

function eventOf(name: string, message: unknown): Pending | undefined {
  switch (name) {
    case REMEMBER_SIGNAL:
      return (at) => rememberedEvent(message, at);
    case GOSSIP_SIGNAL:
      return (at) => heardEvent(message, at);
    case LEAVE_SIGNAL:
      return (at) => ({ type: 'left', at });
    default:
      return undefined;
  }
}

/** The cadre in an agent's workflow id. */
function cadreOf(workflowId: string): string {
  const [cadre = '', member = ''] = workflowId.split('.agent.', 2);
  return readMember(member) === undefined ? '' : cadre;
}
