/** A setting of a Temporal server (dynamic configuration) that a cadre is quicker with. */
export interface ServerSetting {
  readonly key: string;
  readonly value: number | boolean | string;
  /** What it does, and what was measured (two cores, one history shard, server 1.29.1). */
  readonly why: string;
}

const POLLS_PER_SECOND = 5000;

/** What the embedded server is started with, and what we recommend for a cluster of your own. */
export const EMBEDDED_SERVER_SETTINGS: readonly ServerSetting[] = [
  {
    key: 'history.transferProcessorMaxPollRPS',
    value: POLLS_PER_SECOND,
    why: 'With the default of 20 a shard, each step is dispatched up to 50 ms late: 6 steps in a row 350 to 50 ms.',
  },
  {
    key: 'history.timerProcessorMaxPollRPS',
    value: POLLS_PER_SECOND,
    why: 'The same limit for timers, retries and timeouts; measured together with the transfer queue.',
  },
  {
    key: 'history.visibilityProcessorMaxPollRPS',
    value: POLLS_PER_SECOND,
    why: 'The same limit for what `cadre list` reads; measured together with the transfer queue.',
  },
  {
    key: 'history.transferProcessorMaxPollHostRPS',
    value: POLLS_PER_SECOND,
    why: 'The limit of a whole host, by default derived from the RPS of the server.',
  },
  {
    key: 'history.timerProcessorMaxPollHostRPS',
    value: POLLS_PER_SECOND,
    why: 'The limit of a whole host, for timers.',
  },
  {
    key: 'history.visibilityProcessorMaxPollHostRPS',
    value: POLLS_PER_SECOND,
    why: 'The limit of a whole host, for visibility.',
  },
  {
    key: 'matching.numTaskqueueReadPartitions',
    value: 1,
    why: 'With the default of 4 and few workers, 2 to 6 % of starts stall for 2 s; with 1, none of 400.',
  },
  {
    key: 'matching.numTaskqueueWritePartitions',
    value: 1,
    why: 'As many as the read partitions.',
  },
  {
    key: 'history.timerProcessorMaxTimeShift',
    value: '1ms',
    why: 'With the default of 1 s, timers, retries and heartbeat timeouts come about a second late: failover 2.3 to 0.8 s.',
  },
  {
    key: 'system.enableActivityEagerExecution',
    value: true,
    why: 'Off by default. With eager start, a worker in the process that starts a saga: 55 to 40 ms.',
  },
];

/**
 * How the database file is opened.
 * - `synchronous=NORMAL` survives a crash of the server's process; at a loss of power the last commits may be
 *   gone, the database stays whole. `FULL` keeps them: 95 instead of 70 ms a saga, 17 instead of 25 sagas/s.
 * - `locking_mode=EXCLUSIVE` because in WAL mode a second server would open the same file without an error and
 *   the two would take the shard from each other; so it is refused with SQLITE_BUSY. SIGKILL frees the lock.
 */
const FILE_PRAGMAS = ['journal_mode=WAL', 'synchronous=NORMAL', 'locking_mode=EXCLUSIVE'] as const;

/** How long the embedded server keeps closed workflows; Temporal's own default there is 1 day. */
export const RETENTION_DAYS = 30;

export const EMBEDDED_NAMESPACE = 'default';

export interface ServerArguments {
  /** 1 to 65,535. */
  readonly port: number;
  /** 1 to 65,535; without it there is no Web UI. */
  readonly uiPort?: number;
  /** Without it the database is in memory. */
  readonly databaseFile?: string;
  /** Dynamic configuration over {@link EMBEDDED_SERVER_SETTINGS}. */
  readonly settings?: readonly Pick<ServerSetting, 'key' | 'value'>[];
}

/** The command line of `temporal` for the embedded server. */
export function serverArguments({ port, uiPort, databaseFile, settings = [] }: ServerArguments): string[] {
  return [
    'server',
    'start-dev',
    '--log-level=warn',
    '--ip=127.0.0.1',
    `--port=${port}`,
    uiPort === undefined ? '--headless' : `--ui-port=${uiPort}`,
    ...(databaseFile === undefined ? [] : [`--db-filename=${databaseFile}`]),
    ...(databaseFile === undefined ? [] : FILE_PRAGMAS.flatMap((pragma) => ['--sqlite-pragma', pragma])),
    ...[...EMBEDDED_SERVER_SETTINGS, ...settings].flatMap(dynamicConfigValue),
  ];
}

/** Values are JSON, so that a string needs its quotes. */
function dynamicConfigValue({ key, value }: Pick<ServerSetting, 'key' | 'value'>): string[] {
  return ['--dynamic-config-value', `${key}=${JSON.stringify(value)}`];
}
