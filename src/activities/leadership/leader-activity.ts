import { Context } from '@temporalio/activity';
import type { Envelope } from '../../core/envelope';
import { isBrief, isRefusal, readRefusal } from '../../core/breaker/refusal';
import { FELL_BACK } from '../../core/decision';
import { crossingFailure, failureInfo } from '../../core/failure-info';
import { CadreError, type FailureType, isCadreError } from '../../core/failures';
import type { LeaderOutcome, LeaderRequest } from '../../core/leader-work';
import { fallbackOf } from '../../core/policy';
import type { LeaderWork } from '../../core/names';
import { INLINE_MAXIMUM_BYTES } from '../../core/stored';
import { usageField } from '../../core/usage';
import type { ArtifactStore } from '../../storage/artifact-store';
import { store } from '../../storage/stored-values';
import { READ_ONLY, runAgent } from '../agent-activity';
import { type Attempt, startAttempt } from '../attempt';
import type { Breakers } from '../breaker/breakers';
import type { Budgets } from '../budget/budgets';
import type { Charge } from '../calls/charge';
import { guarded } from '../breaker/guard';
import type { AnyAgent } from '../define-agent';
import type { Memory } from '../knowledge/memory';
import { orAborted } from '../or-aborted';
import type { LeaderAgent, QueueStatus } from './roster';

/** What a worker leads by: the term it was granted, and whether it still holds it. */
export interface LeaderTerm {
  readonly term: number;
  /** False once the lease was not renewed in time, whatever the server says. */
  readonly held: () => boolean;
  /** Aborts when the term is over. */
  readonly over: AbortSignal;
}

export interface LeaderDependencies {
  /** The term that is led in; undefined while none is. */
  readonly term: () => LeaderTerm | undefined;
  readonly cadre: string;
  readonly agents: ReadonlyMap<string, AnyAgent>;
  readonly artifacts: ArtifactStore;
  readonly queueStatus: QueueStatus;
  /** Absent where nothing guards the agents. */
  readonly breakers?: Breakers | undefined;
  /** Absent where nothing is limited. */
  readonly budgets?: Budgets | undefined;
  /** Absent where nothing is known. */
  readonly memory?: Memory | undefined;
}

/** Activity of the leader: an envelope and a request, to an outcome with the leader's term. */
export type LeaderActivity<Request, Outcome> = (envelope: Envelope, request: Request) => Promise<Outcome>;

/** One piece of the leader's work, under way. */
export interface LeaderDesk {
  /** True where the cadre has this agent of the leader's. */
  has(agent: LeaderAgent): boolean;
  /**
   * Runs it on `input`, or its fallback where its breaker does not let it through or it fails for good. Throws
   * AgentUnknown where there is none, and else what the agent itself failed with.
   */
  ask(agent: LeaderAgent, input: unknown): Promise<Asked>;
}

/** What an agent of the leader's put out. */
interface Asked {
  /** Checked. */
  readonly output: unknown;
  /** Who did it. */
  readonly by: string;
}

/** What every request of the leader's work has. */
interface WorkRequest extends LeaderRequest {
  readonly goal: string;
}

type InTerm<Body> = Body & LeaderOutcome;

/**
 * Makes an activity of `work`. It is given up at once when the term is over, whether or not an agent listens: the
 * next leader does it anew, and what a leader decides has no effect before it is recorded.
 */
export function leaderActivity<Asking extends WorkRequest, Body>(
  dependencies: LeaderDependencies,
  instruction: string,
  work: (request: Asking, desk: LeaderDesk) => Promise<Body>,
): LeaderActivity<Asking, InTerm<Body>> {
  const { agents, artifacts, budgets } = dependencies;
  return async (envelope, request) => {
    const activity = Context.current();
    const lead = dependencies.term();
    if (lead === undefined || !lead.held() || lead.term < envelope.term) throw leadsNoMore();
    const { term, over } = lead;
    const payer = agents.get(THINKER[envelope.kind as LeaderWork]);
    const signal = AbortSignal.any([activity.cancellationSignal, over]);
    const charge = payer && budgets?.chargeOf(payer, envelope, signal);
    const { waited, held } = request;
    const handedBack = {
      attemptsUsed: 0,
      ...(waited === undefined ? {} : { waited }),
      ...(held === undefined ? {} : { held }),
    };
    const start = { goal: request.goal, instruction, signal: over, charge, handedBack };
    const attempt = startAttempt(activity, { ...envelope, term }, start, artifacts);
    try {
      const chargeOf = (agent: AnyAgent): Charge | undefined => budgets?.chargeOf(agent, envelope, signal);
      const leading = { ...request, root: envelope.root, payer, chargeOf };
      const desk = deskOf(dependencies, activity, attempt, leading);
      const body = await orAborted(work(request, desk), signal);
      // A fallback may do without a call what others paid for before.
      const fellBack = attempt.decisions.some(({ type }) => type === FELL_BACK);
      const { usage, decisions: repeated } = await attempt.report(fellBack);
      const decisions = [...repeated, ...attempt.decisions];
      const outcome = {
        ...body,
        term,
        ...(decisions.length === 0
          ? {}
          : { decisions: await store(artifacts, decisions, INLINE_MAXIMUM_BYTES) }),
        ...usageField({ usage }),
      };
      // A leader that was paused past its lease must not decide.
      if (!lead.held()) throw leadsNoMore();
      return outcome;
    } catch (error) {
      throw over.aborted ? leadsNoMore() : await attempt.failure(error);
    } finally {
      attempt.stop();
    }
  };
}

/** By which agent the leader thinks. */
const THINKER = {
  plan: 'planner',
  assign: 'assigner',
  arbitrate: 'arbiter',
  aggregate: 'aggregator',
} as const satisfies Record<LeaderWork, LeaderAgent>;

function leadsNoMore(): unknown {
  return crossingFailure(
    new CadreError('HandedBack', 'This worker does not lead any more', { details: { attemptsUsed: 0 } }),
  );
}

/** What is led, and who pays for it. */
interface Leading extends LeaderRequest {
  readonly root: string;
  /** Whose accounts the attempt's calls are charged to, unless a fallback asks for them. */
  readonly payer: AnyAgent | undefined;
  readonly chargeOf: (agent: AnyAgent) => Charge | undefined;
}

function deskOf(
  { agents, breakers, memory }: LeaderDependencies,
  activity: Context,
  attempt: Attempt,
  { root, waited, last, payer, chargeOf }: Leading,
): LeaderDesk {
  const act = (agent: AnyAgent, input: unknown): Promise<unknown> => {
    const knowledge = memory?.learning(agent, root, READ_ONLY).knowledge;
    const calls = agent === payer ? attempt.context.calls : attempt.paidBy(agent.name, chargeOf(agent));
    const context = { ...attempt.context, calls, ...(knowledge === undefined ? {} : { knowledge }) };
    const run = (): Promise<unknown> => runAgent(agent, input, { ...attempt, context });
    const guard = breakers?.guardOf(agent);
    return guard === undefined ? run() : guarded(guard, activity, attempt, waited === true, run);
  };
  const ask = async (name: string, input: unknown): Promise<Asked> => {
    const agent = agents.get(name);
    if (agent === undefined) throw new CadreError('AgentUnknown', `No agent is named "${name}"`);
    try {
      return { output: await act(agent, input), by: name };
    } catch (error) {
      const fallback = fallbackOf(agent.resolvedPolicy);
      const { signal, decide } = attempt.context;
      if (fallback === undefined || signal.aborted || !givesWay(error, last === true)) throw error;
      const asked = await ask(fallback, input).catch(() => {
        // A fallback that waits for its budget ends the attempt.
        throw attempt.asked() ?? error;
      });
      const { type, message } = failureInfo(error);
      decide({
        type: FELL_BACK,
        rationale: `${fallback} instead of ${name}: ${message}`,
        evidence: { type },
      });
      return asked;
    }
  };
  return { has: (name) => agents.has(name), ask };
}

/** Whether the agent that failed so gives way to its fallback, as an agent of a step does. */
function givesWay(error: unknown, last: boolean): boolean {
  const failure = failureInfo(error);
  if (isRefusal(failure)) return !isBrief(readRefusal(isCadreError(error) ? error.details : undefined).why);
  return failure.type !== ('BudgetReached' satisfies FailureType) && (last || failure.final === true);
}
