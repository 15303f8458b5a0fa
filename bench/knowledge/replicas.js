// Applying and merging, beside Yjs and Automerge: time, and bytes of a delta against the full state.
const { printTable, summary } = require('../measure');
const { CONTENDERS } = require('./contenders');

/** By entries: how many rounds, how many replicas are written to in each, and how often each. */
const SIZES = {
  10: { rounds: 20, replicas: 50, writes: 1 },
  1000: { rounds: 15, replicas: 4, writes: 10 },
  100_000: { rounds: 5, replicas: 1, writes: 50 },
};
const QUICK_SIZES = {
  10: { ...SIZES[10], rounds: 5 },
  1000: { ...SIZES[1000], rounds: 5 },
};

/** How `entries` came to be: by so many writers, each as often, one operation after the other. */
const WORKLOADS = [
  {
    id: 'findings',
    name: 'OR-Set of findings',
    writers: (entries) => Math.min(entries, 100),
    operation: (at) => ({
      finding: {
        source: `https://example.com/reports/${at % 997}`,
        line: at,
        text: `Finding ${at}: ${'what the source says there, in as many words as it takes, '.repeat(2)}`.slice(
          0,
          100,
        ),
      },
    }),
    count: (contender, replica) => contender.findings(replica).length,
  },
  {
    id: 'replicas',
    name: 'counter, one increment a replica',
    writers: (entries) => entries,
    operation: () => ({ by: 1 }),
    count: (contender, replica) => contender.count(replica),
  },
  {
    id: 'increments',
    name: 'counter, increments of up to 100 replicas',
    writers: (entries) => Math.min(entries, 100),
    operation: () => ({ by: 1 }),
    count: (contender, replica) => contender.count(replica),
  },
];

/**
 * What is timed, by the row's name. `on`: what a replica of as many entries must have merged before; `writes`: done several
 * times to each replica, at most as often as there are operations in 1 %. `opens`: makes another. `merges`: much at once. `grows`: how many more
 * operations the replica has then.
 */
const ROWS = {
  'apply an operation, with its delta': {
    writes: true,
    work: ({ contender, workload, entries }, replica, at) =>
      contender.write(replica, workload.operation(2 * entries + at))[0],
    grows: (_entries, writes) => writes,
  },
  'merge the delta of an operation': {
    writes: true,
    work: ({ contender, messages }, replica, at) => contender.receive(replica, messages[at]),
    grows: (_entries, writes) => writes,
  },
  'delta for one who lacks 1 %': {
    merges: true,
    on: 'diff',
    work: keep(({ contender, seen }, replica) => contender.lacking(replica, seen)),
    grows: onePercent,
  },
  'merge that delta': {
    merges: true,
    work: ({ contender, diff }, replica) => contender.merge(replica, diff),
    grows: onePercent,
  },
  'merge a whole replica, half of it known': {
    merges: true,
    work: ({ contender, whole }, replica) => contender.merge(replica, whole),
    grows: (entries) => entries / 2,
  },
  save: { work: keep(({ contender }, replica) => contender.save(replica)), grows: () => 0 },
  load: { opens: true, work: ({ contender, saved }) => contender.open(READER, saved), grows: () => 0 },
  'read the value': {
    work: keep(({ contender, workload }, replica) => workload.count(contender, replica)),
    grows: () => 0,
  },
};

/** `work`, which leaves the replica as it is. */
function keep(work) {
  return (subject, replica) => {
    work(subject, replica);
    return replica;
  };
}

function onePercent(entries) {
  return Math.max(1, entries / 100);
}

async function measureReplicas({ quick }) {
  const [, ...others] = CONTENDERS.map(({ name, version }) => `${name} ${version}`);
  console.log(`  beside ${others.join(' and ')}, from and to bytes`);
  const results = [];
  for (const workload of WORKLOADS) {
    for (const [entries, plan] of Object.entries(quick ? QUICK_SIZES : SIZES)) {
      const result = { workload: workload.name, entries: Number(entries) };
      console.error(`  ${workload.name}, ${amount(result.entries)} entries`);
      const subjects = CONTENDERS.map((contender) => prepare(contender, workload, result.entries));
      Object.assign(result, { times: measureTimes(subjects, plan), bytes: subjects.map(sizes) });
      printTimes(result);
      results.push(result);
    }
  }
  printBytes(results);
  return results;
}

/** Everything the rows need: what replicas send each other, and what they have saved. */
function prepare(contender, workload, entries) {
  const fails = contender.fails?.(workload, entries);
  if (fails === 'all') return { fails };
  const half = entries / 2;
  const part = (number) => written(contender, workload, { entries: half, first: number * half, number });
  const [shared, left, right] = [part(0), part(1), part(2)];
  const mine = contender.gather(MINE, [...shared, ...left]);
  const theirs = contender.gather(THEIRS, [...shared, ...right]);
  const seen = contender.seen(mine);
  const state = { seen, saved: contender.save(mine), whole: contender.whole(theirs) };
  const subject = { contender, workload, entries, fails, ...state };
  for (const replica of [mine, theirs]) {
    expect(subject, replica, entries);
    contender.close(replica);
  }
  return { ...subject, ...news(subject, seen) };
}

/** The messages of one half's writers. */
function written(contender, workload, { entries, first, number }) {
  const writers = Math.max(1, workload.writers(2 * entries) / 2);
  const messages = [];
  for (let writer = 0; writer < writers; writer += 1) {
    let replica = contender.open(FIRST_WRITER + number * writers + writer);
    for (let at = first + writer; at < first + entries; at += writers) {
      const [after, message] = contender.write(replica, workload.operation(at));
      messages.push(message);
      replica = after;
    }
    contender.close(replica);
  }
  return messages;
}

/** Writers of entries; smaller ones are those of the rows. */
const FIRST_WRITER = 100;
const [READER, WRITER, MINE, THEIRS] = [1, 2, 3, 4];

/**
 * 1 % more, by a writer who has not heard of the others: a message for each operation, and all as a delta for one who lacks
 * just them.
 */
function news({ contender, workload, entries, saved, fails }, seen) {
  let writer = contender.open(WRITER);
  const messages = [];
  for (let at = 0; at < onePercent(entries); at += 1) {
    const [after, message] = contender.write(writer, workload.operation(2 * entries + at));
    messages.push(message);
    writer = after;
  }
  const nobody = contender.open(READER);
  const all = contender.lacking(writer, contender.seen(nobody));
  if (fails === 'merges') {
    for (const replica of [writer, nobody]) contender.close(replica);
    return { messages, diff: all };
  }
  const ahead = contender.merge(contender.open(READER, saved), all);
  const diff = contender.lacking(ahead, seen);
  for (const replica of [writer, nobody, ahead]) contender.close(replica);
  return { messages, diff };
}

/** By row and contender: milliseconds an operation in each round. The contenders take turns; the first round is a warm-up. */
function measureTimes(subjects, { rounds, ...plan }) {
  const times = Object.fromEntries(Object.keys(ROWS).map((row) => [row, subjects.map(() => [])]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, row] of Object.entries(ROWS)) {
      for (const [at, subject] of subjects.entries()) {
        if (subject.fails === 'all' || (subject.fails === 'merges' && row.merges)) continue;
        const milliseconds = timed(subject, row, plan);
        if (round > 0) times[name][at].push(milliseconds);
      }
    }
  }
  return times;
}

/** Milliseconds that one of the row's work takes, on replicas that were loaded for it. */
function timed(subject, { on, work, writes, opens, grows }, plan) {
  const { contender, entries, saved } = subject;
  const replicas = Array.from({ length: plan.replicas }, () => {
    const replica = contender.open(READER, saved);
    return on === undefined ? replica : contender.merge(replica, subject[on]);
  });
  const each = writes ? plan.writes : 1;
  const after = [];
  const began = performance.now();
  for (let replica of replicas) {
    for (let at = 0; at < each; at += 1) replica = work(subject, replica, at);
    after.push(replica);
  }
  const milliseconds = performance.now() - began;
  for (const replica of after) expect(subject, replica, entries + grows(entries, each));
  for (const replica of opens ? [...replicas, ...after] : after) contender.close(replica);
  return milliseconds / (plan.replicas * each);
}

/** Throws where a replica does not have what it must have after the work: it would be the time of something else. */
function expect({ contender, workload }, replica, count) {
  const found = workload.count(contender, replica);
  if (found !== count) throw new Error(`${contender.name}, ${workload.name}: ${found} instead of ${count}`);
}

/** Bytes; undefined for what was not measured. */
function sizes({ fails, messages, diff, whole }) {
  if (fails === 'all') return undefined;
  return { operation: messages[0].length, onePercent: diff.length, whole: whole.length };
}

function printTimes({ workload, entries, times }) {
  const rows = [
    [
      `${workload}: ${amount(entries)} entries, ms`,
      'rounds',
      ...CONTENDERS.flatMap(({ name }) => [`${name} min`, 'p50', 'max']),
    ],
  ];
  for (const [name, each] of Object.entries(times)) {
    const cells = each.flatMap((values) => {
      if (values.length === 0) return ['-', '-', '-'];
      const { min, p50, max } = summary(values);
      return [min, p50, max].map(digits);
    });
    rows.push([name, each[0].length, ...cells]);
  }
  printTable(rows);
}

function printBytes(results) {
  const rows = [['bytes', 'entries', ...CONTENDERS.map(({ name }) => name)]];
  const NAMES = { operation: 'delta of an operation', onePercent: 'delta of 1 %', whole: 'full state' };
  for (const { workload, entries, bytes } of results) {
    for (const [field, name] of Object.entries(NAMES)) {
      rows.push([
        `${workload}: ${name}`,
        amount(entries),
        ...bytes.map((sent) => (sent === undefined ? '-' : amount(sent[field]))),
      ]);
    }
  }
  printTable(rows);
}

/** Three digits of a time. */
function digits(milliseconds) {
  return milliseconds >= 100 ? milliseconds.toFixed(0) : milliseconds.toPrecision(3).replace(/e-?\d+$/, '');
}

function amount(number) {
  return number.toLocaleString('en');
}

module.exports = { measureReplicas };
