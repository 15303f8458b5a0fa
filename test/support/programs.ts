/** Programs for agents that run some, and whether they still run. */
import { spawnSync } from 'node:child_process';

/**
 * For `node -e`: starts another, and writes the ids of both to the file `pids` in its folder; then both run for a minute,
 * deaf to SIGTERM.
 */
export const STUBBORN = `
  process.on('SIGTERM', () => {});
  const { spawn } = require('child_process');
  const child = spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); console.log(1); setTimeout(() => {}, 60000)"]);
  child.stdout.once('data', () => require('fs').writeFileSync('pids', process.pid + ' ' + child.pid));
  setTimeout(() => {}, 60000);`;

/** False also for what has ended, and nobody has waited for yet. */
export function isAlive(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout.trim() !== '' && !stdout.startsWith('Z');
}
