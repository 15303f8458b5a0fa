/**
 * One run of an account. Owns when it ends and when it goes on in a new run; what a message means is
 * `core/budget/account.ts`'s.
 *
 * 1. It has no timer that decides: what is a day old is looked at when somebody asks.
 * 2. It does not end while what it knows may matter: an account of a day until the day is over, a task's for
 *    {@link TASK_QUIET}, in which the task may wait for a person or be resumed.
 */
import {
  allHandlersFinished,
  condition,
  makeContinueAsNewFunc,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import {
  type AccountExchange,
  type AccountReply,
  type AccountState,
  current,
  exchange,
  isDaily,
} from '../core/budget/account';
import { type AccountStart, accountMemo, accountStart, readExchange } from '../core/budget/start';
import { accountDetails } from '../core/budget/words';
import { crossing } from '../core/failure-info';
import type { Resume } from '../core/resume';
import { sleepUnless } from './sleep-unless';

/** A replay costs 0.3 to 0.4 s per 1,000 events, and is paid at every cache loss. */
const HISTORY_MAXIMUM_EVENTS = 1000;
const HOUR = 60 * 60 * 1000;
const DAY = 24 * HOUR;
/** A task's account that has heard nothing for so long ends. No limit of a task's, an approval's or a question's time is longer. */
const TASK_QUIET = 400 * DAY;

export class BudgetRun {
  private account: AccountState;
  private heard = Date.now();

  constructor(start: unknown) {
    this.account = crossing(() => accountStart(start));
    this.show();
  }

  /** As it is now. */
  get state(): AccountState {
    return current(this.account, Date.now());
  }

  check(candidate: unknown): void {
    crossing(() => readExchange(candidate));
  }

  exchange(message: AccountExchange): AccountReply {
    this.heard = Date.now();
    const [after, reply] = exchange(this.account, readExchange(message), this.heard);
    this.account = after;
    this.show();
    return reply;
  }

  /** Ends when it is needed no more; goes on in a new run before the history grows long. */
  async execute(): Promise<void> {
    for (;;) {
      await sleepUnless(this.end() - Date.now(), 'ends if nobody asks', () => this.isLong());
      await condition(allHandlersFinished);
      if (this.isLong()) await this.continueAsNew();
      if (Date.now() >= this.end()) return;
    }
  }

  /** When it is needed no more, in ms since 1970: an account of a day an hour after its end. */
  private end(): number {
    if (!isDaily(this.account.account)) return this.heard + TASK_QUIET;
    return (Math.floor(this.heard / DAY) + 1) * DAY + HOUR;
  }

  private isLong(): boolean {
    return workflowInfo().historyLength >= HISTORY_MAXIMUM_EVENTS;
  }

  private continueAsNew(): Promise<never> {
    const { workflowId, runId } = workflowInfo();
    const resume: Resume<AccountState> = {
      snapshot: this.state,
      origin: { kind: 'continuedAsNew', workflowId, runId },
      overrides: {},
    };
    const memo = accountMemo(this.account.account);
    return makeContinueAsNewFunc<(start: AccountStart) => Promise<void>>({ memo })(resume);
  }

  private show(): void {
    setCurrentDetails(accountDetails(this.account));
  }
}
