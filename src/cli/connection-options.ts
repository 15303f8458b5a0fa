import type { Command } from 'commander';
import type { ConnectionFlags } from '../client/connection';

export interface CommonFlags extends ConnectionFlags {
  readonly json?: boolean;
  readonly cadre?: string;
  readonly config?: string;
}

/** Adds the options that every command has, named as in Temporal's own CLI. */
export function withCommonOptions(command: Command): Command {
  return command
    .option('--address <host:port>', 'Temporal server (TEMPORAL_ADDRESS, a profile, or 127.0.0.1:7233)')
    .option('--namespace <name>', 'Temporal namespace (TEMPORAL_NAMESPACE, a profile, or default)')
    .option('--profile <name>', 'profile of temporal.toml (TEMPORAL_PROFILE)')
    .option('--cadre <name>', 'name of the cadre, also its task queue (default: the configuration, or cadre)')
    .option('--config <file>', 'configuration file (default: cadre.config.ts or .js in this folder)')
    .option('--json', 'write JSON to standard output, and everything else to standard error');
}

/** The flags that say how to reach Temporal, without the ones that were not given. */
export function connectionFlags({ address, namespace, profile }: CommonFlags): ConnectionFlags {
  return {
    ...(address === undefined ? {} : { address }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(profile === undefined ? {} : { profile }),
  };
}
