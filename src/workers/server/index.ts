/** The Temporal server of a cadre: the configured one, one that runs, or one that is brought up. */
export { type EmbeddedServer, type EmbeddedServerOptions, startEmbeddedServer } from './embedded-server';
export {
  type FindServerOptions,
  type TemporalServer,
  findListeners,
  findOrStartServer,
  findRunningServer,
} from './find-server';
export { pickPort } from './ports';
export {
  EMBEDDED_SERVER_SETTINGS,
  RETENTION_DAYS,
  type ServerArguments,
  type ServerSetting,
  serverArguments,
} from './settings';
export { type BinaryOptions, fetchServerBinary } from './temporal-binary';
export { fetchTestServerBinary } from './test-server';
