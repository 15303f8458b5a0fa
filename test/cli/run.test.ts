// The commands as a user types them, against a real server.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { step } from '../support/agents';
import { type CliProcess, json, jsonLines, sane } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { CliTeam } from '../support/cli-team';

let cli: CliStage;
let team: CliTeam;
let worker: CliProcess;

beforeAll(async () => {
  cli = await CliStage.start();
  team = new CliTeam(cli.folder);
  worker = await cli.worker('--json');
}, 60_000);

afterAll(() => cli.close());

describe('cadre worker', () => {
  test('says in JSON that it is ready, where and with whom', () => {
    expect(jsonLines(worker.stdout)).toEqual([
      {
        ready: true,
        roles: ['leader', 'workflows', 'agents'],
        identity: expect.stringMatching(new RegExp(`^${worker.pid}@`)) as string,
        queues: ['cadre'],
        agents: ['echo', 'gate', 'gate-once', 'stubborn', 'broken', 'person'],
      },
    ]);
  });
});

describe('cadre run', () => {
  test('answers the example question, writes the report, and prints its path and its first lines', async () => {
    const embedded = cli.folder.write('embedded.config.js', 'module.exports = {};');
    const args = ['--cadre', 'embedded', '--config', embedded, '--reports', 'out', '--id', 'main-job'];
    const ended = await cli.run(['run', ...args]);
    sane(ended);
    expect(ended.stderr).toBe('');
    expect(ended.code).toBe(0);
    const report = readFileSync(join(cli.folder.path, 'out', 'main-job.md'), 'utf8');
    expect(ended.stdout).toMatch(/✓ Temporal [\d.]+ at 127\.0\.0\.1/);
    expect(ended.stdout).toMatch(/Web UI {2}http:\S+\/namespaces\/default\/workflows\/main-job/);
    expect(ended.stdout).toMatch(/✓ done in .*: out\/main-job\.md/);
    expect(ended.stdout).toContain(report.split('\n')[0]);
  }, 30_000);

  test('writes one value of JSON with the outputs, and all else to standard error', async () => {
    const ended = await cli.run([
      'run',
      'a goal',
      '--json',
      '--id',
      'run-json',
      '--plan',
      team.plan('a', step('a', 'echo', { input: { text: 'é"\n' } })),
    ]);
    expect(ended.code).toBe(0);
    expect(json(ended)).toMatchObject({
      task: 'run-json',
      status: 'completed',
      outputs: { a: { text: 'é"\n' } },
    });
    expect(ended.stderr).toContain('worker running already');
  });

  test('follows in JSON: one event a line, then the result', async () => {
    const ended = await cli.run([
      'run',
      'a goal',
      '--json',
      '--follow',
      '--plan',
      team.plan('b', step('a', 'echo', { input: 1 })),
    ]);
    expect(ended.code).toBe(0);
    const lines = jsonLines(ended.stdout);
    expect(lines.slice(0, -1).map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(lines.slice(0, -1).map(({ type }) => type)).toEqual([
      'taskStarted',
      'planRequested',
      'planned',
      'stepScheduled',
      'stepStarted',
      'stepCompleted',
      'aggregateRequested',
      'aggregated',
      'taskCompleted',
    ]);
    expect(lines.at(-1)).toMatchObject({ status: 'completed', outputs: { a: 1 } });
  });

  test('detached prints the id and leaves', async () => {
    const ended = await cli.run([
      'run',
      'a goal',
      '--detach',
      '--json',
      '--id',
      'detached',
      '--no-worker',
      '--plan',
      team.plan('c', step('a', 'echo', { input: 1 })),
    ]);
    expect(ended.code).toBe(0);
    expect(json(ended)).toMatchObject({ task: 'detached' });
  });

  test('fails with 1, the reason and what to do', async () => {
    const file = team.plan('d', step('a', 'echo', { input: 'kept' }), step('b', 'broken', { needs: ['a'] }));
    const ended = await cli.run(['run', 'a goal', '--id', 'failing', '--plan', file]);
    sane(ended);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(/✗ Step "b" \(broken\) failed: no such city\n {2}→ .*cadre show/);
    const again = await cli.run(['run', 'a goal', '--id', 'failing-json', '--json', '--plan', file]);
    expect(again.code).toBe(1);
    expect(json(again)).toMatchObject({
      error: { type: 'StepFailed', message: expect.any(String) as string, fix: expect.any(String) as string },
    });
  });

  test('refuses an id that is taken with 1', async () => {
    const args = [
      'run',
      'a goal',
      '--json',
      '--id',
      'taken',
      '--plan',
      team.plan('e', step('a', 'echo', { input: 1 })),
    ];
    expect((await cli.run(args)).code).toBe(0);
    const ended = await cli.run(args);
    expect(ended.code).toBe(1);
    expect(json(ended)).toMatchObject({ error: { type: 'TaskExists' } });
  });
});
