/**
 * One worker's way to one account. Owns the order of what it tells: one message at a time, which carries all that came
 * meanwhile, and is sent again, as it is, until it is answered.
 */
import { backoff } from '../../core/backoff';
import {
  type AccountExchange,
  type AccountOperation,
  type AccountReply,
  OPERATIONS_MAXIMUM,
  type Shortfall,
} from '../../core/budget/account';
import type { BudgetLine } from '../../core/budget/budget';
import { isOperation } from '../../core/budget/start';
import { inputInvalid, isCadreError } from '../../core/failures';

/** Where the account is told. Rejects where it does not answer in time; InputInvalid where it takes no such message. */
export type TellAccount = (account: string, message: AccountExchange) => Promise<AccountReply>;

/** What a local account takes from its surroundings. */
export interface AccountSurroundings {
  /** Of this worker alone. */
  readonly worker: string;
  /** A number that is greater each time. */
  readonly turn: () => number;
  /** Resolves in so many ms; must not keep the process alive. */
  readonly wait: (milliseconds: number) => Promise<void>;
}

interface Waiting {
  readonly operation: AccountOperation;
  readonly answer: (short: Shortfall | undefined) => void;
  readonly fail: (error: unknown) => void;
}

/** The waits between tries, in ms. */
const RETRY_INITIAL = 50;
const RETRY_MAXIMUM = 2000;

export class LocalAccount {
  private waiting: Waiting[] = [];
  private busy = false;

  constructor(
    private line: BudgetLine,
    private readonly tell: TellAccount,
    private readonly around: AccountSurroundings,
    /** Called when there is nothing more to tell. */
    private readonly idle: () => void,
  ) {}

  /** Resolves with why it did not fit, or undefined once it is done. Rejects where the account takes no such message. */
  ask(line: BudgetLine, operation: AccountOperation): Promise<Shortfall | undefined> {
    // The account would take none of a message with it, and the others of that are other tasks'.
    if (!isOperation(operation)) {
      return Promise.reject(inputInvalid('what is charged', 'whole numbers, 0 or more', operation));
    }
    if (line.revision >= this.line.revision) this.line = line;
    const answered = new Promise<Shortfall | undefined>((answer, fail) => {
      this.waiting.push({ operation, answer, fail });
    });
    if (!this.busy) void this.exchange();
    return answered;
  }

  /** Never rejects: what fails is told to those who asked. */
  private async exchange(): Promise<void> {
    this.busy = true;
    // What is asked side by side goes together.
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const batch = this.waiting.slice(0, OPERATIONS_MAXIMUM);
      this.waiting = this.waiting.slice(OPERATIONS_MAXIMUM);
      await this.send(batch);
    }
    this.busy = false;
    this.idle();
  }

  private async send(batch: readonly Waiting[]): Promise<void> {
    const { account, limits, revision } = this.line;
    const { worker, turn, wait } = this.around;
    const operations = batch.map(({ operation }) => operation);
    const message: AccountExchange = { worker, turn: turn(), limits, revision, operations };
    for (let failures = 1; ; failures += 1) {
      try {
        const { short } = await this.tell(account, message);
        for (const [index, { answer }] of batch.entries()) answer(short[index]);
        return;
      } catch (error) {
        if (isCadreError(error) && error.type === 'InputInvalid') {
          for (const { fail } of batch) fail(error);
          return;
        }
        await wait(backoff(failures, RETRY_INITIAL, RETRY_MAXIMUM));
      }
    }
  }
}
