import { chosenModel } from '../models/providers';
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
