import { setTimeout as delay } from 'node:timers/promises';
import { Argument, type Command } from 'commander';
import type { AgentStanding } from '../../client/agent-standing';
import type { DatedDecision } from '../../core/agent/agent-state';
import { inputInvalid } from '../../core/failures';
import { agentId, validName } from '../../core/names';
import { oneLine } from '../../core/one-line';
import { notToldWords, readIfTold } from '../agent-lookup';
import { concern, knownEntries, plain, replicaFacts } from '../agent-words';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { webUiLink } from '../links';
import { type Output, count, size, stamp, table } from '../output';
import { type Session, openSession } from '../session';
import { parseWhen } from '../when';

/** How many decisions are shown; `decisions` has all. */
const DECISIONS_SHOWN = 10;
const RATIONALE_MAXIMUM_LENGTH = 160;
/** How long an agent that leaves is followed, and how often it is looked at, in ms. */
const LEAVING_TIME_LIMIT = 10_000;
const LEAVING_INTERVAL = 100;

const VERBS = ['decisions', 'leave'] as const;
type Verb = (typeof VERBS)[number];

interface AgentFlags extends CommonFlags {
  readonly since?: string;
}

export function agentsCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('agents')
      .description('the agents that remember tasks: how many, what they decided, how much they know'),
  ).action((flags: CommonFlags) => execute(flags, (output) => list(flags, output)));
}

export function agentCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('agent')
      .description('what one agent has decided, and how its replicas stand; or have it leave')
      .argument('<name>', 'its name: see cadre agents')
      .addArgument(new Argument('[what]', 'left out: how it stands').choices(VERBS))
      .option('--since <when>', 'decisions since then: an ISO time (UTC), or how long ago, such as 2h'),
  ).action((name: string, what: Verb | undefined, flags: AgentFlags) =>
    execute(flags, (output) => agent(name, what, flags, output)),
  );
}

async function agent(
  name: string,
  what: Verb | undefined,
  flags: AgentFlags,
  output: Output,
): Promise<number> {
  validName('agent', name);
  if (flags.since !== undefined && what !== 'decisions') {
    throw inputInvalid('--since', 'given with `decisions`', flags.since);
  }
  if (what === 'decisions') return decisions(name, flags, output);
  return what === 'leave' ? leave(name, flags, output) : show(name, flags, output);
}

async function list(flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const standings = await session.client.agents();
    const configured = session.config.agents.map(({ name, replicas }) => ({ agent: name, replicas }));
    output.value({
      agents: standings.map(({ decisions: _last, ...rest }) => linked(rest, session)),
      configured,
    });
    if (standings.length > 0) writeTable(standings, session, output);
    else {
      output.line(
        `No agent of "${session.config.cadre}" remembers anything yet: a task tells its agents at its end what they decided and learnt (context.decide, context.knowledge).`,
      );
    }
    const untold = configured.filter((one) => !standings.some((standing) => standing.agent === one.agent));
    if (untold.length > 0) output.table([['NOT TOLD YET'], ...untold.map((one) => [one.agent])]);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function writeTable(standings: readonly AgentStanding[], session: Session, output: Output): void {
  const { length } = standings;
  output.line(
    `${output.paint('green', '✓')} ${count(length, 'agent')} of ${session.config.cadre} ${length === 1 ? 'remembers' : 'remember'} what tasks told`,
  );
  output.table([
    ['AGENT', 'TASKS', 'DECISIONS', 'LAST TOLD (UTC)', 'REPLICAS', 'KNOWS'],
    ...standings.map(row),
  ]);
  const concerns = standings.map(concern).filter((text) => text !== undefined);
  if (concerns.length === 0) return;
  output.line();
  for (const text of concerns) output.line(`${output.paint('yellow', '!')} ${text}`);
}

function row({ agent: name, remembered, decided, rememberedAt, replicas }: AgentStanding): string[] {
  // They come to know the same; meanwhile one knows most.
  const [largest] = replicas.toSorted((a, b) => b.bytes - a.bytes);
  return [
    name,
    String(remembered),
    String(decided),
    stamp(rememberedAt),
    String(replicas.length),
    largest === undefined ? '–' : `${knownEntries(largest)}, ${size(largest.bytes)}`,
  ];
}

/** A standing with the links to its replicas' workflows. */
function linked<Standing extends Pick<AgentStanding, 'replicas'>>(
  standing: Standing,
  { at }: Session,
): Standing {
  const replicas = standing.replicas.map((replica) => {
    const link = webUiLink(at, replica.workflow);
    return { ...replica, ...(link === undefined ? {} : { webUi: link }) };
  });
  return { ...standing, replicas };
}

async function show(name: string, flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const standing = await readIfTold(name, session, () => session.client.agent(name));
    if (standing === undefined) writeUntold(name, output);
    else {
      output.value(linked(standing, session));
      write(standing, session, output);
    }
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function writeUntold(name: string, output: Output): void {
  output.value({ agent: name, decisions: [], decided: 0, remembered: 0, replicas: [] });
  output.line(notToldWords(name));
}

function write(standing: AgentStanding, { at }: Session, output: Output): void {
  const { agent: name, remembered, decided, replicas } = standing;
  const counts = `${count(remembered, 'task')} remembered, ${count(decided, 'decision')}, ${count(replicas.length, 'replica')}`;
  output.line(`${output.paint('bold', name)}  ${counts}`);
  writeLastDecisions(standing, output);
  for (const replica of replicas) {
    const link = webUiLink(at, replica.workflow);
    output.line();
    output.line(`  ${replica.member}`);
    const facts = [...replicaFacts(replica), ...(link === undefined ? [] : [['Web UI', link]])];
    for (const line of table(facts)) output.line(`    ${line}`);
  }
}

function writeLastDecisions({ agent: name, decisions: kept, decided }: AgentStanding, output: Output): void {
  const last = kept.slice(-DECISIONS_SHOWN).toReversed();
  if (last.length === 0) return;
  output.table([DECISION_HEAD, ...last.map((decision) => decisionRow(decision, plain))]);
  if (decided > last.length)
    output.line(`  → cadre agent ${name} decisions  all ${decided}, with what they rest on in --json`);
}

const DECISION_HEAD = ['DECIDED (UTC)', 'TYPE', 'TASK', 'STEP', 'WHY'];

function decisionRow(
  { at, type, task, step, rationale }: DatedDecision,
  cell: (text: string) => string,
): string[] {
  return [stamp(at), plain(type), plain(task), plain(step), cell(rationale)];
}

async function decisions(name: string, flags: AgentFlags, output: Output): Promise<number> {
  const since = flags.since === undefined ? undefined : parseWhen('--since', flags.since, Date.now());
  const session = await openSession(flags);
  try {
    const all = await readIfTold(name, session, () => allDecisions(name, since, session, output));
    if (all === undefined) output.line(notToldWords(name));
    else writeDecisions(all, { name, since }, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

async function allDecisions(
  name: string,
  since: number | undefined,
  { client }: Session,
  output: Output,
): Promise<DatedDecision[]> {
  const all: DatedDecision[] = [];
  for await (const decision of client.agentDecisions(name, since === undefined ? {} : { since })) {
    output.value(decision);
    all.push(decision);
  }
  return all;
}

function writeDecisions(
  all: readonly DatedDecision[],
  { name, since }: { name: string; since: number | undefined },
  output: Output,
): void {
  const from = since === undefined ? '' : ` since ${stamp(since)} UTC`;
  output.line(
    all.length === 0
      ? `No decisions of ${name}${from}`
      : `${count(all.length, 'decision')} of ${name}${from}`,
  );
  if (all.length === 0 || output.json) return;
  output.table([
    DECISION_HEAD,
    ...all.map((decision) => decisionRow(decision, (text) => oneLine(text, RATIONALE_MAXIMUM_LENGTH))),
  ]);
}

async function leave(name: string, flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const before = await readIfTold(name, session, () => session.client.agent(name));
    if (before === undefined) {
      output.value({ agent: name, left: [], ended: true });
      output.line(notToldWords(name));
      return EXIT.done;
    }
    const left = await session.client.leaveAgent(name);
    output.line(`Asked ${left.join(', ')} to tell the others what ${name} knows, and to leave.`);
    const ended = await hasEnded(left, session);
    output.value({ agent: name, left, ended });
    output.line(leftLine({ name, ended, isLast: isLast(before, left) }, session, output));
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** Whether nobody stays whom it could tell. */
function isLast({ replicas }: AgentStanding, left: readonly string[]): boolean {
  return replicas.every(({ members }) => members.every((member) => left.includes(member)));
}

/** Whether the workflows of `members` end in time. */
async function hasEnded(members: readonly string[], { client, config }: Session): Promise<boolean> {
  const deadline = Date.now() + LEAVING_TIME_LIMIT;
  for (const member of members) {
    const handle = client.temporal.workflow.getHandle(agentId(config.cadre, member));
    while ((await handle.describe()).status.name === 'RUNNING') {
      if (Date.now() > deadline) return false;
      await delay(LEAVING_INTERVAL);
    }
  }
  return true;
}

function leftLine(
  { name, ended, isLast: alone }: { name: string; ended: boolean; isLast: boolean },
  { config }: Session,
  output: Output,
): string {
  if (!ended) {
    return `${output.paint('yellow', '!')} ${name} has not told all of them yet: it leaves once it has, which takes a worker. See \`cadre agents\`.`;
  }
  const again = 'A task that tells it again starts it anew.';
  return alone
    ? `${output.paint('yellow', '!')} ${name} has left ${config.cadre}, and knew of no other replica: what it knew stands in its history only. ${again}`
    : `${output.paint('green', '✓')} ${name} has left ${config.cadre}, and told the others. ${again}`;
}
