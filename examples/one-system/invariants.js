// What must hold of a run, whatever was killed in it. Each check takes the evidence and returns the `problems` it found, in
// words, and what it `counted`.

/** Of each step that has ended well the effect is in the ledger once; of each that is undone it was taken back once. */
function effectsOnce({ tasks, ledger }) {
  const keys = new Set();
  const problems = [];
  let takenBack = 0;
  for (const events of Object.values(tasks)) {
    const { root } = events[0];
    const undone = stepsOf(events, 'compensated');
    for (const step of stepsOf(events, 'stepCompleted')) {
      // A review has no effect.
      if (step.startsWith('review-')) continue;
      const key = `${root}/${step}/act`;
      keys.add(key);
      const times = count(ledger.effects, key);
      if (times !== 1) problems.push(`${step} had its effect ${times} times`);
      const back = count(ledger.undone, key);
      takenBack += back;
      const expected = undone.includes(step) ? 1 : 0;
      if (back !== expected) problems.push(`${step} was taken back ${back} times, not ${expected}`);
    }
  }
  const others = ledger.effects.filter(({ key }) => !keys.has(key));
  for (const { key } of others) problems.push(`${key} had an effect, and no step says so`);
  return { problems, counted: `${keys.size} effects, ${takenBack} of them taken back once` };
}

/** No step ends twice, or begins again once it has ended. */
function finishedOnce({ tasks }) {
  const problems = [];
  let steps = 0;
  for (const events of Object.values(tasks)) {
    const done = new Set();
    for (const { type, step } of events) {
      if (done.has(step) && ['stepScheduled', 'stepStarted', 'stepCompleted'].includes(type)) {
        problems.push(`${step}: ${type} after it had ended`);
      }
      if (type === 'stepCompleted') done.add(step);
    }
    steps += done.size;
  }
  return { problems, counted: `${steps} steps` };
}

/** Terms rise, each has one leader, and one begins when the one before it is over. */
function termsGrow({ leader }) {
  const terms = termsOf(leader);
  const problems = terms
    .slice(1)
    .flatMap(({ term, from }, index) => [
      ...(term > terms[index].term ? [] : [`term ${term} came after term ${terms[index].term}`]),
      ...(from === undefined || from >= terms[index].to
        ? []
        : [`term ${term} began before the one before it was over`]),
    ]);
  if (terms.length < 2) problems.push('there was one leader only');
  return { problems, counted: terms.map(({ term }) => term).join(' < ') };
}

/** Each decision of a leader is of a term that was led, and none is of a lower term than one before it. */
function noOldTerm({ tasks, leader }) {
  const led = new Set(termsOf(leader).flatMap(({ term, leader: who }) => (who === undefined ? [] : [term])));
  const problems = [];
  let decisions = 0;
  for (const events of Object.values(tasks)) {
    let highest = 0;
    for (const { type, term } of events) {
      if (!['planned', 'assigned', 'notAssigned', 'aggregated'].includes(type) || term === 0) continue;
      decisions += 1;
      if (!led.has(term)) problems.push(`${type} in term ${term}, which nobody led`);
      if (term < highest) problems.push(`${type} in term ${term}, after term ${highest}`);
      highest = Math.max(highest, term);
    }
  }
  const asked = tasks.issue.filter(({ type }) => type === 'leaderWorkReturned').length;
  return { problems, counted: `${decisions} decisions; ${asked} of a lost leader asked for again` };
}

/** What is undone is undone in the reverse order of the starts, each once the one before it is. */
function undoneInReverse({ tasks }) {
  const events = tasks.printing;
  const undone = stepsOf(events, 'compensationScheduled');
  const expected = stepsOf(events, 'stepScheduled')
    .filter((step) => undone.includes(step))
    .toReversed();
  const problems = [];
  if (undone.length === 0) problems.push('nothing was undone');
  if (undone.join() !== expected.join()) problems.push(`${undone.join(', ')}, not ${expected.join(', ')}`);
  if (stepsOf(events, 'compensated').join() !== expected.join())
    problems.push('not all that was begun was undone');
  const steps = events.filter(({ type }) => type === 'compensationScheduled' || type === 'compensated');
  steps.forEach(({ type, step }, index) => {
    const turn = index % 2 === 0 ? 'compensationScheduled' : 'compensated';
    if (type !== turn) problems.push(`${step}: ${type} out of turn`);
  });
  return { problems, counted: undone.join(', ') };
}

/** While it was half-open the model had as many calls as probes at most, and the whole outage cost few. */
function fewProbes({ breaker, ledger, workers }) {
  const { changes, settings } = breaker;
  const problems = [];
  const phases = changes.map(({ time, kind }, index) => ({
    kind,
    from: time,
    to: changes[index + 1]?.time ?? Infinity,
  }));
  const calls = ({ from, to }) => ledger.model.filter(({ at }) => at >= from && at < to).length;
  const halfOpen = phases.filter(({ kind }) => kind === 'halfOpen');
  for (const phase of halfOpen) {
    if (calls(phase) > settings.probes) problems.push(`${calls(phase)} calls in a half-open phase`);
  }
  if (halfOpen.length === 0) problems.push('it was never half-open');
  if (changes.at(-1)?.kind !== 'closed') problems.push(`it is ${changes.at(-1)?.kind ?? 'never opened'}`);
  const failed = ledger.model.filter((call) => call.failed).length;
  const most = workers * settings.minimumCalls + halfOpen.length * settings.probes;
  if (failed > most) problems.push(`${failed} calls failed, more than ${most}`);
  const probes = halfOpen.reduce((sum, phase) => sum + calls(phase), 0);
  return {
    problems,
    counted: `${probes} in ${halfOpen.length} half-open ${halfOpen.length === 1 ? 'phase' : 'phases'}; the outage cost ${failed} calls of at most ${most}`,
  };
}

/** All replicas, that of the laptop too, know the same; of a step that was undone nobody knows anything. */
function replicasAgree({ check, knowledge, laptop }) {
  const problems = [];
  if (!check.agree) problems.push('those of the cadre do not agree');
  const inCadre = JSON.stringify(sorted(knowledge.versionVector));
  if (JSON.stringify(sorted(laptop.versionVector)) !== inCadre)
    problems.push('the laptop knows something else');
  const facts = knowledge.crdts.find(({ name }) => name === 'facts')?.value ?? [];
  if (facts.toSorted().join() !== laptop.facts.toSorted().join()) problems.push('the laptop has other facts');
  const undone = facts.filter((fact) => / has /.test(fact));
  if (undone.length > 0) problems.push(`known, though undone: ${undone.join(', ')}`);
  return { problems, counted: `${check.replicas.length} in the cadre and the laptop, ${facts.length} facts` };
}

/** The terms, the earliest first. */
function termsOf({ past, term, leader }) {
  const present = past[0]?.term === term ? [] : [{ term, leader: leader?.identity, from: leader?.since }];
  return [...past.toReversed(), ...present];
}

function stepsOf(events, type) {
  return events.filter((event) => event.type === type).map(({ step }) => step);
}

function count(list, key) {
  return list.filter((one) => one.key === key).length;
}

function sorted(record) {
  return Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1));
}

const INVARIANTS = {
  'each effect happened once': effectsOnce,
  'what had ended was not run again': finishedOnce,
  'terms only grow': termsGrow,
  'nothing of an old term counts': noOldTerm,
  'the saga was undone in reverse': undoneInReverse,
  'the breaker let through its probes only': fewProbes,
  'all replicas agree': replicasAgree,
};

module.exports = { INVARIANTS, termsOf };
