/** A cadre's status in words: a section a part, each a headline with rows below it. */
import type {
  Attention,
  CadreStatus,
  OpenBreakerStatus,
  OpenStatus,
  OpenTask,
  Part,
  QueueUse,
  WorkerStatus,
  WorkersStatus,
} from '../client/status';
import type { LeaderReport } from '../client/leader';
import { isGone } from '../client/queue';
import { BREAKER_WORDS, nextProbeAt, whyWords } from '../core/breaker/details';
import { oneLine } from '../core/one-line';
import { openQuestions, questionWords, standWords } from '../core/task-details';
import { agreementLine } from './agent-words';
import { breakerCommandLine } from './breaker-words';
import { count, duration, stamp } from './output';

/** One part of a status. What changes though nothing happens (how long, how long ago) stands apart, so that a watch leaves it out. */
export interface Section {
  readonly label: string;
  readonly kind: 'ok' | 'warning' | 'unread';
  readonly text: string;
  /** How long it has been so; shown behind the text. */
  readonly age?: string;
  readonly rows: readonly Row[];
  /** What to do about it. */
  readonly fix?: string;
  /** What it means that a row is there no more; absent where the rows are not all there are. */
  readonly over?: string;
}

interface Row {
  /** Tells it from the others; its first cell. */
  readonly key: string;
  readonly cells: readonly string[];
  readonly age?: string;
}

const GOAL_MAXIMUM_LENGTH = 50;
const WHY_MAXIMUM_LENGTH = 100;

export function sectionsOf(status: CadreStatus): Section[] {
  const { asOf, leader, workers, breakers, agents, open, attention } = status;
  const leads = leader.kind === 'read' ? leader.value.leader?.identity : undefined;
  return [
    section('leader', leader, (value) => leaderSection(value, asOf)),
    section('workers', workers, (value) => workersSection(value, leads)),
    section('breakers', breakers, (value) => breakersSection(value, asOf)),
    section('agents', agents, ({ agents: names, check }) => {
      if (names.length === 0) return { kind: 'ok', text: 'none remembers anything yet', rows: [] };
      const text = `${count(names.length, 'agent')}: ${agreementLine(check)}`;
      const fix = check.agree ? {} : { fix: 'Who lacks what: cadre knowledge --check' };
      return { kind: check.agree ? 'ok' : 'warning', text, rows: [], ...fix };
    }),
    section('open', open, (value) => openSection(value, asOf)),
    section('person', attention, (value) => attentionSection(value, breakers)),
  ];
}

function section<Value>(
  label: string,
  part: Part<Value>,
  words: (value: Value) => Omit<Section, 'label'>,
): Section {
  if (part.kind === 'read') return { label, ...words(part.value) };
  const text = `could not be read: ${oneLine(part.why, WHY_MAXIMUM_LENGTH)}`;
  return { label, kind: 'unread', text, rows: [] };
}

function leaderSection({ leader, term, candidates }: LeaderReport, now: number): Omit<Section, 'label'> {
  if (leader !== undefined) {
    const age = `for ${duration(Math.max(0, now - leader.since))}`;
    return { kind: 'ok', text: `${leader.identity} leads in term ${term}`, age, rows: [] };
  }
  const standing = candidates.filter(({ identity }) => !isGone(identity));
  const text =
    standing.length === 0
      ? 'nobody leads, and nobody stands: tasks wait for a plan'
      : `nobody leads; ${standing.length} ${standing.length === 1 ? 'stands' : 'stand'}`;
  return {
    kind: 'warning',
    text,
    rows: [],
    ...(standing.length === 0 ? { fix: 'Start a candidate with `cadre worker`.' } : {}),
  };
}

/** What each queue's backlog is, in words. */
const WAITING = {
  workflows: ['workflow task waits for a worker', 'workflow tasks wait for a worker'],
  agents: ['step waits for a worker', 'steps wait for a worker'],
  pool: ['step of a pool waits for a worker', 'steps of a pool wait for a worker'],
  breakers: ['report to a breaker waits for a worker', 'reports to breakers wait for a worker'],
  leader: ['piece of work waits for a leader', 'pieces of work wait for a leader'],
} as const satisfies Record<Exclude<QueueUse, 'candidates'>, readonly [string, string]>;

function workersSection(
  { workers, waiting }: WorkersStatus,
  leads: string | undefined,
): Omit<Section, 'label'> {
  const live = workers.filter(({ identity }) => !isGone(identity));
  const lacking = (['workflows', 'agents'] as const).filter(
    (role) => !live.some(({ serves }) => serves.includes(role)),
  );
  // That a term waits for a candidate, the leader's line says.
  const waits = waiting.flatMap(({ what, backlog }) =>
    what === 'candidates' ? [] : [count(backlog, WAITING[what][0], WAITING[what][1])],
  );
  const lacks = lacking.map((role) => `nobody runs ${role}`);
  const first = live.length === 0 ? 'none' : count(live.length, 'worker');
  return {
    kind: lacking.length === 0 ? 'ok' : 'warning',
    text: [first, ...(live.length === 0 ? [] : lacks), ...waits].join('; '),
    rows: workers.map((worker) => workerRow(worker, worker.identity === leads)),
    ...(lacking.length === 0 ? {} : { fix: 'Start one with `cadre worker`; `cadre run` brings its own.' }),
    over: 'polls no more',
  };
}

function workerRow({ identity, serves, age }: WorkerStatus, leads: boolean): Row {
  // Whoever leads asks for no term.
  const roles = serves.filter(
    (one) => one !== 'breakers' && one !== 'leader' && !(leads && one === 'candidates'),
  );
  const words = roles.map((one) => (one === 'candidates' ? 'stands' : one));
  const what = isGone(identity) ? 'its process is gone' : [...(leads ? ['leads'] : []), ...words].join(', ');
  return { key: identity, cells: [identity, what], age: `polled ${duration(age)} ago` };
}

function breakersSection(breakers: readonly OpenBreakerStatus[], now: number): Omit<Section, 'label'> {
  const rows = breakers.map((breaker) => breakerRow(breaker, now));
  const text = breakers.length === 0 ? 'none open' : `${breakers.length} not closed`;
  return { kind: breakers.length === 0 ? 'ok' : 'warning', text, rows, over: 'closed' };
}

function breakerRow({ key, kind, state }: OpenBreakerStatus, now: number): Row {
  if (state === undefined) return { key, cells: [key, BREAKER_WORDS[kind]] };
  const next = nextProbeAt(state, now);
  const probe =
    next === undefined ? '' : next > now ? `next probe in ${duration(next - now)}` : 'next call probes';
  const why = `${BREAKER_WORDS[kind]} since ${stamp(state.phase.since)}: ${oneLine(whyWords(state, now), WHY_MAXIMUM_LENGTH)}`;
  return { key, cells: [key, why], ...(probe === '' ? {} : { age: probe }) };
}

function openSection({ tasks, sagas, latest }: OpenStatus, now: number): Omit<Section, 'label'> {
  const shown = latest.length < tasks + sagas ? `, the latest ${latest.length}` : '';
  const text =
    tasks + sagas === 0
      ? 'nothing'
      : `${[count(tasks, 'task'), ...(sagas === 0 ? [] : [count(sagas, 'saga')])].join(', ')}${shown}`;
  return {
    kind: 'ok',
    text,
    rows: latest.map((task) => taskRow(task, now)),
    ...(shown === '' ? { over: 'has ended' } : {}),
  };
}

function taskRow({ id, type, goal, startedAt, state }: OpenTask, now: number): Row {
  const planned = state?.plan?.steps.length ?? 0;
  const done = Object.values(state?.steps ?? {}).filter(({ kind }) => kind === 'completed').length;
  const steps = planned === 0 ? '' : `, ${done} of ${count(planned, 'step')}`;
  const stands = state === undefined ? `${type}, not read in time` : `${standWords(state)}${steps}`;
  return {
    key: id,
    cells: [id, stands, oneLine(goal, GOAL_MAXIMUM_LENGTH)],
    age: duration(Math.max(0, now - startedAt)),
  };
}

function attentionSection(
  attention: readonly Attention[],
  breakers: CadreStatus['breakers'],
): Omit<Section, 'label'> {
  const isolated = (breakers.kind === 'read' ? breakers.value : []).filter(({ kind }) => kind === 'isolated');
  const rows = [
    ...attention.flatMap(attentionRows),
    ...isolated.map(
      ({ key }): Row => ({
        key: `breaker ${key}`,
        cells: [`breaker ${key}`, 'is isolated', `→ ${breakerCommandLine(key, 'release')}`],
      }),
    ),
  ];
  return {
    kind: rows.length === 0 ? 'ok' : 'warning',
    text: rows.length === 0 ? 'nothing waits for a person' : `${rows.length} to decide`,
    rows,
    over: 'waits for nobody any more',
  };
}

function attentionRows({ id, step, state }: Attention): Row[] {
  const questions = state === undefined ? [] : openQuestions(state);
  if (questions.length === 0) {
    return [{ key: `${id} ${step}`, cells: [id, `${step} waits`, `→ cadre show ${id}`] }];
  }
  return questions.map((question): Row => {
    const { text, command } = questionWords(id, question);
    const cells = [id, oneLine(text, WHY_MAXIMUM_LENGTH), `→ ${command}`];
    return { key: `${id} ${question.step}`, cells };
  });
}
