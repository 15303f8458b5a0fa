import { Context } from '@temporalio/activity';
import type { Decision } from '../../core/decision';
import type { Envelope } from '../../core/envelope';
import { crossingFailure } from '../../core/failure-info';
import { CadreError } from '../../core/failures';
import { INLINE_MAXIMUM_BYTES, type Stored } from '../../core/stored';
import type { ArtifactStore } from '../../storage/artifact-store';
import { store } from '../../storage/stored-values';
import { READ_ONLY, runAgent } from '../agent-activity';
import { type Attempt, startAttempt } from '../attempt';
import type { Breakers } from '../breaker/breakers';
import { guarded } from '../breaker/guard';
import type { AnyAgent } from '../define-agent';
import type { Memory } from '../knowledge/memory';
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
  /** Absent where nothing is known. */
  readonly memory?: Memory | undefined;
}

/** Activity of the leader: an envelope and a request, to an outcome with the leader's term. */
export type LeaderActivity<Request, Outcome> = (envelope: Envelope, request: Request) => Promise<Outcome>;

/** One piece of the leader's work, under way. */
export interface LeaderDesk {
  /** True where the cadre has this agent of the leader's. */
  has(agent: LeaderAgent): boolean;
  /** Runs it on `input`, and returns its checked output. Throws AgentUnknown where there is none. */
  ask(agent: LeaderAgent, input: unknown): Promise<unknown>;
}

/** What every request of the leader's work has. `waited`: a breaker refused it before, and it has waited for that. */
interface LeaderRequest {
  readonly goal: string;
  readonly waited?: true;
}

type InTerm<Body> = Body & { readonly term: number; readonly decisions?: Stored<readonly Decision[]> };

/**
 * Makes an activity of `work`. It is given up at once when the term is over, whether or not an agent listens: the
 * next leader does it anew, and what a leader decides has no effect before it is recorded.
 */
export function leaderActivity<Request extends LeaderRequest, Body>(
  dependencies: LeaderDependencies,
  instruction: string,
  work: (request: Request, desk: LeaderDesk) => Promise<Body>,
): LeaderActivity<Request, InTerm<Body>> {
  const { artifacts } = dependencies;
  return async (envelope, request) => {
    const activity = Context.current();
    const lead = dependencies.term();
    if (lead === undefined || !lead.held() || lead.term < envelope.term) throw handedBack();
    const { term, over } = lead;
    const start = { goal: request.goal, instruction, signal: over };
    const attempt = startAttempt(activity, { ...envelope, term }, start, artifacts);
    try {
      const body = await beforeEnd(
        [activity.cancellationSignal, over],
        work(
          request,
          deskOf(dependencies, activity, attempt, { root: envelope.root, waited: request.waited === true }),
        ),
      );
      const { decisions } = attempt;
      const outcome =
        decisions.length === 0
          ? { ...body, term }
          : { ...body, term, decisions: await store(artifacts, decisions, INLINE_MAXIMUM_BYTES) };
      // A leader that was paused past its lease must not decide.
      if (!lead.held()) throw handedBack();
      return outcome;
    } catch (error) {
      throw over.aborted ? handedBack() : attempt.failure(error);
    } finally {
      attempt.stop();
    }
  };
}

function handedBack(): unknown {
  return crossingFailure(
    new CadreError('HandedBack', 'This worker does not lead any more', { details: { attemptsUsed: 0 } }),
  );
}

/** `work`'s result, unless one of `signals` aborts before. */
async function beforeEnd<Body>(signals: readonly AbortSignal[], work: Promise<Body>): Promise<Body> {
  work.catch(() => undefined);
  const signal = AbortSignal.any([...signals]);
  const ended = new AbortController();
  const end = new Promise<never>((_resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true, signal: ended.signal });
  });
  return Promise.race([work, end]).finally(() => ended.abort());
}

function deskOf(
  { agents, breakers, memory }: LeaderDependencies,
  activity: Context,
  attempt: Attempt,
  { root, waited }: { root: string; waited: boolean },
): LeaderDesk {
  return {
    has: (name) => agents.has(name),
    async ask(name, input) {
      const agent = agents.get(name);
      if (agent !== undefined) {
        const knowledge = memory?.learning(agent, root, READ_ONLY).knowledge;
        const context = { ...attempt.context, ...(knowledge === undefined ? {} : { knowledge }) };
        const act = (): Promise<unknown> => runAgent(agent, input, { ...attempt, context });
        const guard = breakers?.guardOf(agent);
        return guard === undefined ? act() : guarded(guard, activity, attempt, waited, act);
      }
      throw new CadreError('AgentUnknown', `No agent is named "${name}"`);
    },
  };
}
