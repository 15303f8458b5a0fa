import type { Command } from 'commander';
import type { CadreClient } from '../../client/cadre-client';
import type { Candidacy, LeaderReport } from '../../client/leader';
import type { PastTerm } from '../../core/election';
import { termEndWords } from '../../core/election-details';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { webUiLink } from '../links';
import { type Output, duration, stamp } from '../output';
import { type Session, openSession } from '../session';
import { instant, watchUntilInterrupted } from '../watch';

/** How long a resignation is followed, in ms. */
const SUCCESSION_TIME_LIMIT = 10_000;
/** How many ended terms are shown; `--json` has all that the election remembers. */
const TERMS_SHOWN = 5;

interface LeaderFlags extends CommonFlags {
  readonly watch?: boolean;
}

export function leaderCommand(program: Command, execute: Execute): void {
  const leader = withCommonOptions(
    program
      .command('leader')
      .description('who leads, who stands for leader, and how earlier terms ended')
      .option('--watch', 'go on, with a line for each change, until Ctrl-C'),
  ).action((flags: LeaderFlags) =>
    execute(flags, (output) => (flags.watch ? watch(flags, output) : show(flags, output))),
  );
  const resign = leader.command('resign').description('ask the leader to hand over, and say who is next');
  withCommonOptions(resign).action(() => {
    // Options may stand before or behind the name of the subcommand.
    const flags: CommonFlags = resign.optsWithGlobals();
    return execute(flags, (output) => handOver(flags, output));
  });
}

async function show(flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const report = await session.client.leader();
    const link = webUiLink(session.at, report.election);
    output.value({ ...report, ...(link === undefined ? {} : { webUi: link }) });
    write(report, link, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function write(report: LeaderReport, link: string | undefined, output: Output): void {
  output.line(headline(report, output));
  if (link !== undefined && report.status === 'running') output.line(`  Web UI  ${link}`);
  if (report.candidates.length > 0) {
    output.table([['CANDIDATE', 'STATE'], ...report.candidates.map(candidateRow)]);
  }
  if (report.past.length > 0) {
    const past = report.past.slice(0, TERMS_SHOWN).map(termRow);
    output.table([['TERM', 'LEADER', 'LED', 'UNTIL (UTC)', 'ENDED'], ...past]);
  }
}

function headline({ cadre, term, leader, candidates, status, past }: LeaderReport, output: Output): string {
  if (leader !== undefined) {
    const led = duration(Math.max(0, Date.now() - leader.since));
    return `${output.paint('green', '✓')} ${leader.identity} leads ${cadre} in term ${term}, for ${led}`;
  }
  const mark = output.paint('yellow', '!');
  if (candidates.length === 0) {
    return `${mark} Nobody leads ${cadre}, and nobody stands: start a candidate with \`cadre worker\`.`;
  }
  if (status === 'running') {
    return past[0]?.term === term
      ? `${mark} Nobody leads ${cadre}: term ${term} has ended, and a worker that runs workflows (\`cadre worker\`) offers the next.`
      : `${mark} Nobody leads ${cadre}: term ${term} waits for a candidate to take it.`;
  }
  return `${mark} Nobody leads ${cadre}: its election has ended, and a candidate starts it again within 10 s.`;
}

function candidateRow({ identity, leads, age }: Candidacy): string[] {
  return [
    identity,
    leads ? `leads, renewed its lease ${duration(age)} ago` : `stands, asked for a term ${duration(age)} ago`,
  ];
}

function termRow(past: PastTerm): string[] {
  return [
    String(past.term),
    past.leader ?? '–',
    past.from === undefined ? '–' : duration(past.to - past.from),
    stamp(past.to),
    termEndWords(past),
  ];
}

function watch(flags: CommonFlags, output: Output): Promise<number> {
  const told = new Told();
  return watchUntilInterrupted(flags, output, {
    changes: (client, signal) => client.watchLeader({ signal }),
    tell(report) {
      output.value(report);
      for (const line of told.next(report)) output.line(line);
    },
    away: () => 'the server does not answer',
  });
}

/** What a watch has told, so that it tells of each change once. */
class Told {
  private ended: Set<number> | undefined;
  private last = '';

  /** The lines that `report` adds, in the order of what happened. Of what ended before the watch it tells nothing. */
  next(report: LeaderReport): string[] {
    const news = report.past.filter(({ term }) => this.ended?.has(term) === false);
    this.ended = new Set(report.past.map(({ term }) => term));
    const lines = news.sort((a, b) => a.term - b.term).map((past) => `${instant(past.to)}  ${endLine(past)}`);
    const now = watchLine(report);
    if (now !== this.last) lines.push(`${instant(report.leader?.since ?? Date.now())}  ${now}`);
    this.last = now;
    return lines;
  }
}

function endLine(past: PastTerm): string {
  return `term ${past.term} ended: ${past.leader ?? 'nobody'} ${termEndWords(past)}`;
}

function watchLine({ cadre, term, leader, past, status }: LeaderReport): string {
  if (leader !== undefined) return `${leader.identity} leads ${cadre} in term ${term}`;
  if (status === 'none') return `nobody leads ${cadre}: there is no election`;
  return `nobody leads ${cadre}: term ${term} ${past[0]?.term === term ? 'has ended' : 'is not taken'}`;
}

async function handOver(flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const asked = await session.client.resignLeader();
    output.line(`Asked ${asked.identity} to hand over term ${asked.term}.`);
    const next = await successor(session.client, asked.term);
    const leader = next?.leader?.identity;
    output.value({
      resigned: asked,
      ...(next?.leader === undefined ? {} : { next: { term: next.term, identity: leader } }),
    });
    output.line(successionLine(asked.identity, next, session, output));
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** The first report of a leader in a later term; undefined where none came in time. */
async function successor(client: CadreClient, term: number): Promise<LeaderReport | undefined> {
  const signal = AbortSignal.timeout(SUCCESSION_TIME_LIMIT);
  for await (const report of client.watchLeader({ signal, interval: 100 })) {
    if (report.term > term && report.leader !== undefined) return report;
  }
  return undefined;
}

function successionLine(
  before: string,
  next: LeaderReport | undefined,
  { config }: Session,
  output: Output,
): string {
  if (next?.leader === undefined) {
    return `${output.paint('yellow', '!')} Nobody has taken the next term yet: see \`cadre leader\`.`;
  }
  const { identity } = next.leader;
  const alone = identity === before ? ' again, since nobody else stood' : '';
  return `${output.paint('green', '✓')} ${identity} leads ${config.cadre} in term ${next.term}${alone}`;
}
