import type { Command } from 'commander';
import type { Execute } from '../../execute';
import { sagaCheckCommand } from './check';
import { sagaResolveCommand } from './resolve';
import { sagaResumeCommand } from './resume';
import { sagaRunCommand } from './run';
import { sagaShowCommand } from './show';
import { sagaSweepCommand } from './sweep';

export function sagaCommand(program: Command, execute: Execute): void {
  const saga = program.command('saga').description('steps that happen all, or are undone');
  const verbs = [
    sagaRunCommand,
    sagaCheckCommand,
    sagaShowCommand,
    sagaResolveCommand,
    sagaResumeCommand,
    sagaSweepCommand,
  ];
  for (const add of verbs) add(saga, execute);
}
