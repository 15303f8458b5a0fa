/** Whether the cadre's replicas know the same once a task has ended: they hear of what it told one of them by gossip. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CrdtStanding, KnowledgeCheck } from '../client/agent-standing';
import type { TaskHandle } from '../client/task-handle';
import { memberFor } from '../core/agent/members';
import { agreementLine } from './agent-words';
import type { Output } from './output';
import type { Session } from './session';

/** How long replicas may take to agree, and the pause between two looks, in ms. */
const TIME_LIMIT = 2000;
const INTERVAL = 250;

/** What was found within {@link TIME_LIMIT}. */
export interface Agreement extends KnowledgeCheck {
  /** In ms. */
  readonly waited: number;
  /** What they know; empty where they do not agree. */
  readonly crdts: readonly CrdtStanding[];
}

/**
 * Waits until all replicas know the same, for 2 s at most. Undefined where `task` has told no agent of anything, and where
 * nobody has answered by then. Never rejects.
 */
export async function agreementAfter(
  task: TaskHandle,
  session: Session,
  signal: AbortSignal,
): Promise<Agreement | undefined> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(TIME_LIMIT)]);
  let last: Agreement | undefined;
  const looking = look(task, session, over, (found) => (last = found)).catch(() => undefined);
  const ended = new Promise<void>((resolve) => {
    if (over.aborted) resolve();
    over.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([looking, ended]);
  return last;
}

/** Tells `found` what each look has found, until all agree or `over` aborts. */
async function look(
  task: TaskHandle,
  { client, config }: Session,
  over: AbortSignal,
  found: (agreement: Agreement) => void,
): Promise<void> {
  const began = Date.now();
  const { root, agents } = await toldBy(task);
  const [first] = agents;
  if (first === undefined) return;
  // The server's list may not have those that the task has just started.
  const members = agents.map((name) => {
    const replicas = config.agents.find((agent) => agent.name === name)?.replicas ?? 1;
    return memberFor({ name, replicas }, root);
  });
  for (;;) {
    const check = await client.checkKnowledge({ members });
    if (check.replicas.length === 0) return;
    const agreement = { ...check, waited: Date.now() - began, crdts: [] };
    found(agreement);
    if (check.agree) {
      const { crdts } = await client.knowledge(first);
      return found({ ...agreement, crdts });
    }
    await delay(INTERVAL, undefined, { signal: over });
  }
}

/** The agents that `task` told of what they decided and learnt. */
async function toldBy(task: TaskHandle): Promise<{ root: string; agents: readonly string[] }> {
  let root = '';
  let agents: readonly string[] = [];
  for await (const event of task.events()) {
    if (event.type === 'taskStarted') ({ root } = event);
    if (event.type === 'taskResumed') ({ root } = event.snapshot);
    if (event.type === 'remembered') ({ agents } = event);
  }
  return { root, agents };
}

/** Says it in a line, as the end of what a run says. */
export function writeAgreement(agreement: Agreement, output: Output): void {
  const { agree, crdts } = agreement;
  output.line();
  output.line(
    agree
      ? `${output.paint('green', '✓')} ${agreementLine(agreement, crdts)}`
      : `${output.paint('yellow', '!')} ${agreementLine(agreement)} (see \`cadre knowledge --check\`)`,
  );
}

/** The same for a program. */
export function agreementValue({ agree, waited, replicas }: Agreement): Omit<Agreement, 'crdts'> {
  return { agree, waited, replicas };
}
