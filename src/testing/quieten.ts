import { installRuntime } from '../workers/runtime';

/** Keeps the SDK's logs out of the test's output, unless the process has set up its own. */
export function quieten(): void {
  try {
    installRuntime('ERROR');
  } catch {
    // The runtime is set up once a process; whoever did it before us chose the level.
  }
}
