/** The accounts that a worker's activities ask before they use something. */
import { createHash, randomUUID } from 'node:crypto';
import {
  type AccountOperation,
  type Asked,
  NOTHING_SPENT,
  type Shortfall,
  type Spent,
} from '../../core/budget/account';
import {
  type BudgetLine,
  CADRE_ACCOUNT,
  type DailyBudget,
  agentAccount,
  budgetReached,
  dailyLine,
} from '../../core/budget/budget';
import { type Envelope, idempotencyKey } from '../../core/envelope';
import { CadreError } from '../../core/failures';
import { type Amount, NOTHING } from '../../core/usage';
import type { Charge } from '../calls/charge';
import type { AnyAgent } from '../define-agent';
import { orAborted } from '../or-aborted';
import { type AccountSurroundings, LocalAccount, type TellAccount } from './local-account';

/** How long, in ms, something waits for an account that does not answer, before its attempt fails as NoWorker. */
const ANSWER_TIME_LIMIT = 30_000;
/** How long, in ms, a call and a worker that stops wait until the accounts have what was used last. */
const SETTLING_MAXIMUM = 2000;

/** An account takes no message of a worker after a later one: whoever tells it by itself is a worker of its own. */
function surroundings(): AccountSurroundings {
  let turn = 0;
  return {
    worker: randomUUID(),
    turn: () => (turn += 1),
    wait: (milliseconds) => new Promise((resolve) => void setTimeout(resolve, milliseconds).unref()),
  };
}

/** Where the calls and the step of one attempt are charged. */
export interface StepCharge extends Charge {
  /** Counts the step, once over all its attempts. Throws like {@link reserve}. */
  begin(): Promise<void>;
}

export class Budgets {
  private readonly accounts = new Map<string, LocalAccount>();
  private readonly settling = new Set<Promise<unknown>>();

  constructor(
    private readonly tell: TellAccount,
    /** What the whole cadre may use a day. */
    private readonly cadre: DailyBudget | undefined,
    private readonly around: AccountSurroundings = surroundings(),
  ) {}

  /**
   * Where an attempt of `agent` at the work of `envelope` is charged: the accounts of its task, of the task's parents, of the
   * agent and of the cadre, asked in that order. Undefined where nothing is limited. Undoing is not charged to the task: what
   * was done must not stay because of that. `signal` aborts when the attempt ends.
   */
  chargeOf(
    agent: Pick<AnyAgent, 'name' | 'budget'>,
    envelope: Envelope,
    signal: AbortSignal,
  ): StepCharge | undefined {
    const { lines = [] } = envelope.kind === 'undo' ? {} : (envelope.budget ?? {});
    const daily = [dailyLine(agentAccount(agent.name), agent.budget), dailyLine(CADRE_ACCOUNT, this.cadre)];
    const all = [...lines, ...daily.filter((line) => line !== undefined)];
    if (all.length === 0) return undefined;
    const step = hash(idempotencyKey(envelope));
    const calls = hash(`${step}/${agent.name}`);
    return {
      begin: async () => {
        if (envelope.kind !== 'act') return;
        const counting = all.filter(({ limits }) => limits.steps !== undefined);
        // Never given back: another attempt of the step may be under way, and it counts once over all of them.
        await this.reserve(counting, `${step}/step`, { ...NOTHING_SPENT, steps: 1 }, signal, () => undefined);
      },
      reserve: async (id, { unpriced, ...amount }: Asked, name = 'its model') => {
        const limiting = unpriced ? all.find(({ limits }) => limits.microUsd !== undefined) : undefined;
        if (limiting !== undefined) throw priceUnknown(agent, name, limiting);
        const own = `${calls}/${id}`;
        await this.reserve(all, own, { ...amount, steps: 0 }, signal, (asked) => {
          void this.settle(asked, own, NOTHING);
        });
      },
      settle: (id, used) => this.settle(all, `${calls}/${id}`, used),
    };
  }

  /** Resolves when the accounts have what was used last, or in 2 s. */
  async settled(): Promise<void> {
    await within(Promise.all(this.settling), SETTLING_MAXIMUM);
  }

  /** `giveBack` is called with those that have set it aside, or may yet, where it comes to nothing. */
  private async reserve(
    lines: readonly BudgetLine[],
    id: string,
    amount: Spent,
    signal: AbortSignal,
    giveBack: (lines: readonly BudgetLine[]) => void,
  ): Promise<void> {
    for (const [index, line] of lines.entries()) {
      const answer = answered(line, this.ask(line, { do: 'reserve', id, amount }), signal);
      const short = await answer.catch((error: unknown) => {
        // Told after what was asked, so that it holds also where that is not done yet.
        giveBack(lines.slice(0, index + 1));
        throw error;
      });
      if (short === undefined) continue;
      giveBack(lines.slice(0, index));
      throw budgetReached(short);
    }
  }

  private async settle(
    lines: readonly BudgetLine[],
    id: string,
    { tokens, microUsd, calls }: Amount,
  ): Promise<void> {
    const amount = { tokens, microUsd, calls, steps: 0 };
    const told = Promise.allSettled(lines.map((line) => this.ask(line, { do: 'settle', id, amount })));
    this.settling.add(told);
    void told.finally(() => this.settling.delete(told));
    await within(told, SETTLING_MAXIMUM);
  }

  private ask(line: BudgetLine, operation: AccountOperation): Promise<Shortfall | undefined> {
    const { account } = line;
    let local = this.accounts.get(account);
    if (local === undefined) {
      local = new LocalAccount(line, this.tell, this.around, () => this.accounts.delete(account));
      this.accounts.set(account, local);
    }
    return local.ask(line, operation);
  }
}

/** The answer, unless the attempt ends before, or it takes too long. */
async function answered(
  { account }: BudgetLine,
  answer: Promise<Shortfall | undefined>,
  signal: AbortSignal,
): Promise<Shortfall | undefined> {
  const first = await within(orAborted(answer, signal), ANSWER_TIME_LIMIT);
  if (first !== LATE) return first;
  throw new CadreError('NoWorker', `No worker that runs workflows answers for the budget "${account}"`);
}

const LATE = Symbol('late');

/** What `work` comes to, or {@link LATE} where that takes more than `limit` ms. */
async function within<Result>(work: Promise<Result>, limit: number): Promise<Result | typeof LATE> {
  let timer: NodeJS.Timeout | undefined;
  work.catch(() => undefined);
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(() => resolve(LATE), limit);
    timer.unref();
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function priceUnknown(
  { name }: Pick<AnyAgent, 'name'>,
  model: string,
  { account }: Pick<BudgetLine, 'account'>,
): CadreError {
  return new CadreError(
    'PriceUnknown',
    `The budget ${account} limits money, and the price of ${model}, which the agent "${name}" asks, is not known`,
  );
}
