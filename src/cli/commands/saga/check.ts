import type { Command } from 'commander';
import type { AnyAgent } from '../../../activities/define-agent';
import { loadSagaFile } from '../../../client/saga-file';
import { type Step, stepNeeds } from '../../../core/plan';
import { type SagaInput, sagaPlan } from '../../../core/saga-input';
import { type CommonFlags, withCommonOptions } from '../../connection-options';
import type { Execute } from '../../execute';
import { EXIT } from '../../exit';
import { type Output, limit } from '../../output';
import { problemsFor, writeProblems } from '../../saga-source';
import { configOf } from '../../session';

export function sagaCheckCommand(saga: Command, execute: Execute): void {
  withCommonOptions(
    saga
      .command('check')
      .description('say all that is wrong with a saga, or what it would do; needs no server')
      .argument('<file>', 'YAML or JSON'),
  ).action((file: string, flags: CommonFlags) => execute(flags, (output) => check(file, flags, output)));
}

async function check(file: string, flags: CommonFlags, output: Output): Promise<number> {
  const text = await loadSagaFile(file);
  const config = configOf(flags);
  const agents = config.file === undefined ? undefined : config.agents;
  const problems = await problemsFor(text, agents);
  const team = config.file === undefined ? {} : { configuration: config.file };
  if (text.kind === 'refused' || problems.length > 0) {
    writeProblems(file, problems, output);
    if (text.kind === 'refused') {
      output.line('  What the steps refer to, and who does them, is checked once these are mended.');
    }
    output.value({ file, valid: false, problems, ...team });
    return EXIT.usage;
  }
  const steps = sagaPlan(text.input).steps.map((step) => describe(step, agents));
  output.value({ file, valid: true, name: text.input.name, steps, ...team });
  if (!output.json) writeSaga(file, text.input, steps, output);
  if (agents === undefined) {
    output.line();
    output.line(
      '  No configuration here: whether there are such agents, and what they can undo, shows when it runs.',
    );
  }
  return EXIT.done;
}

interface StepDescription {
  readonly id: string;
  readonly agent: string;
  readonly kind?: Step['kind'];
  readonly needs: readonly string[];
  /** Who would undo it; null: nobody; absent where that is not known. */
  readonly undoneBy?: string | null;
  readonly approval: boolean;
}

function describe(step: Step, agents: readonly AnyAgent[] | undefined): StepDescription {
  const { id, agent = '', kind, approval } = step;
  const undoneBy = undoerOf(step, agents);
  return {
    id,
    agent,
    ...(kind === undefined ? {} : { kind }),
    needs: stepNeeds(step),
    ...(undoneBy === undefined ? {} : { undoneBy }),
    approval: approval !== undefined,
  };
}

function undoerOf(
  { agent, kind, compensate }: Step,
  agents: readonly AnyAgent[] | undefined,
): string | null | undefined {
  if (kind === 'pivot' || kind === 'retryable' || compensate === false) return null;
  if (compensate !== undefined) return compensate.agent;
  const found = agents?.find(({ name }) => name === agent);
  if (found === undefined) return undefined;
  return found.compensate === undefined ? null : found.name;
}

function writeSaga(
  file: string,
  { name, lock, timeLimit }: SagaInput,
  steps: readonly StepDescription[],
  output: Output,
): void {
  output.line(`${output.paint('green', '✓')} ${file}: ${name}`);
  const facts = [
    ...(lock === undefined ? [] : [`lock ${lock}`]),
    ...(timeLimit === undefined ? [] : [`time limit ${limit(timeLimit)}`]),
  ];
  if (facts.length > 0) output.line(`  ${facts.join(', ')}`);
  const rows = steps.map(({ id, agent, kind, needs, undoneBy, approval }) => [
    id,
    agent,
    kind === 'pivot' ? 'PIVOT' : (kind ?? '-'),
    needs.length === 0 ? '-' : needs.join(', '),
    approval ? 'asks first' : '-',
    undoneBy === undefined ? '?' : (undoneBy ?? 'nobody'),
  ]);
  output.table([['STEP', 'AGENT', 'KIND', 'NEEDS', 'APPROVAL', 'UNDONE BY'], ...rows]);
}
