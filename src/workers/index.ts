/** `cadre/worker`: run a cadre's agents and workflows in your own process. */
export { CadreWorker, type CadreWorkerOptions } from './cadre-worker';
export { MAIN } from '../core/names';
export { type LoadedConfig, loadConfig } from './config';
export { embeddedAgents } from '../activities/agents';
export { person } from '../activities/agents/person';
export { type ArtifactStore, FileArtifactStore } from '../storage/artifact-store';
export { artifactsFolder, ledgerFile } from '../storage/folders';
export { openArtifacts } from '../storage/open-artifacts';
export {
  S3ArtifactStore,
  type S3ArtifactStoreOptions,
  type S3Credentials,
} from '../storage/s3-artifact-store';
export type {
  Effect,
  EffectLedger,
  EffectStanding,
  Intent,
  Settlement,
} from '../storage/effect-ledger';
export { FileLedger } from '../storage/file-ledger';
