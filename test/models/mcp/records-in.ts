import type { ArtifactStore } from '../../../src/storage/artifact-store';

/** The texts of what is recorded in `artifacts` from now on. */
export function recordsIn(artifacts: ArtifactStore): readonly string[] {
  const kept: string[] = [];
  const record = artifacts.record.bind(artifacts);
  artifacts.record = (name, content) => {
    kept.push(Buffer.from(content).toString());
    return record(name, content);
  };
  return kept;
}
