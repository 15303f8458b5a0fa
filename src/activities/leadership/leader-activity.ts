import { Context } from '@temporalio/activity';
import type { Decision } from '../../core/decision';
import type { Envelope } from '../../core/envelope';
import { CadreError } from '../../core/failures';
import { INLINE_MAXIMUM_BYTES, type Stored } from '../../core/stored';
import type { ArtifactStore } from '../../storage/artifact-store';
import { store } from '../../storage/stored-values';
import { runAgent } from '../agent-activity';
import { type Attempt, startAttempt } from '../attempt';
import type { AnyAgent } from '../define-agent';
import type { LeaderAgent, QueueStatus } from './roster';

/** What a worker leads by: the term it was granted, and whether it still holds it. */
export interface LeaderTerm {
  readonly term: number;
  /** False once the lease was not renewed in time, whatever the server says. */
  readonly held: () => boolean;
}

export interface LeaderDependencies extends LeaderTerm {
  readonly cadre: string;
  readonly agents: ReadonlyMap<string, AnyAgent>;
  readonly artifacts: ArtifactStore;
  readonly queueStatus: QueueStatus;
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

type InTerm<Body> = Body & { readonly term: number; readonly decisions?: Stored<readonly Decision[]> };

/**
 * Makes an activity of `work`. It is given up at once when the leader hands over, whether or not an agent listens: the
 * next leader does it anew, and what a leader decides has no effect before it is recorded.
 */
export function leaderActivity<Request extends { readonly goal: string }, Body>(
  dependencies: LeaderDependencies,
  instruction: string,
  work: (request: Request, desk: LeaderDesk) => Promise<Body>,
): LeaderActivity<Request, InTerm<Body>> {
  const { term, agents, artifacts } = dependencies;
  return async (envelope, request) => {
    const activity = Context.current();
    const { goal } = request;
    const own: Envelope = { ...envelope, term };
    const attempt = startAttempt(activity, own, { goal, instruction }, artifacts);
    try {
      requireHeld(dependencies, envelope);
      const body = await orHandOver(activity, work(request, deskOf(agents, attempt)));
      requireHeld(dependencies, envelope);
      const { decisions } = attempt;
      if (decisions.length === 0) return { ...body, term };
      return { ...body, term, decisions: await store(artifacts, decisions, INLINE_MAXIMUM_BYTES) };
    } catch (error) {
      throw attempt.failure(error);
    } finally {
      attempt.stop();
    }
  };
}

/** A leader that was paused past its lease, or replaced, must not decide. */
function requireHeld({ term, held }: LeaderTerm, envelope: Envelope): void {
  if (held() && envelope.term <= term) return;
  throw new CadreError('HandedBack', `Term ${term} is over`, { details: { attemptsUsed: 0 } });
}

/** `work`'s result, unless the activity is cancelled before. */
async function orHandOver<Body>({ cancelled }: Context, work: Promise<Body>): Promise<Body> {
  work.catch(() => undefined);
  return Promise.race([work, cancelled]);
}

function deskOf(agents: ReadonlyMap<string, AnyAgent>, attempt: Attempt): LeaderDesk {
  return {
    has: (name) => agents.has(name),
    async ask(name, input) {
      const agent = agents.get(name);
      if (agent !== undefined) return runAgent(agent, input, attempt);
      throw new CadreError('AgentUnknown', `No agent is named "${name}"`);
    },
  };
}
