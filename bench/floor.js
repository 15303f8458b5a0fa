/**
 * Cadre beside its floor, Temporal by hand with our settings, in short turns: both are up all the time, and one rests while the
 * other runs. In the rounds of `peers` a turn takes a minute and a half, in which this machine's speed may change by half.
 * The works are those of peers/driver.js.
 */
const { printTable, summary } = require('./measure');
const { CONTENDERS, withDriver } = require('./peers/contenders');

const SIDES = ['tuned', 'cadre'];
const WORKS = ['W1', 'W2', 'W3'];
/** `runs` of a turn, one at a time; `burst` runs, `atOnce` in flight; `warmups` before the first. */
const FULL = { turns: 16, runs: 15, burst: 60, atOnce: 20, warmups: 100 };
const QUICK = { turns: 4, runs: 10, burst: 40, atOnce: 20, warmups: 30 };
const ROLES = ['server', 'worker', 'client'];

/** By work and mode: what each side took, and Cadre's over the floor's. */
async function run({ quick }) {
  const counts = quick ? QUICK : FULL;
  const results = await bothUp((asks) => measureAll(asks, counts));
  printTable([
    ['', 'runs', 'p50 ms', 'Cadre', 'ratio', 'CPU ms', 'Cadre', 'ratio', ...ROLES, 'events'],
    ...results.map(rowOf),
  ]);
  return { counts, results };
}

/** Runs `work` with one function to ask each side, by name. */
function bothUp(work) {
  return withDriver(CONTENDERS.tuned, { workers: 1 }, (tuned) =>
    withDriver(CONTENDERS.cadre, { workers: 1 }, (cadre) => work({ tuned, cadre })),
  );
}

async function measureAll(asks, { turns, runs, burst, atOnce, warmups }) {
  const results = [];
  for (const work of WORKS) {
    for (const side of SIDES) await asks[side]('burst', { work, atOnce, count: warmups });
    const modes = {
      'one at a time': (ask) => ask('serial', { work, count: runs }),
      [`${atOnce} at once`]: (ask) => ask('burst', { work, atOnce, count: burst }),
    };
    for (const [mode, take] of Object.entries(modes)) {
      console.error(`  ${work}, ${mode}`);
      const taken = await inTurns(asks, turns, take);
      const events = {};
      for (const side of SIDES) events[side] = (await asks[side]('facts', { work })).events;
      results.push({
        work,
        mode,
        ...Object.fromEntries(SIDES.map((side) => [side, total(taken[side])])),
        events,
      });
    }
  }
  return results;
}

async function inTurns(asks, turns, take) {
  const taken = { tuned: [], cadre: [] };
  for (let turn = 0; turn < turns; turn += 1) {
    const order = turn % 2 === 0 ? SIDES : SIDES.toReversed();
    for (const side of order) taken[side].push(await take(asks[side]));
  }
  return taken;
}

/** Of one side: times of all runs, and CPU ms a run by role. */
function total(turns) {
  const times = turns.flatMap((turn) => turn.times);
  const spent = (role) => turns.reduce((sum, { usage }) => sum + usage.cpu[role], 0) / times.length;
  const cpu = Object.fromEntries(ROLES.map((role) => [role, spent(role)]));
  return {
    runs: times.length,
    ...summary(times),
    cpu,
    cpuSum: ROLES.reduce((sum, role) => sum + cpu[role], 0),
  };
}

function rowOf({ work, mode, tuned, cadre, events }) {
  return [
    `${work}, ${mode}`,
    cadre.runs,
    ...pairOf(tuned.p50, cadre.p50),
    ...pairOf(tuned.cpuSum, cadre.cpuSum),
    ...ROLES.map((role) => `${tuned.cpu[role].toFixed(1)} / ${cadre.cpu[role].toFixed(1)}`),
    `${events.tuned} / ${events.cadre}`,
  ];
}

function pairOf(floor, ours) {
  return [floor.toFixed(1), ours.toFixed(1), (ours / floor).toFixed(2)];
}

module.exports = { run };
