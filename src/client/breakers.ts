/** The breakers of a cadre on the server: tells them, asks them, commands them, lists and watches them. */
import { type Client, WithStartWorkflowOperation } from '@temporalio/client';
import { type BreakerPhase, type BreakerState, evolveBreaker, newBreaker } from '../core/breaker/breaker';
import { nextProbeAt, whyWords } from '../core/breaker/details';
import {
  type BreakerCommand,
  type BreakerReply,
  type BreakerReport,
  readCommand,
} from '../core/breaker/report';
import { type BreakerMemo, breakerMemo, readBreakerMemo } from '../core/breaker/start';
import { validKey } from '../core/key';
import { BREAKER_WORKFLOW, OPERATE_UPDATE, REPORT_UPDATE, breakerId, breakersQueue } from '../core/names';
import type { OpenBreaker } from '../core/policy';
import { type BreakerAnswer, breakerQuery } from '../workflows/messages';
import { isNotFound } from './grpc-status';
import { memosOf } from './listed';
import { unanswered } from './no-worker';
import { refusedUpdate } from './refused-update';
import { type WatchOptions, watchChanges } from './watch';

/** A call waits no longer than so for the fleet's breaker, in ms. */
const REPORT_TIME_LIMIT = 500;
/** How long a command or a query may take, in ms. */
const COMMAND_TIME_LIMIT = 5000;
/** What an update waits for where the worker that had the breaker's workflow is gone; Temporal's default is 10 s. */
const WORKFLOW_TASK_TIMEOUT = 2000;

/** A breaker as a person sees it. Times are in ms since 1970. */
export interface BreakerStanding {
  readonly key: string;
  /** When it was asked: what it did later is not in here. */
  readonly asOf: number;
  readonly kind: BreakerPhase['kind'];
  /** In words: which rate, of how many calls, the last error, or the note of whoever did it. */
  readonly why: string;
  /** When it came into this state; absent where it never left it. */
  readonly since?: number;
  /** From when it may be probed; in the past where the next call will. Absent where it is closed, or left by hand alone. */
  readonly nextProbeAt?: number;
  /** When its provider may be called again, where that asked for a pause. */
  readonly pacedUntil?: number;
  /** How many calls were refused, as far as workers have told. */
  readonly refused: number;
  /** How often it opened by itself. */
  readonly opened: number;
  /** Id of its workflow. */
  readonly workflow: string;
  /** Whether that runs: it begins when somebody needs the breaker, and ends when it has been closed and quiet for a while. */
  readonly running: boolean;
  readonly state: BreakerState;
}

/** The breakers of one cadre, on the server of `client`. */
export class TemporalBreakers {
  constructor(
    private readonly client: Client,
    private readonly cadre: string,
  ) {}

  /** Tells the breaker of `key`, which is started where it is not there. Rejects where it does not answer in 500 ms. */
  report(key: string, report: BreakerReport): Promise<BreakerReply> {
    return this.update<BreakerReply>(REPORT_UPDATE, key, report, REPORT_TIME_LIMIT);
  }

  /** Throws InputInvalid where the breaker does not take it, NoWorker where none runs it, ServerUnreachable. */
  async command(key: string, command: BreakerCommand): Promise<BreakerStanding> {
    checkCommand(key, command);
    const asOf = Date.now();
    try {
      const state = await this.update<BreakerState>(OPERATE_UPDATE, key, command, COMMAND_TIME_LIMIT);
      return this.standing({ key, state }, { asOf, running: true });
    } catch (error) {
      const more = '; the command may still take effect once one does';
      throw refusedUpdate(error) ?? (await unanswered(error, this.client, `the breaker "${key}"`, more));
    }
  }

  /** The breaker of `key`; one that nobody has needed yet is closed. Throws InputInvalid, NoWorker. */
  async read(key: string): Promise<BreakerStanding> {
    const handle = this.client.workflow.getHandle(breakerId(this.cadre, validKey('breaker', key)));
    const asOf = Date.now();
    try {
      const deadline = asOf + COMMAND_TIME_LIMIT;
      const { status } = await this.client.withDeadline(deadline, () => handle.describe());
      if (status.name !== 'RUNNING') {
        return this.standing({ key, state: newBreaker() }, { asOf, running: false });
      }
      const answer = await this.client.withDeadline(deadline, () =>
        handle.query<BreakerAnswer>(breakerQuery.name),
      );
      return this.standing(answer, { asOf, running: true });
    } catch (error) {
      if (isNotFound(error)) return this.standing({ key, state: newBreaker() }, { asOf, running: false });
      throw await unanswered(error, this.client, `the breaker "${key}"`);
    }
  }

  /** All that somebody has needed lately, those that are not closed first. About a second behind. */
  async list(): Promise<BreakerStanding[]> {
    // A server that is away is else asked for half a minute.
    const known = await this.client.withDeadline(Date.now() + COMMAND_TIME_LIMIT, () => this.running());
    const standings = await Promise.all(known.map(({ key }) => this.read(key)));
    const rank = ({ kind }: BreakerStanding): number => (kind === 'closed' ? 1 : 0);
    return standings.sort((a, b) => rank(a) - rank(b) || (a.key < b.key ? -1 : 1));
  }

  /** The keys of those that are not closed, and how they stand. About a second behind. Needs no worker. */
  async notClosed(): Promise<OpenBreaker[]> {
    return (await this.running()).filter(({ kind }) => kind !== 'closed');
  }

  /** What the memos say of all that run. */
  private running(): Promise<BreakerMemo[]> {
    return memosOf(this.client, BREAKER_WORKFLOW, breakersQueue(this.cadre), readBreakerMemo);
  }

  private update<Answer>(
    name: string,
    key: string,
    message: BreakerReport | BreakerCommand,
    timeLimit: number,
  ): Promise<Answer> {
    const workflowId = breakerId(this.cadre, validKey('breaker', key));
    const start = new WithStartWorkflowOperation(BREAKER_WORKFLOW, {
      workflowId,
      taskQueue: breakersQueue(this.cadre),
      args: [{ key }],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      memo: { ...breakerMemo({ key, state: newBreaker() }) },
      staticSummary: `breaker ${key}`,
    });
    return this.client.withDeadline(Date.now() + timeLimit, () =>
      this.client.workflow.executeUpdateWithStart<never, Answer, [BreakerReport | BreakerCommand]>(name, {
        args: [message],
        startWorkflowOperation: start as WithStartWorkflowOperation<never>,
      }),
    );
  }

  private standing(
    { key, state }: BreakerAnswer,
    { asOf, running }: Pick<BreakerStanding, 'asOf' | 'running'>,
  ): BreakerStanding {
    const now = Date.now();
    const { phase, refused, opened, pacedUntil = 0 } = state;
    const next = nextProbeAt(state, now);
    return {
      key,
      asOf,
      kind: phase.kind,
      why: whyWords(state, now),
      ...(phase.since === 0 ? {} : { since: Math.ceil(phase.since) }),
      ...(next === undefined ? {} : { nextProbeAt: Math.ceil(next) }),
      ...(pacedUntil > now ? { pacedUntil } : {}),
      refused,
      opened,
      workflow: breakerId(this.cadre, key),
      running,
      state,
    };
  }
}

/**
 * The list at first, and whenever a breaker comes or goes, changes its state, opens anew, or is paced until another time.
 * Looks every `interval` ms (default 500).
 */
export function watchBreakers(
  breakers: TemporalBreakers,
  options: WatchOptions = {},
): AsyncGenerator<BreakerStanding[]> {
  return watchChanges(
    () => breakers.list(),
    (standings) => standings.map(({ key, kind, since, pacedUntil }) => [key, kind, since, pacedUntil]),
    options,
  );
}

/** Throws InputInvalid where no breaker, however it stands, would take `command`. Asks nobody. */
export function checkCommand(key: string, command: BreakerCommand): void {
  validKey('breaker', key);
  const closed = newBreaker();
  const isolated = evolveBreaker(closed, { type: 'isolated', at: 0, note: '' });
  readCommand(command, command.how === 'release' ? isolated : closed);
}
