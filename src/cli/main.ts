#!/usr/bin/env node
/** The entry of `cadre`: the only place that ends the process. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { keepCompiled } from './compile-cache';
import type { AddCommand, Execute } from './execute';
import { EXIT } from './exit';
import { Output } from './output';

/** What adds each command to the program, in the order of the help. Only what is called is loaded. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  run: async () => (await import('./commands/run.js')).runCommand,
  status: async () => (await import('./commands/status.js')).statusCommand,
  list: async () => (await import('./commands/list.js')).listCommand,
  show: async () => (await import('./commands/show.js')).showCommand,
  log: async () => (await import('./commands/log.js')).logCommand,
  state: async () => (await import('./commands/state.js')).stateCommand,
  diff: async () => (await import('./commands/diff.js')).diffCommand,
  why: async () => (await import('./commands/why.js')).whyCommand,
  cancel: async () => (await import('./commands/cancel.js')).cancelCommand,
  fork: async () => (await import('./commands/fork.js')).forkCommand,
  inbox: async () => (await import('./commands/inbox.js')).inboxCommand,
  answer: async () => (await import('./commands/answer.js')).answerCommand,
  resume: async () => (await import('./commands/resume.js')).resumeCommand,
  saga: async () => (await import('./commands/saga/index.js')).sagaCommand,
  export: async () => (await import('./commands/export.js')).exportCommand,
  verify: async () => (await import('./commands/verify.js')).verifyCommand,
  worker: async () => (await import('./commands/worker.js')).workerCommand,
  leader: async () => (await import('./commands/leader.js')).leaderCommand,
  agents: async () => (await import('./commands/agents.js')).agentsCommand,
  agent: async () => (await import('./commands/agents.js')).agentCommand,
  knowledge: async () => (await import('./commands/knowledge.js')).knowledgeCommand,
  breakers: async () => (await import('./commands/breakers.js')).breakersCommand,
  breaker: async () => (await import('./commands/breakers.js')).breakerCommand,
  cost: async () => (await import('./commands/cost.js')).costCommand,
  budget: async () => (await import('./commands/budget.js')).budgetCommand,
  server: async () => (await import('./commands/server.js')).serverCommand,
  doctor: async () => (await import('./commands/doctor.js')).doctorCommand,
};

const execute: Execute = async (flags, body) => {
  const output = new Output(flags.json ?? false);
  try {
    process.exitCode = await body(output);
  } catch (error) {
    const { reportError } = await import('./report-error.js');
    process.exitCode = reportError(error, output);
  }
};

/** The program as far as `argument`, the first of the command line, calls for it: all commands where it names none. */
async function makeProgram(argument: string | undefined): Promise<Command> {
  const { version } = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')) as {
    version: string;
  };
  const program = new Command('cadre')
    .description('Durable teams of AI agents, on Temporal')
    .version(version)
    .showHelpAfterError('(cadre <command> --help shows what it takes)')
    .exitOverride();
  for (const name of commandsFor(argument)) (await COMMANDS[name]?.())?.(program, execute);
  return program;
}

function commandsFor(argument: string | undefined): readonly string[] {
  if (argument === '--version' || argument === '-V') return [];
  return argument !== undefined && Object.hasOwn(COMMANDS, argument) ? [argument] : Object.keys(COMMANDS);
}

async function main(): Promise<void> {
  keepCompiled();
  const program = await makeProgram(process.argv[2]);
  try {
    await program.parseAsync();
  } catch (error) {
    // Commander has written its message; help and version leave with 0, every misuse with 2.
    process.exitCode = (error as { exitCode?: number }).exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  // Handles that no longer matter (a poll of a closed connection) must not keep the shell waiting.
  await flushed(process.stdout);
  process.exit();
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

// A reader that has seen enough (`cadre list | head -1`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed),
  );
}

void main();
