// Loaded into a process that is measured: says at its end how much memory it held at most, in KiB.
process.on('exit', () => process.stderr.write(`memory=${process.resourceUsage().maxRSS}\n`));
