/** The accounts of a cadre's budgets on the server: tells them, asks them, lists them. */
import { type Client, WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import {
  type AccountExchange,
  type AccountReply,
  type AccountState,
  newAccount,
} from '../core/budget/account';
import { accountMemo, readAccountMemo, validAccount } from '../core/budget/start';
import { type AccountRow, accountRows, shortfallMessage } from '../core/budget/words';
import { failureInfo } from '../core/failure-info';
import { CadreError, isCadreError, isFailureType } from '../core/failures';
import { BUDGET_WORKFLOW, EXCHANGE_UPDATE, budgetId, taskQueue } from '../core/names';
import { accountQuery } from '../workflows/messages';
import { GRPC_STATUS, answers, hasStatus, isNotFound } from './grpc-status';

/** How long an account may take to answer, in ms. */
const TIME_LIMIT = 5000;
/** What an update waits for where the worker that had the account's workflow is gone; Temporal's default is 10 s. */
const WORKFLOW_TASK_TIMEOUT = 2000;

/** An account as a person sees it. Times are in ms since 1970. */
export interface AccountStanding {
  /** `cadre`, `agent.NAME` or `task.HASH`. */
  readonly account: string;
  /** When it was asked. */
  readonly asOf: number;
  /** The day (UTC) that it is of, such as `2026-01-31`; absent for a task's, and for one that nobody has asked yet. */
  readonly day?: string;
  /** A row a unit that has a limit or was used. Money is in US dollars. */
  readonly rows: readonly AccountRow[];
  /** How often something did not fit. */
  readonly refused: number;
  /** What did not fit last, and when; absent where nothing did since the limits were changed. */
  readonly short?: { readonly at: number; readonly message: string };
  /** Id of its workflow. */
  readonly workflow: string;
  /** Whether that runs: it begins when somebody uses of the budget, and ends when it is needed no more. */
  readonly running: boolean;
  readonly state: AccountState;
}

/** The accounts of one cadre, on the server of `client`. */
export class TemporalBudgets {
  constructor(
    private readonly client: Client,
    private readonly cadre: string,
  ) {}

  /**
   * Tells the account, which is started where it is not there. To tell it the same again is harmless. Throws InputInvalid
   * where it takes no such message; rejects where it does not answer in 5 s.
   */
  async exchange(account: string, message: AccountExchange): Promise<AccountReply> {
    const start = new WithStartWorkflowOperation(BUDGET_WORKFLOW, {
      workflowId: budgetId(this.cadre, validAccount(account)),
      taskQueue: taskQueue(this.cadre),
      args: [{ account }],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      memo: { ...accountMemo(account) },
      staticSummary: `budget ${account}`,
    });
    try {
      return await this.client.withDeadline(Date.now() + TIME_LIMIT, () =>
        this.client.workflow.executeUpdateWithStart<never, AccountReply, [AccountExchange]>(EXCHANGE_UPDATE, {
          args: [message],
          updateId: `${message.worker}/${message.turn}`,
          startWorkflowOperation: start as WithStartWorkflowOperation<never>,
        }),
      );
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
        const { type, message: reason } = failureInfo(error.cause);
        throw isFailureType(type) ? new CadreError(type, reason, { cause: error }) : error;
      }
      throw error;
    }
  }

  /** The account; of one that nobody has used yet nothing is. Throws InputInvalid, NoWorker, ServerUnreachable. */
  async read(account: string): Promise<AccountStanding> {
    const handle = this.client.workflow.getHandle(budgetId(this.cadre, validAccount(account)));
    const asOf = Date.now();
    const unused = (): AccountStanding => this.standing(newAccount(account), { asOf, running: false });
    try {
      const deadline = asOf + TIME_LIMIT;
      const { status } = await this.client.withDeadline(deadline, () => handle.describe());
      if (status.name !== 'RUNNING') return unused();
      const state = await this.client.withDeadline(deadline, () =>
        handle.query<AccountState>(accountQuery.name),
      );
      return this.standing(state, { asOf, running: true });
    } catch (error) {
      if (isNotFound(error)) return unused();
      if (isCadreError(error)) throw error;
      if (!(await answers(this.client))) {
        throw new CadreError('ServerUnreachable', 'Lost the Temporal server', { cause: error });
      }
      const message = `No worker that runs workflows answers for the budget "${account}"`;
      throw new CadreError('NoWorker', message, { cause: error });
    }
  }

  /** All that are in use: the cadre's, its agents', its tasks'. About a second behind. Throws as {@link read} does. */
  async list(): Promise<AccountStanding[]> {
    // A server that is away is else asked for half a minute.
    const accounts = await this.client.withDeadline(Date.now() + TIME_LIMIT, () => this.running());
    const standings = await Promise.all([...new Set(accounts)].map((account) => this.read(account)));
    return standings.filter(({ running }) => running).sort((a, b) => (a.account < b.account ? -1 : 1));
  }

  private async running(): Promise<string[]> {
    const query = `WorkflowType = "${BUDGET_WORKFLOW}" AND TaskQueue = "${taskQueue(this.cadre)}" AND ExecutionStatus = "Running"`;
    const found: string[] = [];
    try {
      for await (const { memo } of this.client.workflow.list({ query })) {
        const account = readAccountMemo(memo);
        if (account !== undefined) found.push(account);
      }
    } catch (error) {
      // The test server whose clock skips waits lists nothing.
      if (!hasStatus(error, GRPC_STATUS.unimplemented)) throw error;
    }
    return found;
  }

  private standing(
    state: AccountState,
    { asOf, running }: Pick<AccountStanding, 'asOf' | 'running'>,
  ): AccountStanding {
    const { account, day, refused, short } = state;
    return {
      account,
      asOf,
      ...(day === undefined ? {} : { day }),
      rows: accountRows(state),
      refused,
      ...(short === undefined ? {} : { short: { at: short.at, message: shortfallMessage(short) } }),
      workflow: budgetId(this.cadre, account),
      running,
      state,
    };
  }
}
