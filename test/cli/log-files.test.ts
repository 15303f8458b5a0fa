// log, state, diff and why of histories in files, as a user types them, where no server answers.
import { join } from 'node:path';
import { Cli, type Ended, ROOT, json, jsonLines, sane } from '../support/cli';
import { TemporaryFolder } from '../support/temporary-folder';

const folder = new TemporaryFolder();
const cli = new Cli(folder, { TEMPORAL_ADDRESS: '127.0.0.1:1' });
const recorded = (name: string): string => join(ROOT, 'test', 'replay', 'histories', `${name}.json`);

afterAll(async () => {
  await cli.stop();
  folder.remove();
});

async function run(...args: readonly string[]): Promise<Ended> {
  const ended = await cli.run(args);
  sane(ended);
  return ended;
}

async function lines(...args: readonly string[]): Promise<string[]> {
  return (await run(...args)).stdout.trimEnd().split('\n');
}

describe('cadre log', () => {
  test('has each event with its number, time, cause, event id, actor and step', async () => {
    const [headings, ...events] = await lines('log', recorded('reassigned'));
    expect(headings).toMatch(/^ +# {2}TIME \(UTC\) +CAUSE {2}EVENT {2}ACTOR +STEP +WHAT$/);
    expect(events).toHaveLength(14);
    expect(events[0]).toMatch(/^ {4}1 {2}2026-\S+T14:04:20\.315 +– +1 {2}caller +task +taskStarted$/);
    expect(events[7]).toMatch(/^ {4}8 .* #7 +19 {2}leader +a +assigned goes to skilled: shares count/);
  });

  test('has the same events in JSON, one a line', async () => {
    const { stdout } = await run('log', recorded('reassigned'), '--json');
    const events = jsonLines(stdout);
    expect(events.map(({ number }) => number)).toEqual(Array.from({ length: 14 }, (_none, at) => at + 1));
    expect(events[7]).toMatchObject({
      type: 'assigned',
      actor: 'leader',
      cause: 7,
      eventId: 19,
      agent: 'skilled',
    });
  });

  test.each<[string[], string[]]>([
    [
      ['--agent', 'skilled'],
      ['assigned', 'stepScheduled', 'stepStarted', 'stepCompleted'],
    ],
    [
      ['--type', 'stepFailed,assigned'],
      ['stepFailed', 'assigned'],
    ],
    [['--agent', 'unskilled', '--type', 'stepFailed'], ['stepFailed']],
    [
      ['--step', 'a', '--type', 'stepScheduled'],
      ['stepScheduled', 'stepScheduled'],
    ],
    [['--step', 'nothing'], []],
  ])('%j has only the events that are so', async (filter, types) => {
    const { stdout } = await run('log', recorded('reassigned'), '--json', ...filter);
    expect(jsonLines(stdout).map(({ type }) => type)).toEqual(types);
  });

  test('says where no event is so, and which types there are', async () => {
    expect(await lines('log', recorded('reassigned'), '--step', 'x')).toEqual([
      'None of its 14 events is so',
    ]);
    const ended = await cli.run(['log', recorded('reassigned'), '--type', 'stepDone', '--json']);
    expect(ended.code).toBe(2);
    expect(json(ended)).toMatchObject({
      error: {
        type: 'InputInvalid',
        message: expect.stringMatching(/stepCompleted.*got "stepDone"/) as string,
      },
    });
  });
});

describe('cadre state', () => {
  test('is the fold of the events up to a number, with outputs and decisions', async () => {
    const state = await cli.json(['state', recorded('main-job'), '--at', '13']);
    expect(state).toMatchObject({
      id: 'main-job',
      number: 13,
      state: {
        phase: { kind: 'running' },
        plannedBy: 'planner',
        steps: { 'research-2': { kind: 'completed' }, 'research-1': { kind: 'scheduled' } },
      },
      outputs: { 'research-2': { filesRead: 3 } },
      decisions: { plan: [{ type: 'documentsDivided' }], 'research-3': [{ type: 'passagesChosen' }] },
      missing: [],
    });
    expect(Object.keys(state['outputs'] as object).sort()).toEqual(['research-2', 'research-3']);
    const shown = (await run('state', recorded('main-job'), '--at', '13')).stdout;
    expect(shown).toMatch(/^main-job {2}running\n {2}after +event 13, 2026-\S+ UTC\n/);
    expect(shown).toMatch(/plan +5 steps, by planner\n {2}term +\d+\n/);
    expect(shown).toMatch(/\n {2}research-1 +research +scheduled +research documents 1-5 of 12\n/);
    expect(shown).toMatch(/\n {2}research-2 +\{"filesRead":3,/);
    expect(shown).toMatch(/\n {2}research-3 +passagesChosen +2 passages from 2 files\n/);
  });

  test.each([
    ['2026-11-21T18:30:04.190', 11],
    ['2020-01-01', 0],
    ['last', 27],
    ['1', 1],
  ])('--at %s is after event %i', async (at, number) => {
    expect(await cli.json(['state', recorded('main-job'), '--at', at])).toMatchObject({ number });
  });

  test('says where the log ends before the point, or begins after it', async () => {
    expect((await run('state', recorded('main-job'), '--at', '99')).stdout).toMatch(
      /the log ends with event 27\n$/,
    );
    expect((await run('state', recorded('main-job'), '--at', '2020-01-01')).stdout).toBe(
      'main-job  had not begun\n',
    );
  });

  test('has what was undone', async () => {
    const { stdout } = await run('state', recorded('saga-undone'));
    expect(stdout).toMatch(/^saga-undone {2}failed and undone: StepFailed\n/);
    expect(stdout).toMatch(
      /UNDONE +AGENT +THE STEP HAD +STATE\n +c +undoable +completed +undone\n +b .* skipped: a note/,
    );
  });

  test('names an output that is not in the artifact store, and has the others', async () => {
    const { stdout, code } = await run('state', recorded('large-output'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/not in the artifact store here: sha256:\w{12}… \(\d.*B\)/);
    const { missing } = await cli.json(['state', recorded('large-output')]);
    const artifact = expect.stringMatching(/^sha256:/) as string;
    expect(missing).toMatchObject([
      { of: 'a', artifact },
      { of: 'b', artifact },
    ]);
  });

  test.each([[['state']], [['state', 'x', '--fleet']], [['state', recorded('lock'), '--at', '0']]])(
    '%j is refused',
    async (args) => {
      const ended = await cli.run([...args, '--json']);
      expect(ended.code).toBe(2);
      expect(json(ended)).toMatchObject({ error: { type: 'InputInvalid' } });
    },
  );
});

describe('cadre diff', () => {
  test('has what changed between two points of a log', async () => {
    const [first, , headings, ...rows] = await lines('diff', recorded('main-job'), '5', '9');
    expect(first).toBe('main-job  event 5 to 9: 2 differences');
    expect(headings).toMatch(/^ {2}WHERE +#5 +#9$/);
    expect(rows[0]).toMatch(/^ {2}steps\.research-2 {2}scheduled +completed \{"output":/);
    expect(rows[1]).toMatch(/^ {2}steps\.research-3 {2}waiting +scheduled$/);
    expect(await lines('diff', recorded('main-job'), 'last', '27')).toEqual([
      'main-job  event 27 to 27: 0 differences',
    ]);
  });

  test('has where two logs part, and how they stand', async () => {
    const ended = await run('diff', recorded('vote-tie'), recorded('vote-quorum'));
    expect(ended.stdout).toMatch(
      /^They part at the task:\n\n {2}vote-tie +#1 {2}taskStarted\n {2}vote-quorum +#1 /,
    );
    expect(ended.stdout).toMatch(/\n {2}goal +"tie" +"vote"\n\nThey stand: \d+ differences\n/);
    expect(ended.stdout).toMatch(/steps\.a\.output\.value\.by +"leader" +"quorum"\n/);
    expect(ended.stdout).not.toMatch(/root|deadline|runId|term/);
    expect(await cli.json(['diff', recorded('vote-tie'), recorded('vote-quorum')])).toMatchObject({
      first: 'vote-tie',
      second: 'vote-quorum',
      parting: {
        part: 'task',
        first: { number: 1 },
        differences: [{ path: ['goal'], before: 'tie', after: 'vote' }],
      },
    });
  });

  test('says where they do not', async () => {
    expect(await lines('diff', recorded('vote-tie'), recorded('vote-tie'))).toEqual([
      'They say the same, as far as both go.',
      '',
      'They stand the same.',
    ]);
  });

  test('files of the same task are told apart by their paths', async () => {
    const { first, second } = await cli.json(['diff', recorded('failed'), recorded('failed')]);
    expect([first, second]).toEqual([recorded('failed'), recorded('failed')]);
  });

  test('of a point that is none', async () => {
    const ended = await cli.run(['diff', recorded('main-job'), '5', 'never', '--json']);
    expect(ended.code).toBe(2);
    expect(json(ended)).toMatchObject({ error: { type: 'InputInvalid' } });
  });
});

describe('cadre why', () => {
  test('goes from an output back to the goal, each event once, with what was decided and on what', async () => {
    const told = await lines('why', recorded('main-job'), 'writer');
    expect(told[0]).toMatch(/^#23 ← #22, #20 {2}writer {2}put out \{"report":/);
    expect(told.slice(1, 4)).toEqual([
      '  #22 ← #20  writer  writer decided:',
      '        reportWritten: 5 sentences, 5 citations checked',
      '          evidence {"unconfirmed":[]}',
    ]);
    expect(told.filter((line) => /^ *#3 /.test(line))).toHaveLength(1);
    expect(told.join('\n')).toMatch(
      /#3 ← #1 {2}planner {2}planned 5 steps: .*\n +documentsDivided: 12 documents for 3 researchers\n/,
    );
    expect(told.join('\n')).toMatch(/\n +#1 {2}task {2}the goal: How long are backups kept\?\n/);
    const reasons = jsonLines((await run('why', recorded('main-job'), 'writer', '--json')).stdout);
    expect(reasons[0]).toMatchObject({
      event: { number: 23, type: 'stepCompleted' },
      because: [22, 20],
      depth: 0,
    });
  });

  test('without a step goes from where the task stands', async () => {
    const told = await lines('why', recorded('saga-undone'));
    expect(told[0]).toMatch(/^#26 ← #25 {2}task {2}taskFailed StepFailed: /);
    expect(told.join('\n')).toMatch(/#14 ← #13 {2}d {2}approvalAnswered refused: a note\n/);
  });

  test('names the log that has what was before', async () => {
    expect((await run('why', recorded('saga-resumed'), 'a')).stdout).toMatch(
      /#1 {2}task {2}goes on from saga-terminated, which was terminated; why it got there is in its log\n$/,
    );
  });

  test('of a step that there is not', async () => {
    const ended = await cli.run(['why', recorded('main-job'), 'nothing', '--json']);
    expect(ended.code).toBe(2);
    expect(json(ended)).toMatchObject({
      error: { type: 'InputInvalid', message: expect.stringContaining('research-1, research-2') as string },
    });
  });
});

test.each([
  [['log', recorded('continued-as-new-2')]],
  [['state', recorded('continued-as-new-2')]],
  [['diff', recorded('continued-as-new-2'), '1', '2']],
  [['diff', recorded('vote-tie'), recorded('continued-as-new-2')]],
  [['why', recorded('continued-as-new-2')]],
])('%j says what it could not read, and has the rest', async (args) => {
  const { stdout, code } = await run(...args);
  expect(code).toBe(0);
  expect(stdout).toMatch(/\n! not read: the history begins with run .*; the runs before it, .* are gone\n$/);
  const forPrograms = await run(...args, '--json');
  expect(forPrograms.stderr).toMatch(/! not read: the history begins with run/);
  expect(jsonLines(forPrograms.stdout).length).toBeGreaterThan(0);
});

test('a file that is none is refused by each', async () => {
  const file = folder.write('none.json', '{"hello":1}');
  for (const args of [
    ['log', file],
    ['state', file],
    ['diff', file, '1', '2'],
    ['why', file, 'a'],
  ]) {
    const ended = await cli.run([...args, '--json']);
    expect(ended.code).not.toBe(0);
    expect(json(ended)).toMatchObject({ error: { type: 'HistoryFileInvalid' } });
  }
});
