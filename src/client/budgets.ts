/** The accounts of a cadre's budgets on the server: tells them, asks them, lists them. */
import { type Client, WithStartWorkflowOperation } from '@temporalio/client';
import {
  type AccountExchange,
  type AccountReply,
  type AccountState,
  NOTHING_SPENT,
  isDaily,
  newAccount,
  plus,
} from '../core/budget/account';
import { taskAccount } from '../core/budget/budget';
import { accountMemo, readAccountMemo, validAccount } from '../core/budget/start';
import { type AccountRow, accountRows, shortfallMessage } from '../core/budget/words';
import {
  BUDGET_WORKFLOW,
  EXCHANGE_UPDATE,
  TASK_WORKFLOW,
  budgetId,
  resumeId,
  taskQueue,
} from '../core/names';
import { taskRoot } from '../core/task-projection';
import { accountQuery } from '../workflows/messages';
import { isNotFound } from './grpc-status';
import { listed, memosOf } from './listed';
import { unanswered } from './no-worker';
import { refusedUpdate } from './refused-update';

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
  /** Whose it is; absent where it is no task's, or the server does not list that. */
  readonly task?: AccountTask;
  /** The day (UTC) that it is of, such as `2026-01-31`; absent for a task's, and for one that nobody has asked yet. */
  readonly day?: string;
  /** A row a unit that has a limit or was used. Money is in US dollars. What a task that has ended set aside is `unseen`. */
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

/** The task of an account. */
export interface AccountTask {
  /** Without `.resume`, whatever goes on with it. */
  readonly id: string;
  /** Whether it runs, or what goes on with it does. */
  readonly running: boolean;
}

/** So many tasks are looked through for whose an account is: those that run, and the latest that have ended. */
const TASKS_MAXIMUM = 2000;

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
      throw refusedUpdate(error) ?? error;
    }
  }

  /** The account; of one that nobody has used yet nothing is. Throws InputInvalid, NoWorker, ServerUnreachable. */
  async read(account: string): Promise<AccountStanding> {
    const asked = await this.ask(account);
    return this.standing(asked, await this.tasksOf([account]));
  }

  /** {@link read}, without whose it is. */
  async state(account: string): Promise<AccountState> {
    return (await this.ask(account)).state;
  }

  private async ask(account: string): Promise<Asked> {
    const handle = this.client.workflow.getHandle(budgetId(this.cadre, validAccount(account)));
    const asOf = Date.now();
    const unused = (): Asked => ({ state: newAccount(account), asOf, running: false });
    try {
      const deadline = asOf + TIME_LIMIT;
      const { status } = await this.client.withDeadline(deadline, () => handle.describe());
      if (status.name !== 'RUNNING') return unused();
      const state = await this.client.withDeadline(deadline, () =>
        handle.query<AccountState>(accountQuery.name),
      );
      return { state, asOf, running: true };
    } catch (error) {
      if (isNotFound(error)) return unused();
      throw await unanswered(error, this.client, `the budget "${account}"`);
    }
  }

  /** All that are in use: the cadre's, its agents', its tasks'. About a second behind. Throws as {@link read} does. */
  async list(): Promise<AccountStanding[]> {
    // A server that is away is else asked for half a minute.
    const named = await this.client.withDeadline(Date.now() + TIME_LIMIT, () => this.running());
    const accounts = [...new Set(named)];
    const tasks = await this.tasksOf(accounts);
    const standings = await Promise.all(
      accounts.map(async (account) => this.standing(await this.ask(account), tasks)),
    );
    return standings.filter(({ running }) => running).sort((a, b) => (a.account < b.account ? -1 : 1));
  }

  /** Whose they are, by account. An account's name is a hash of its task's root. */
  private async tasksOf(accounts: readonly string[]): Promise<ReadonlyMap<string, AccountTask>> {
    const unknown = new Set(accounts.filter((account) => !isDaily(account)));
    const ids = new Map<string, string>();
    const open = new Set<string>();
    const query = `TaskQueue = "${taskQueue(this.cadre)}" AND WorkflowType = "${TASK_WORKFLOW}"`;
    let left = TASKS_MAXIMUM;
    // Those that run come first.
    for await (const execution of listed(this.client, { query, pageSize: 200 })) {
      if (unknown.size === 0 || left-- <= 0) break;
      const { workflowId, runId, status } = execution;
      if (status.name === 'RUNNING') open.add(firstOf(workflowId));
      const account = taskAccount(taskRoot(workflowId, runId));
      if (unknown.delete(account)) ids.set(account, workflowId);
    }
    return new Map([...ids].map(([account, id]) => [account, { id, running: open.has(firstOf(id)) }]));
  }

  private running(): Promise<string[]> {
    return memosOf(this.client, BUDGET_WORKFLOW, taskQueue(this.cadre), readAccountMemo);
  }

  private standing(
    { state, asOf, running }: Asked,
    tasks: ReadonlyMap<string, AccountTask>,
  ): AccountStanding {
    const { account, day, refused, short } = state;
    const task = tasks.get(account);
    return {
      account,
      asOf,
      ...(task === undefined ? {} : { task }),
      ...(day === undefined ? {} : { day }),
      rows: accountRows(task?.running === false ? afterEnd(state) : state),
      refused,
      ...(short === undefined ? {} : { short: { at: short.at, message: shortfallMessage(short) } }),
      workflow: budgetId(this.cadre, account),
      running,
      state,
    };
  }
}

/** What an account answered. */
type Asked = Pick<AccountStanding, 'asOf' | 'running' | 'state'>;

/** What its task had set aside is never seen to end; a step is done with once it is begun. */
function afterEnd(state: AccountState): AccountState {
  const { reserved, unseen } = state;
  const steps = { ...NOTHING_SPENT, steps: reserved.steps };
  return { ...state, reserved: steps, unseen: plus(unseen, { ...reserved, steps: 0 }) };
}

const RESUMED = resumeId('');

/** The id that a chain of tasks began with, of which each goes on with the one before. */
function firstOf(id: string): string {
  return id.endsWith(RESUMED) ? firstOf(id.slice(0, -RESUMED.length)) : id;
}
