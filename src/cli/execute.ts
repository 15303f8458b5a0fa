import type { Command } from 'commander';
import type { CommonFlags } from './connection-options';
import type { Output } from './output';

/** Runs a command's body and turns what it returns or throws into the process's exit code. */
export type Execute = (flags: CommonFlags, body: (output: Output) => Promise<number>) => Promise<void>;

/** Adds a command to the program. */
export type AddCommand = (program: Command, execute: Execute) => void;
