/** What processes have used, by /proc (Linux): of each pid given, all that it has started since, and what of that has ended. */
const { readFileSync, readdirSync } = require('node:fs');

/** Linux tells process times in hundredths of a second, whatever the kernel ticks at. */
const MILLISECONDS_A_TICK = 10;

/**
 * CPU milliseconds and peak memory so far, by role: `usage({ server: [12], worker: [13], client: [11] })` gives
 * `{ cpu: { server, worker, client }, memory: {…} }`, the memory in KiB, summed over the processes, so pages that
 * they share count in each. A process below two of the pids belongs to the nearer one. What has ended counts as 0.
 */
function usage(roles) {
  const all = processes();
  const owner = new Map(Object.entries(roles).flatMap(([role, pids]) => pids.map((pid) => [pid, role])));
  const roleOf = (process) => {
    for (let at = process; at !== undefined; at = all.get(at.parent))
      if (owner.has(at.pid)) return owner.get(at.pid);
    return undefined;
  };
  const result = { cpu: {}, memory: {} };
  for (const role of Object.keys(roles)) result.cpu[role] = result.memory[role] = 0;
  for (const process of all.values()) {
    const role = roleOf(process);
    if (role === undefined) continue;
    result.cpu[role] += process.ticks * MILLISECONDS_A_TICK;
    result.memory[role] += peakOf(process.pid);
  }
  return result;
}

/** The CPU milliseconds between two of `usage`, by role; never below 0, which a process that ended would make. */
function cpuBetween(before, after) {
  return Object.fromEntries(
    Object.keys(after.cpu).map((role) => [role, Math.max(0, after.cpu[role] - (before.cpu[role] ?? 0))]),
  );
}

/** Every process by its pid: `{ pid, parent, ticks }`; the ticks are its own and those of its children that it has waited for. */
function processes() {
  const all = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readOrNothing(`/proc/${name}/stat`);
    if (stat === undefined) continue;
    // The name in parentheses may hold blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    all.set(Number(name), { pid: Number(name), parent: Number(fields[1]), ticks });
  }
  return all;
}

/** The pids below `pid`, nearest first. */
function descendants(pid) {
  const all = [...processes().values()];
  const found = [];
  for (let level = [pid]; level.length > 0; ) {
    level = all.filter(({ parent }) => level.includes(parent)).map((process) => process.pid);
    found.push(...level);
  }
  return found;
}

/** False for one that has ended, also where nobody has waited for it. */
function isRunning(pid) {
  const stat = readOrNothing(`/proc/${pid}/stat`);
  return stat !== undefined && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}

/** The most memory that a process has held, in KiB. */
function peakOf(pid) {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readOrNothing(`/proc/${pid}/status`) ?? '')?.[1] ?? 0);
}

function readOrNothing(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

module.exports = { cpuBetween, descendants, isRunning, usage };
