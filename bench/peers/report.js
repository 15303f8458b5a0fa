/** The tables of `npm run bench -- peers`, for the terminal and as Markdown. */

const { aboutMachine } = require('../machine');
const { markdownTable } = require('../measure');

/** What the others are compared with. */
const REFERENCE = 'tuned';

const TITLES = {
  W1: 'W1: three steps in a row',
  W2: 'W2: a plan, ten steps side by side, an aggregate',
  W3: 'W3: the third of three steps fails, the others are undone',
  W4: 'W4: one entity, messages that count in a map',
  W5: 'W5: W1, 100 at once',
};

/** `[{ title, rows }]`, the first of the rows is the head. */
function tablesOf(result) {
  const tables = [];
  for (const [work, title] of Object.entries(TITLES)) {
    const modes = unique(result.rows.filter((row) => row.work === work).map(({ mode }) => mode));
    for (const mode of modes)
      tables.push({ title: `${title}, ${mode}`, rows: timesTable(result, work, mode) });
  }
  if (result.rows.some(({ work }) => work === 'failover'))
    tables.push({ title: 'A worker is killed in the second of three steps', rows: failoverTable(result) });
  return tables;
}

function timesTable({ rows, contenders }, work, mode) {
  const found = rows.filter((row) => row.work === work && row.mode === mode);
  const what = work === 'W4' ? 'messages' : 'runs';
  const ratio = `/ ${REFERENCE}`;
  const times = ['min ms', 'p50 ms', ratio, 'p99 ms', 'max ms', 'a second', 'min', 'max', ratio];
  const head = ['', what, ...times, 'CPU ms', ratio, 'server', 'worker', 'client', 'events', 'KiB'];
  const lines = found.map((row) => {
    const reference = found.find(
      ({ name, kind }) => name === REFERENCE && answered(kind) === answered(row.kind),
    );
    const { events, bytes } = contenders[row.name].facts[work === 'W5' ? 'W1' : work] ?? {};
    const { server, worker, client } = row.cpu;
    const beside = (of) => (reference === undefined ? '-' : (of(row) / of(reference)).toFixed(2));
    return [
      row.kind === undefined ? row.name : `${row.name}, ${row.kind}s`,
      row.runs,
      ...[row.min, row.p50].map(short),
      beside(({ p50 }) => p50),
      ...[row.p99, row.max].map(short),
      ...[row.perSecond.median, row.perSecond.min, row.perSecond.max].map(short),
      beside(({ perSecond }) => perSecond.median),
      short(server + worker + client),
      beside(({ cpu }) => cpu.server + cpu.worker + cpu.client),
      ...[server, worker, client].map(short),
      events ?? '-',
      bytes === undefined ? '-' : (bytes / 1024).toFixed(1),
    ];
  });
  return [head, ...lines];
}

/** Calls and updates are answered, signals are not; only like is compared with like. */
function answered(kind) {
  return kind !== undefined && kind !== 'signal';
}

function failoverTable({ rows }) {
  const head = [
    'ms',
    'kills',
    'begun elsewhere: min',
    'median',
    'max',
    'run ended: min',
    'median',
    'max',
    'steps begun',
  ];
  const lines = rows
    .filter(({ work }) => work === 'failover')
    .map(({ name, runs, milliseconds, finished, trials }) => [
      name,
      runs,
      ...[milliseconds.min, milliseconds.median, milliseconds.max].map(Math.round),
      ...[finished.min, finished.median, finished.max].map(Math.round),
      unique(trials.map(({ began }) => began.join('+'))).join(' or '),
    ]);
  return [head, ...lines];
}

/** Who took part, in which versions, and what was left out and why. */
function contendersTable({ contenders }) {
  const head = ['', 'what', 'versions', 'peak MiB: server', 'worker', 'client', 'left out'];
  const lines = Object.entries(contenders).map(([name, about]) => [
    name,
    about.title,
    Object.entries(about.versions ?? {})
      .map(([what, version]) => `${what}: ${version}`)
      .join('; ') || '-',
    ...['server', 'worker', 'client'].map((role) =>
      about.memory[role] === undefined ? '-' : Math.round(about.memory[role] / 1024),
    ),
    leftOut(about) || '-',
  ]);
  return [head, ...lines];
}

function leftOut({ missing, cannot, errors }) {
  const reasons = Object.entries(cannot ?? {}).map(([work, why]) => `${work}: ${why}`);
  return [...(missing === undefined ? [] : [missing]), ...reasons, ...errors].join('; ');
}

/** As in the table, a few lines each. */
function linesOf({ contenders }) {
  const lines = [];
  for (const [name, about] of Object.entries(contenders)) {
    lines.push(`${name}: ${about.title}`);
    for (const [what, version] of Object.entries(about.versions ?? {})) lines.push(`  ${what}: ${version}`);
    const memory = Object.entries(about.memory).map(([role, peak]) => `${role} ${Math.round(peak / 1024)}`);
    if (memory.length > 0) lines.push(`  peak memory, MiB: ${memory.join(', ')}`);
    if (leftOut(about) !== '') lines.push(`  left out: ${leftOut(about)}`);
  }
  return lines;
}

function markdownOf(result) {
  const parts = [`${aboutMachine(result.machine)} ${result.counts.rounds} rounds.`];
  for (const { title, rows } of tablesOf(result)) parts.push(`### ${title}`, markdownTable(rows));
  parts.push('### Contenders', markdownTable(contendersTable(result)));
  return `${parts.join('\n\n')}\n`;
}

/** Three digits, as many as mean something here. */
function short(value) {
  if (value === 0) return '0';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function unique(values) {
  return [...new Set(values)];
}

module.exports = { linesOf, markdownOf, tablesOf };
