/** `cadre/worker`: run a cadre's agents and workflows in your own process. */
export { CadreWorker, type CadreWorkerOptions, MAIN } from './cadre-worker';
export { type LoadedConfig, loadConfig } from './config';
export { embeddedAgents } from '../activities/agents';
export { type ArtifactStore, FileArtifactStore } from '../storage/artifact-store';
export { artifactsFolder } from '../storage/folders';
