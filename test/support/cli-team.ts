import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, jsonLines } from './cli';
import type { TemporaryFolder } from './temporary-folder';

/** One line of the ledger that a {@link CliTeam}'s agents keep outside Temporal. */
export interface LedgerLine {
  readonly what: 'began' | 'ended' | 'aborted';
  readonly step: string;
  readonly key: string;
  readonly attempt: number;
  readonly pid: number;
}

/**
 * A configuration file for processes of their own. Its agents: `echo` gives back its input; `gate` waits for a file
 * named after its step; `stubborn` likewise, deaf to its signal; `broken` fails for good.
 */
export class CliTeam {
  readonly config: string;
  private readonly ledger: string;

  constructor(private readonly folder: TemporaryFolder) {
    this.ledger = join(folder.path, 'ledger.jsonl');
    this.config = folder.write('cadre.config.js', source(folder.path, this.ledger));
    appendFileSync(this.ledger, '');
  }

  /** Lets the step `step` of the agent `gate` go on. */
  open(step: string): void {
    this.folder.write(`gate-${step}`, '');
  }

  /** Writes a plan to `NAME.json`; returns its path. */
  plan(name: string, ...steps: readonly unknown[]): string {
    return this.folder.write(`${name}.json`, JSON.stringify({ steps }));
  }

  lines(): LedgerLine[] {
    return jsonLines<LedgerLine>(readFileSync(this.ledger, 'utf8'));
  }

  has(what: LedgerLine['what'], step: string): boolean {
    return this.lines().some((line) => line.what === what && line.step === step);
  }
}

function source(folder: string, ledger: string): string {
  return `
const { appendFileSync, existsSync } = require('node:fs');
const { join } = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const { ApplicationFailure } = require(${JSON.stringify(join(ROOT, 'node_modules', '@temporalio', 'common'))});
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const write = (what, { step, idempotencyKey, attempt }) =>
  appendFileSync(${JSON.stringify(ledger)}, JSON.stringify({ what, step, key: idempotencyKey, attempt, pid: process.pid }) + '\\n');
const opened = (step) => existsSync(join(${JSON.stringify(folder)}, 'gate-' + step));
const make = (name, act, policy = {}) =>
  defineAgent({
    name,
    description: 'the agent ' + name,
    input: anything,
    output: anything,
    policy: { heartbeatTimeout: '1s', retry: { initialInterval: '100ms', maximumAttempts: 5 }, ...policy },
    async act(input, context) {
      write('began', context);
      const output = await act(input, context);
      write('ended', context);
      return output;
    },
  });
const gate = async (_input, context, deaf = false) => {
  while (!opened(context.step)) {
    if (context.signal.aborted && !deaf) {
      write('aborted', context);
      throw context.signal.reason;
    }
    await pause(20);
  }
  return context.step;
};
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('echo', (input) => input),
    make('gate', gate),
    make('gate-once', gate, { retry: { maximumAttempts: 1 } }),
    make('stubborn', (input, context) => gate(input, context, true)),
    make('broken', () => { throw ApplicationFailure.nonRetryable('no such city', 'CityUnknown'); }),
  ],
});
`;
}
