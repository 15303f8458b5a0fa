import { chosenModel, lackOf } from '../models/providers';
import type { LoadedConfig } from '../workers/config';
import type { Output } from './output';

/** Says with which model the embedded agents of a worker here act; nothing where they are not among its agents. */
export function writeTeam({ embedded }: LoadedConfig, output: Output): void {
  if (!embedded) return;
  const model = chosenModel();
  output.line(
    model === undefined
      ? 'Embedded agents (no model); set CADRE_MODEL=provider/model to use one'
      : `Model ${model}`,
  );
}

/** Says what a worker of this process lacks to ask that model, where it lacks anything. */
export function writeLack({ embedded }: LoadedConfig, output: Output): void {
  const model = embedded ? chosenModel() : undefined;
  const lack = model === undefined ? undefined : lackOf(model);
  if (lack === undefined) return;
  output.line(
    `${output.paint('yellow', '!')} ${model} cannot be asked: ${lack.message}. The embedded agents do the work.`,
  );
  output.line(`  → ${lack.fix}`);
}
