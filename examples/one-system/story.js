// What happened, in lines: each is read from events of the log, and none is told that is not there.
const { foldTask } = require('cadre/client');
const { termsOf } = require('./invariants');

/** The lines of the story, in the order of time. */
function story(evidence) {
  const { issue, printing } = evidence.tasks;
  const told = [
    ...leaderLines(evidence),
    ...momentLines(evidence),
    ...taskLines('issue', issue),
    ...taskLines('printing', printing),
    ...breakerLines(evidence),
    ...agentLines(evidence),
    ...laptopLines(evidence),
  ].sort((a, b) => a.time - b.time);
  const begun = Math.min(...told.map(({ time }) => time));
  const seconds = (time) => `${((time - begun) / 1000).toFixed(1)}s`.padStart(6);
  return told.map(({ time, who, text }) => `${seconds(time)}  ${who.padEnd(9)} ${text}`);
}

function leaderLines({ leader }) {
  return termsOf(leader).flatMap(({ term, leader: who, from, to, how }) => [
    ...(from === undefined
      ? []
      : [{ time: from, who: 'leader', text: `${workerOf(who)} leads in term ${term}` }]),
    ...(to === undefined
      ? []
      : [{ time: to, who: 'leader', text: `term ${term} is over: ${ENDS[how] ?? how}` }]),
  ]);
}

const ENDS = {
  lostHeartbeat: 'nothing is heard of its leader',
  resigned: 'resigned',
  steppedDown: 'stopped',
};

/** Where the issue stood when a leader was lost: a fold of the events until then. */
function momentLines({ leader, tasks }) {
  return termsOf(leader)
    .filter(({ how }) => how === 'lostHeartbeat')
    .map(({ to: time }) => {
      const { steps } = foldTask(tasks.issue.filter((event) => event.time <= time));
      const kinds = Object.values(steps).map(({ kind }) => kind);
      const counts = [...new Set(kinds)].map(
        (kind) => `${kinds.filter((one) => one === kind).length} ${kind}`,
      );
      return { time, who: 'issue', text: `stood then at: ${counts.join(', ')}` };
    });
}

function taskLines(who, events) {
  const news = events.flatMap((event) => (TOLD[event.type]?.(event) ? [event] : []));
  return [...news.flatMap((event, index) => lineOf(who, event, news, index)), ...refusalLines(who, events)];
}

/** What is told at `news[index]`. Steps of which the same is told one after the other share the line of the last. */
function lineOf(who, event, news, index) {
  const { type, time } = event;
  const words = JOINED[type];
  if (words === undefined) return [{ time, who, text: TOLD[type](event) }];
  const end = news.findIndex((one, after) => after > index && JOINED[one.type] === undefined);
  const run = news.slice(0, end < 0 ? news.length : end);
  if (run.findLastIndex((one) => one.type === type) !== index) return [];
  const first = run.findLastIndex((one) => JOINED[one.type] === undefined) + 1;
  const steps = run.slice(first).flatMap((one) => (one.type === type ? [TOLD[type](one)] : []));
  return [{ time, who, text: `${steps.join(', ')} ${words}` }];
}

/** What is said of steps whose events come one after the other, or mixed. */
const JOINED = {
  stepCompleted: 'done',
  stepRetried: 'lost with the worker, and begun again at another',
  compensated: 'undone',
};

/** By type of event what is told of it; undefined for what is no news. */
const TOLD = {
  planned: ({ by, plan, term }) =>
    `planned by ${by}${term === 0 ? '' : ` in term ${term}`}: ${plan.steps.length} steps`,
  leaderWorkReturned: ({ work, why }) =>
    `what it asked of the leader (${work}) ${why === 'heartbeatLost' ? 'was lost with it' : `came back: ${why}`}`,
  assigned: ({ step, agent, term, reason }) => `${step} goes to ${agent} in term ${term}: ${reason}`,
  stepRetried: ({ step, failure }) => (failure?.type === 'TimedOut' ? step : undefined),
  stepCompleted: ({ step }) => step,
  stepFailed: ({ step, failure }) => `${step} failed for good: ${failure.message}`,
  compensated: ({ step }) => step,
  aggregated: ({ term }) => `the result is made in term ${term}`,
  taskFailed: ({ failure }) => `over: ${failure.message}`,
};

/** The waits for a breaker, as one line. */
function refusalLines(who, events) {
  const refused = events.filter(({ type }) => type === 'stepRefused');
  if (refused.length === 0) return [];
  const steps = new Set(refused.map(({ step }) => step));
  const used = Math.max(...refused.map(({ attemptsUsed }) => attemptsUsed));
  const text = `${steps.size} steps wait for the breaker ${refused[0].breaker} (${refused.length} refusals; at most ${used} attempts spent)`;
  return [{ time: refused[0].time, who, text }];
}

function breakerLines({ breaker: { key, changes, reports, settings } }) {
  return changes.map(({ time, kind }) => {
    const before = reports.filter((report) => report.time <= time);
    const calls = before.flatMap((report) => report.calls);
    const sum = (field) => calls.reduce((total, one) => total + one[field], 0);
    const text = {
      open: `${key} opens for the fleet: ${sum('failures')} of ${sum('calls')} calls failed, the last with "${before.findLast(({ error }) => error !== undefined)?.error}"`,
      halfOpen: `${key} is half-open: ${settings.probes === 1 ? 'one call finds' : `${settings.probes} calls find`} out`,
      closed: `${key} closes: the probe went well`,
      isolated: `${key} is isolated by hand`,
    }[kind];
    return { time, who: 'breaker', text };
  });
}

function agentLines({ agents }) {
  return agents.flatMap(({ agent, decisions }) => {
    if (decisions.length === 0) return [];
    const text = `remembers ${decisions.length} decisions, the last: ${decisions.at(-1).rationale}`;
    return [{ time: decisions.at(-1).at, who: agent, text }];
  });
}

/** What the laptop wrote while it was cut off, when the cadre heard of it, and what both know then. */
function laptopLines({ knowledge, gossip, tasks, laptop }) {
  const written = knowledge.crdts.flatMap(({ name, entries }) =>
    entries
      .flatMap((entry) => [entry, ...entry.conflicts])
      .filter(({ by }) => by === 'laptop')
      .map(({ value, at }) => ({
        time: at,
        who: 'laptop',
        text: `cut off, writes ${name}: ${JSON.stringify(value)}`,
      })),
  );
  const heard = gossip.slice(0, 1).flatMap(({ time, agent }) => [
    { time, who: 'laptop', text: `is back, and tells ${agent}; ${both(knowledge)}` },
    ...gone(knowledge, tasks, laptop).map((fact) => ({
      time,
      who: 'laptop',
      text: `took away ${fact}: gone everywhere`,
    })),
  ]);
  return [...written, ...heard];
}

/** What was written at the same time, and is kept side by side. */
function both({ crdts }) {
  const titles = crdts.find(({ name }) => name === 'title')?.value ?? [];
  return `${titles.length} titles are kept: ${titles.toSorted().join(', ')}`;
}

/** Facts that the issue found, and that nobody knows any more. */
function gone({ crdts }, { issue }, laptop) {
  const known = new Set(crdts.find(({ name }) => name === 'facts')?.value ?? []);
  return issue
    .filter(({ type, step }) => type === 'stepCompleted' && !step.startsWith('review-'))
    .map(({ step }) => step)
    .filter((fact) => !known.has(fact) && !laptop.facts.includes(fact));
}

function workerOf(identity) {
  return `worker ${identity.split('@')[0]}`;
}

module.exports = { story };
