#!/usr/bin/env node
/** The entry of `cadre`: the only place that ends the process. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { LogLevel } from '@temporalio/worker';
import { installRuntime } from '../workers/runtime';
import { agentCommand, agentsCommand } from './commands/agents';
import { answerCommand } from './commands/answer';
import { breakerCommand, breakersCommand } from './commands/breakers';
import { cancelCommand } from './commands/cancel';
import { forkCommand } from './commands/fork';
import { diffCommand } from './commands/diff';
import { doctorCommand } from './commands/doctor';
import { knowledgeCommand } from './commands/knowledge';
import { exportCommand } from './commands/export';
import { leaderCommand } from './commands/leader';
import { listCommand } from './commands/list';
import { logCommand } from './commands/log';
import { runCommand } from './commands/run';
import { sagaCommand } from './commands/saga';
import { serverCommand } from './commands/server';
import { showCommand } from './commands/show';
import { statusCommand } from './commands/status';
import { verifyCommand } from './commands/verify';
import { stateCommand } from './commands/state';
import { whyCommand } from './commands/why';
import { workerCommand } from './commands/worker';
import type { Execute } from './execute';
import { EXIT } from './exit';
import { Output } from './output';
import { reportError } from './report-error';

const LEVELS: readonly string[] = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'];

const execute: Execute = async (flags, body, fallback = 'WARN') => {
  const output = new Output(flags.json ?? false);
  try {
    const level = (process.env['LOG_LEVEL'] ?? fallback).toUpperCase();
    installRuntime(LEVELS.includes(level) ? (level as LogLevel) : fallback);
    process.exitCode = await body(output);
  } catch (error) {
    process.exitCode = reportError(error, output);
  }
};

function makeProgram(): Command {
  const { version } = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')) as {
    version: string;
  };
  const program = new Command('cadre')
    .description('Durable teams of AI agents, on Temporal')
    .version(version)
    .showHelpAfterError('(cadre <command> --help shows what it takes)')
    .exitOverride();
  const commands = [
    runCommand,
    statusCommand,
    listCommand,
    showCommand,
    logCommand,
    stateCommand,
    diffCommand,
    whyCommand,
    cancelCommand,
    forkCommand,
    answerCommand,
    sagaCommand,
    exportCommand,
    verifyCommand,
    workerCommand,
    leaderCommand,
    agentsCommand,
    agentCommand,
    knowledgeCommand,
    breakersCommand,
    breakerCommand,
    serverCommand,
    doctorCommand,
  ];
  for (const add of commands) add(program, execute);
  return program;
}

async function main(): Promise<void> {
  try {
    await makeProgram().parseAsync();
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
