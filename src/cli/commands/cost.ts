import { type Command, Option } from 'commander';
import type { CadreCost, CostChain, TaskCost } from '../../client/costs';
import { COST_KEYS, type Cost, type CostKey } from '../../core/cost';
import { inputInvalid } from '../../core/failures';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { type Output, count, stamp } from '../output';
import { openSession } from '../session';
import { dollars } from '../usage-words';
import { parseWhen } from '../when';

interface CostFlags extends CommonFlags {
  readonly by?: CostKey;
  readonly since?: string;
}

export function costCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('cost')
      .description('what calls of models came to: of one task by step, agent and model; else of all tasks')
      .argument('[id]', "a task's or saga's id; left out: all that the server still has")
      .addOption(
        new Option('--by <what>', 'of all tasks: by what to add up (default: agent)').choices(COST_KEYS),
      )
      .option('--since <when>', 'of all tasks: those that run, or ended since: a time in UTC, or such as 7d'),
  ).action((id: string | undefined, flags: CostFlags) =>
    execute(flags, (output) => (id === undefined ? ofAll(flags, output) : ofTask(id, flags, output))),
  );
}

async function ofTask(id: string, { by, since, ...flags }: CostFlags, output: Output): Promise<number> {
  if (by !== undefined) throw inputInvalid('--by', 'given without an id', by);
  if (since !== undefined) throw inputInvalid('--since', 'given without an id', since);
  const session = await openSession(flags);
  try {
    const cost = await session.client.task(id).cost();
    output.value(cost);
    writeTask(cost, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function writeTask(cost: TaskCost, output: Output): void {
  const { id, running, total, chain, unread } = cost;
  if (total.calls > 0) writeCalls(cost, output);
  else output.line(`No call of a model in ${id}${running ? ', as far as its steps have ended' : ''}.`);
  if (unread.length > 0) {
    output.line(
      `  What ${unread.join(', ')} used may be missing: cut off, and the artifact store here (CADRE_ARTIFACTS) has no record of it.`,
    );
  }
  if (chain !== undefined && chain.total.calls > 0) writeChain(id, chain, output);
}

function writeCalls({ id, running, steps, agents, models, total }: TaskCost, output: Output): void {
  output.line(`${output.paint('bold', id)}  ${words(total)}`);
  output.table([
    ['STEP', 'AGENT', 'MODEL', ...COLUMNS],
    ...steps.map(({ step, agent, ...cost }) => [step, agent, cost.key, ...cells(cost)]),
  ]);
  if (agents.length > 1) writeCosts('AGENT', agents, output);
  if (models.length > 1) writeCosts('MODEL', models, output);
  const unpriced = models.filter((model) => model.unpriced === true).map(({ key }) => key);
  writeNotes(total, unpriced, output);
  if (running) output.line('  It runs: what its present steps use is counted when they end.');
}

/** Each task by what is new in it, then what they are together. */
function writeChain(id: string, { tasks, total }: CostChain, output: Output): void {
  writeCosts('TASK', [...tasks, { ...total, key: 'in all' }], output);
  const ids = tasks.map(({ key }) => key);
  const [before, after] = [ids.slice(0, ids.indexOf(id)), ids.slice(ids.indexOf(id) + 1)];
  output.line();
  if (before.length > 0) {
    output.line(`  It goes on with ${before.join(', ')}: the calls there are in its numbers too.`);
  }
  if (after.length > 0) output.line(`  It goes on as ${after.join(', ')}: in all ${words(total)}.`);
}

async function ofAll({ by, since, ...flags }: CostFlags, output: Output): Promise<number> {
  const from = since === undefined ? {} : { since: parseWhen('--since', since, Date.now()) };
  const session = await openSession(flags);
  try {
    const cost = await session.client.cost({ ...from, ...(by === undefined ? {} : { by }) });
    output.value(cost);
    writeAll(cost, session.config.cadre, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function writeAll(
  { by, since, costs, total, tasks, unread }: CadreCost,
  cadre: string,
  output: Output,
): void {
  const when = since === undefined ? '' : ` since ${stamp(since)}`;
  if (tasks === 0) output.line(`No task of the cadre "${cadre}" has called a model${when}.`);
  else {
    output.line(`${count(tasks, 'task')} of ${cadre}${when}: ${words(total)}`);
    writeCosts(by.toUpperCase(), costs, output);
    const unpriced = costs.filter((cost) => cost.unpriced === true).map(({ key }) => key);
    writeNotes(total, by === 'model' ? unpriced : [], output);
  }
  if (unread.length > 0) {
    output.line(`  Without ${count(unread.length, 'task')} that run or were cut off, too many to read.`);
  }
}

const COLUMNS = ['CALLS', 'INPUT', 'CACHED', 'OUTPUT', 'COST'] as const;

function writeCosts(what: string, costs: readonly Cost[], output: Output): void {
  output.table([[what, ...COLUMNS], ...costs.map((cost) => [cost.key, ...cells(cost)])]);
}

function cells(cost: Cost): string[] {
  const { calls, inputTokens, cachedTokens, outputTokens } = cost;
  return [...[calls, inputTokens, cachedTokens, outputTokens].map(grouped), money(cost)];
}

function money({ microUsd, unpriced }: Cost): string {
  if (unpriced !== true) return dollars(microUsd);
  return microUsd === 0 ? 'price unknown' : `${dollars(microUsd)} and more`;
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

function words(total: Cost): string {
  return [count(total.calls, 'call'), tokenWords(total.tokens), money(total)].join(', ');
}

function tokenWords(tokens: number): string {
  return `${grouped(tokens)} ${tokens === 1 ? 'token' : 'tokens'}`;
}

/** What is to be known of the numbers. `models`: those without a price, where they are known. */
function writeNotes(total: Cost, models: readonly string[], output: Output): void {
  const notes = [
    ...(total.unseen === 0 ? [] : [unseenNote(total)]),
    ...(total.unpriced !== true ? [] : [unpricedNote(models)]),
  ];
  if (notes.length > 0) output.line();
  for (const note of notes) output.line(`  ${note}`);
}

/** Whether their tokens went in or out, nobody knows. */
function unseenNote({ unseen, tokens, inputTokens, outputTokens }: Cost): string {
  const neither = tokens - inputTokens - outputTokens;
  const [who, counts] = unseen === 1 ? ['it', 'it counts'] : ['they', 'they count'];
  const where = neither > 0 ? `, ${tokenWords(neither)} that stand under neither INPUT nor OUTPUT` : '';
  return `Nobody saw the end of ${count(unseen, 'call')}: ${counts} with the most that ${who} may have cost${where}.`;
}

function unpricedNote(models: readonly string[]): string {
  return models.length === 0
    ? 'The price of a model is not known: cadre cost --by model says of which.'
    : `The price of ${models.join(', ')} is not known: give it in the file of CADRE_PRICES, for calls from then on.`;
}
