// Loaded into a process that is measured: says at its end how much memory it held at most, in KiB, and its CPU time, in ms.
process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  process.stderr.write(`memory=${maxRSS}\ncpu=${Math.round((userCPUTime + systemCPUTime) / 1000)}\n`);
});
