// Adds to package-lock.json the platform packages that npm left out because this machine's registry does not have them:
// without their entries `npm ci` refuses the lock file, and other platforms would miss their binaries. Run it
// (`npm run complete-lock`) after changing a dependency; test/scripts/lock.test.ts says when it is needed.
const { readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const FILE = join(__dirname, '..', 'package-lock.json');
const SYSTEMS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'];

/** Optional packages that some package of the lock file names and the lock file does not have: name to version. */
function missing({ packages }) {
  const found = new Map();
  for (const { optionalDependencies = {} } of Object.values(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (packages[`node_modules/${name}`] === undefined) found.set(name, version);
    }
  }
  return found;
}

/** Where the package may be installed, from its name: `@swc/core-linux-arm64-musl` is for Linux, arm64 and musl. */
function platform(name) {
  const words = name.split(/[-/]/);
  const os = words.filter((word) => SYSTEMS.includes(word));
  const cpu = words.filter((word) => PROCESSORS.includes(word));
  if (os.length !== 1 || cpu.length !== 1)
    throw new Error(`Cannot tell from its name what platform ${name} is for`);
  const libc = words.includes('musl')
    ? ['musl']
    : words.includes('gnu') && os[0] === 'linux'
      ? ['glibc']
      : undefined;
  return { cpu, ...(libc === undefined ? {} : { libc }), os };
}

function complete(lock) {
  for (const [name, version] of missing(lock)) {
    if (!/^\d/.test(version)) throw new Error(`${name} is not locked to one version (${version})`);
    lock.packages[`node_modules/${name}`] = { version, optional: true, ...platform(name) };
  }
  const places = Object.entries(lock.packages).sort(([one], [other]) => (one < other ? -1 : 1));
  return { ...lock, packages: Object.fromEntries(places) };
}

module.exports = { complete, missing };

if (require.main === module) {
  const lock = JSON.parse(readFileSync(FILE, 'utf8'));
  const added = missing(lock);
  writeFileSync(FILE, `${JSON.stringify(complete(lock), null, 2)}\n`);
  console.log(added.size === 0 ? 'Nothing was missing.' : `Added ${[...added.keys()].join(', ')}`);
}
