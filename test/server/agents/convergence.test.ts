// Five agents on a real server whose workflow processes are killed, and whose messages come twice, late and out of order, while every replica goes on in new runs all the time.
import { setTimeout as delay } from 'node:timers/promises';
import type { Remember } from '../../../src/core/agent/agent-messages';
import type { Member } from '../../../src/core/agent/members';
import { AgentReplicas, gossipRate, rememberOf, runsOf } from '../../support/agent-replicas';
import { rebuildProblems } from '../../support/agent-rebuild';
import { until } from '../../support/cli';
import { OperationLedger, keyOf } from '../../support/operation-ledger';
import { Random } from '../../support/random';

const AGENTS = ['ada', 'ben', 'cyd', 'dov', 'eve'];
const SEED = Number(process.env['SEED'] ?? 5);
/** Messages of a round, each of another task. */
const ROUND_MESSAGES = 100;
/** In the midst of which rounds the process that runs the workflows is killed. */
const KILLS = [2, 4];
/** There are more where replicas have gone on in new runs less often than they must. */
const ROUNDS_MINIMUM = 6;
const CONTINUED_MINIMUM = 5;
const OPERATIONS_MAXIMUM = 5;
/** Between two messages, in ms: 40 a second. */
const PACE = 25;
/** A run ends soon after so many events. */
const RUN_EVENTS = 40;

interface Sending {
  /** Its place in the order; the later of a message that comes twice has one of its own. */
  readonly at: number;
  readonly member: Member;
  readonly message: Remember;
  readonly isRepeated: boolean;
}

let cadre: AgentReplicas;
beforeAll(async () => {
  cadre = await AgentReplicas.start({
    agents: AGENTS.map((name) => ({ name })),
    settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: RUN_EVENTS }],
  });
  await cadre.worker(['agents']);
}, 60_000);
afterAll(() => cadre.close());

const ledger = new OperationLedger(SEED);
const random = new Random(SEED);

let messages = 0;

/** The messages of a round: a fifth of them comes twice, and a tenth late. */
function sendings(): Sending[] {
  const all = Array.from({ length: ROUND_MESSAGES }, (_none, index) => {
    const count = Math.ceil(random.between(0, OPERATIONS_MAXIMUM));
    const id = `task ${messages++}`;
    const decision = { type: 'noted', rationale: id, task: id, step: 'note' };
    const operations = Array.from({ length: count }, () => ledger.draw());
    const at = index + (random.between(0, 1) < 0.1 ? random.between(2, 40) : 0);
    const message = rememberOf(id, operations, { decisions: [decision] });
    return { at, member: random.oneOf(AGENTS), message, isRepeated: false };
  });
  const repeated = all
    .filter(() => random.between(0, 1) < 0.2)
    .map((one) => ({ ...one, at: one.at + random.between(0, 60), isRepeated: true }));
  return [...all, ...repeated].sort((a, b) => a.at - b.at);
}

test(`${AGENTS.length} agents lose and double nothing (seed ${SEED})`, async () => {
  let host = await cadre.worker(['workflows']);
  const told: Sending[] = [];
  const sent: Promise<void>[] = [];
  let restarted = Promise.resolve();
  for (let round = 1; round <= ROUNDS_MINIMUM || !(await areContinued()); round += 1) {
    for (const [place, sending] of sendings().entries()) {
      told.push(sending);
      sent.push(send(sending));
      if (place % 15 === 14) sent.push(remove(told.slice(-100, -40)));
      if (KILLS.includes(round) && place === ROUND_MESSAGES / 2) {
        host.kill('SIGKILL');
        restarted = restarted.then(async () => void (host = await cadre.worker(['workflows'])));
      }
      await delay(PACE);
    }
  }
  await restarted;
  await Promise.all(sent);

  const milliseconds = await cadre.converged(AGENTS.length);
  const facts = await Promise.all(AGENTS.map((name) => cadre.factsOf(name)));
  const rates = facts.map((one) => gossipRate(one));
  report({
    'ms to agree after the last message': milliseconds,
    operations: ledger.count,
    removals,
    runs: facts.map((one) => runsOf(one).length),
    'gossip a second': rates.map(({ mean }) => Number(mean.toFixed(1))),
    'most gossip in a second': rates.map(({ most }) => most),
    'most events of a run': await Promise.all(
      AGENTS.map(async (name) => Math.max(...(await cadre.eventsPerRun(name)))),
    ),
  });
  expect(milliseconds).toBeLessThan(10_000);
  for (const name of AGENTS) {
    expect(ledger.problemsOf(await cadre.client.knowledge(name))).toEqual([]);
  }
  for (const one of facts) expect(runsOf(one).length).toBeGreaterThan(CONTINUED_MINIMUM);

  const { replicas } = await cadre.client.checkKnowledge();
  const [first, ...others] = replicas.map(({ versionVector }) => versionVector);
  for (const other of others) expect(other).toEqual(first);
  // Each operation has a dot, and each replica one for its joining; a removal may find nothing left to remove.
  const dots = Object.values(first ?? {}).reduce((sum, count) => sum + count, 0);
  expect(dots).toBeLessThanOrEqual(ledger.count + AGENTS.length);
  expect(dots).toBeGreaterThanOrEqual(ledger.count + AGENTS.length - removals);
}, 180_000);

test('every decision is counted once', async () => {
  const decided: string[] = [];
  for (const name of AGENTS) {
    const { decided: count, remembered } = await cadre.client.agent(name);
    const texts: string[] = [];
    for await (const { rationale } of cadre.client.agentDecisions(name)) texts.push(rationale);
    expect(texts).toHaveLength(count);
    expect(remembered).toBeGreaterThanOrEqual(count);
    decided.push(...texts);
  }
  const ids = Array.from({ length: messages }, (_none, index) => `task ${index}`);
  expect(decided.sort()).toEqual(ids.sort());
});

test('no workflow task fails', async () => {
  for (const name of AGENTS) expect(await cadre.failedWorkflowTasks(name)).toEqual([]);
});

test('the state folds to the same from every checkpoint', async () => {
  for (const name of AGENTS) {
    const { problems, compared } = rebuildProblems(await cadre.factsOf(name));
    expect(problems).toEqual([]);
    expect(compared).toBeGreaterThan(30);
  }
});

async function areContinued(): Promise<boolean> {
  const facts = await Promise.all(AGENTS.map((name) => cadre.factsOf(name)));
  return facts.every((one) => runsOf(one).length > CONTINUED_MINIMUM);
}

async function send({ member, message, isRepeated }: Sending): Promise<void> {
  await tell(member, message);
  if (!isRepeated) ledger.acknowledge(message.operations);
}

/** As a task does it: what is refused is sent again. A run that ends as its worker dies refuses for some seconds. */
async function tell(member: Member, message: Remember): Promise<void> {
  const isTold = (): Promise<boolean> =>
    cadre.replicas.remember(member, message).then(
      () => true,
      () => false,
    );
  await until(isTold);
}

let removals = 0;

/** Has a replica remove something that it was told a while ago, if a worker says what it has of it. */
async function remove(told: readonly Sending[]): Promise<void> {
  const candidates = told.flatMap(({ member, message, isRepeated }) =>
    isRepeated
      ? []
      : message.operations.flatMap((operation) => {
          const key = keyOf(operation);
          const unique = operation.name === 'facts' || operation.name === 'owners';
          return key !== undefined && unique ? [{ member, operation, key }] : [];
        }),
  );
  if (candidates.length === 0) return;
  const { member, operation, key } = random.oneOf(candidates);
  const dots = await cadre.dotsOf(member, operation).then(
    (all) => all.get(key),
    () => undefined,
  );
  if (dots === undefined) return;
  const { type, name } = operation;
  const removal = { type, name, remove: key, dots } as Remember['operations'][number];
  await tell(member, rememberOf(`removal ${(removals += 1)}`, [removal]));
  ledger.acknowledge([removal]);
}

function report(measured: Record<string, unknown>): void {
  process.stderr.write(`convergence: ${JSON.stringify(measured)}\n`);
}
