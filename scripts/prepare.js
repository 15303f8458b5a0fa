/**
 * Gets a checkout ready to run: dependencies as in package-lock.json, sources compiled to dist/, and the workflows
 * bundled. Does only what is missing, and says on standard error what takes long. Until the dependencies are there,
 * nothing but Node itself is used.
 */
const { spawn } = require('node:child_process');
const {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const DIST = path.join(ROOT, 'dist');
const BUNDLE = path.join(DIST, 'workflow-bundle.js');
/** Written when a build is complete; its time is the build's. */
const STAMP = path.join(DIST, '.built');
const ALIVE_INTERVAL = 30_000;

function say(line) {
  process.stderr.write(`${line}\n`);
}

async function prepare() {
  await installDependencies();
  await build();
}

/** Installs what package-lock.json says, unless it is there. Rejects with npm's own output. */
async function installDependencies() {
  if (dependenciesAreInstalled()) return;
  say('Installing dependencies (npm ci): about 15 s, a minute or two on a slow network.');
  // NODE_ENV=production would leave out the compiler.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--include=dev', '--include=optional'];
  const [command, ...first] = npmCommand();
  await run(command, [...first, ...args], 'installing dependencies');
}

/** npm writes what it installed beside the packages, when it is done. */
function dependenciesAreInstalled() {
  const installed = readJson(path.join(ROOT, 'node_modules', '.package-lock.json'))?.packages;
  if (installed === undefined) return false;
  const wanted = readJson(path.join(ROOT, 'package-lock.json')).packages;
  return Object.entries(wanted).every(([place, { version, optional, devOptional, peer }]) => {
    // Optional ones may be for another platform.
    if (place === '' || ((optional || devOptional || peer) && installed[place] === undefined)) return true;
    return installed[place]?.version === version;
  });
}

/** The npm that runs this script, else the one on PATH. */
function npmCommand() {
  const running = process.env.npm_execpath;
  return running !== undefined && running.endsWith('npm-cli.js') ? [process.execPath, running] : ['npm'];
}

/** Compiles src/ to dist/ and bundles the workflows, unless dist/ is newer than all that goes into it. */
async function build({ force = false } = {}) {
  if (!force && isBuilt()) return;
  say('Compiling and bundling the workflows: about 5 s.');
  const started = new Date();
  rmSync(STAMP, { force: true });
  await run(
    process.execPath,
    [path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json'],
    'compiling',
  );
  removeLeftovers(DIST);
  await bundleWorkflows();
  // A file that was changed while we built is newer than the build.
  writeFileSync(STAMP, started.toISOString());
}

function isBuilt() {
  if (!existsSync(STAMP) || !existsSync(BUNDLE)) return false;
  const builtAt = Date.parse(readFileSync(STAMP, 'utf8'));
  const inputs = ['src', 'package.json', 'package-lock.json', 'tsconfig.json'];
  return inputs.every((input) => newest(path.join(ROOT, input)) <= builtAt);
}

/** The time, in ms, at which a file or anything below a folder last changed; a folder also counts what left it. */
function newest(item) {
  const { mtimeMs } = statSync(item);
  if (!statSync(item).isDirectory()) return mtimeMs;
  return Math.max(mtimeMs, ...readdirSync(item).map((name) => newest(path.join(item, name))));
}

/** Removes what was compiled from sources that are gone. */
function removeLeftovers(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const built = path.join(folder, entry.name);
    const source = path.join(ROOT, 'src', path.relative(DIST, built));
    if (entry.isDirectory()) {
      if (existsSync(source)) removeLeftovers(built);
      else rmSync(built, { recursive: true });
    } else if (/(\.d\.ts|\.js|\.js\.map)$/.test(built) && built !== BUNDLE) {
      if (!existsSync(source.replace(/(\.d\.ts|\.js|\.js\.map)$/, '.ts'))) rmSync(built);
    }
  }
}

async function bundleWorkflows() {
  const { DefaultLogger, bundleWorkflowCode } = require('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(DIST, 'workflows', 'index.js'),
    preloadModules: sharedModules(),
    logger: new DefaultLogger('WARN'),
    webpackConfigHook: (config) => ({
      ...config,
      // Stack traces need the places of the sources, not their text, which is half of what every worker and thread would read.
      devtool: 'inline-nosources-source-map',
      // Else webpack leaves out the preloading of what has no side effects.
      optimization: { ...config.optimization, sideEffects: false },
    }),
  });
  mkdirSync(DIST, { recursive: true });
  // In one step: a worker that starts meanwhile must not read half of it.
  writeFileSync(`${BUNDLE}.${process.pid}`, code);
  renameSync(`${BUNDLE}.${process.pid}`, BUNDLE);
}

/** What no workflow keeps anything in, so that all may share it: else each would load it anew. */
function sharedModules() {
  const workflows = jsFilesOf(path.join(DIST, 'workflows'));
  const own = new Set(['index.js', 'interceptors.js', 'own-saga.js']);
  return [
    '@temporalio/workflow',
    require.resolve('@noble/hashes/sha2.js'),
    ...jsFilesOf(path.join(DIST, 'core')),
    ...workflows.filter((file) => !own.has(path.basename(file))),
  ];
}

function jsFilesOf(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith('.js'))
    .map((file) => path.join(folder, file));
}

/** Runs a command in the checkout; its output is shown only when it fails. */
async function run(command, args, what) {
  const started = Date.now();
  const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const alive = setInterval(
    () => say(`  still ${what} (${Math.round((Date.now() - started) / 1000)} s)`),
    ALIVE_INTERVAL,
  );
  try {
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0) throw new Error(`${what} failed (exit code ${code}):\n${output.trim()}`);
  } finally {
    clearInterval(alive);
  }
}

function readJson(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/** Ends the process with 1 and the reason when `work` fails. */
function exitOnFailure(work) {
  work.catch((error) => {
    say(error.message);
    process.exit(1);
  });
}

module.exports = {
  ROOT,
  prepare,
  installDependencies,
  dependenciesAreInstalled,
  build,
  isBuilt,
  exitOnFailure,
  say,
};

// `node scripts/prepare.js install` is for CI, which checks the sources before it builds.
if (require.main === module) exitOnFailure(process.argv[2] === 'install' ? installDependencies() : prepare());
