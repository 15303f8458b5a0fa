/** What a result was measured on, and where results are written. */
const { createHash } = require('node:crypto');
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const { join } = require('node:path');

const RESULTS = join(__dirname, 'results');
const MEBIBYTE = 1024 * 1024;

/** The machine as it is now; `load` is the number of processes that ran or waited, on average over the last minute. */
function machine() {
  return {
    at: new Date().toISOString(),
    cores: os.cpus().length,
    model: os.cpus()[0].model,
    memoryGiB: Math.round(os.totalmem() / 1024 ** 3),
    kernel: `${os.type()} ${os.release()}`,
    node: process.versions.node,
    cadre: JSON.parse(readFileSync(join(__dirname, '..', 'package.json'), 'utf8')).version,
    temporal: require('@temporalio/client/package.json').version,
    load: Number(os.loadavg()[0].toFixed(2)),
    spin: spin(),
  };
}

/** The machine in a sentence. */
function aboutMachine({ at, cores, model, memoryGiB, kernel, ...versions }) {
  const { node, cadre, temporal, load, spin: milliseconds } = versions;
  return (
    `Measured ${at.slice(0, 10)}: ${cores} cores (${model}), ${memoryGiB} GiB, ${kernel}, Node ${node}, cadre ${cadre}, ` +
    `@temporalio ${temporal}; load before ${load}, SHA-256 of 32 MiB in ${milliseconds} ms.`
  );
}

/** How quick this core is at the moment: ms for the SHA-256 of 32 MiB. What else runs shows in it. */
function spin() {
  const block = Buffer.alloc(32 * MEBIBYTE);
  const began = performance.now();
  createHash('sha256').update(block).digest();
  return Number((performance.now() - began).toFixed(1));
}

/**
 * Writes `NAME.json`, and `NAME.md` where there is `markdown`, into bench/results; what is not a full run goes into its
 * folder `latest`, which is not kept in the repository. Returns the path of the JSON.
 */
function writeResults(name, { full, markdown, ...content }) {
  const folder = full ? RESULTS : join(RESULTS, 'latest');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.json`);
  writeFileSync(file, `${JSON.stringify(rounded(content), null, 1)}\n`);
  if (markdown !== undefined) writeFileSync(join(folder, `${name}.md`), markdown);
  return file;
}

/** Numbers to five digits, so that a result is one that can be read and compared. */
function rounded(value) {
  if (typeof value === 'number') return Number.isInteger(value) ? value : Number(value.toPrecision(5));
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rounded(each)]));
}

module.exports = { aboutMachine, machine, spin, writeResults };
