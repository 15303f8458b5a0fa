/** `npm run laws`: the laws of every kind of CRDT, each with 10,000 random cases, or as many as are given. */
const { spawn } = require('node:child_process');
const path = require('node:path');
const { ROOT, exitOnFailure, installDependencies, say } = require('./prepare');

const JEST = path.join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js');
const CASES = 10_000;
/** Of a thousand cases of each, on one core. In s. */
const SECONDS = 15;

async function main([given]) {
  const cases = Number(given ?? CASES);
  if (!Number.isInteger(cases) || cases < 1) throw new Error(`Expected a number of cases, got ${given}`);
  await installDependencies();
  const minutes = Math.ceil((cases / 1000) * (SECONDS / 60));
  say(`${cases} cases a law and kind of CRDT: about ${minutes} min, nearly all in comparing states`);
  const child = spawn(process.execPath, [JEST, '--verbose', 'test/core/crdt/laws.test.ts'], {
    cwd: ROOT,
    env: { ...process.env, CADRE_LAW_CASES: String(cases) },
    stdio: 'inherit',
  });
  process.exitCode = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

exitOnFailure(main(process.argv.slice(2)));
