// list, show and cancel as a user types them, against a real server.
import { step } from '../support/agents';
import { type CliProcess, type Ended, json, jsonLines, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { CliTeam } from '../support/cli-team';

let cli: CliStage;
let team: CliTeam;
let worker: CliProcess;

beforeAll(async () => {
  cli = await CliStage.start();
  team = new CliTeam(cli.folder);
  worker = await cli.worker();
}, 60_000);

afterAll(() => cli.close());

describe('cadre list, show and cancel', () => {
  test('list tells of tasks, the latest first, for a person and in JSON', async () => {
    const one = team.plan('list', step('a', 'echo', { input: 1 }));
    await cli.run(['run', 'the older one', '--id', 'list-1', '--cadre', 'lists', '--plan', one]);
    await cli.run(['run', 'the newer one', '--id', 'list-2', '--cadre', 'lists', '--plan', one]);
    let ended: Ended | undefined;
    await until(async () => {
      ended = await cli.run(['list', '--json', '--cadre', 'lists']);
      return jsonLines(ended.stdout).filter(({ status }) => status === 'completed').length === 2;
    });
    expect(jsonLines(ended?.stdout ?? '')).toMatchObject([
      { id: 'list-2', status: 'completed', goal: 'the newer one' },
      { id: 'list-1', status: 'completed', goal: 'the older one' },
    ]);
    const lines = await cli.run(['list', '--cadre', 'lists', '--limit', '1']);
    sane(lines);
    expect(lines.stdout).toMatch(/^TASK +STATUS +STARTED \(UTC\) +TOOK +GOAL\nlist-2 .* the newer one\n$/);
    expect((await cli.run(['list', '--cadre', 'empty'])).stdout).toMatch(/No tasks of the cadre "empty"/);
  }, 30_000);

  test('show tells what a running task waits for, and cancel stops it', async () => {
    const file = team.plan('g', step('gated', 'gate'), step('after', 'echo', { needs: ['gated'] }));
    const run = cli.start(['run', 'a goal', '--id', 'shown', '--plan', file]);
    await until(() => team.has('began', 'gated'));
    const shown = await cli.run(['show', 'shown']);
    sane(shown);
    expect(shown.stdout).toMatch(/^shown {2}running/);
    expect(shown.stdout).toMatch(new RegExp(`gated +gate +running for .* on ${worker.pid}@`));
    expect(shown.stdout).toMatch(/after +echo +waiting/);
    const cancelled = await cli.run(['cancel', 'shown', '--json']);
    expect(json(cancelled)).toEqual({ task: 'shown', cancelRequested: true });
    const { code, stdout } = await run.ended;
    expect(code).toBe(1);
    expect(stdout).toContain('The task was cancelled');
    expect((await cli.run(['show', 'shown'])).stdout).toMatch(/^shown {2}cancelled/);
    // A second time there is nothing to stop.
    const again = await cli.run(['cancel', 'shown']);
    sane(again);
    expect([0, 1]).toContain(again.code);
  }, 30_000);

  test('show tells of a task that waits for a worker', async () => {
    const file = team.plan('h', step('a', 'echo', { input: 1 }));
    await cli.run([
      'run',
      'a goal',
      '--id',
      'waits',
      '--cadre',
      'deserted',
      '--no-worker',
      '--detach',
      '--plan',
      file,
    ]);
    const shown = await cli.run(['show', 'waits']);
    sane(shown);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/waits {2}planning/);
    expect(shown.stdout).toMatch(/no worker|waits for a worker/);
  });

  test('show tells why a task failed, and what its finished steps put out', async () => {
    const file = team.plan(
      'i',
      step('a', 'echo', { input: { kept: true } }),
      step('b', 'broken', { needs: ['a'] }),
      step('c', 'echo', { needs: ['b'] }),
    );
    await cli.run(['run', 'a goal', '--id', 'why', '--plan', file]);
    const shown = await cli.run(['show', 'why']);
    sane(shown);
    expect(shown.stdout).toMatch(/^why {2}failed: StepFailed/);
    expect(shown.stdout).toMatch(/a +echo +completed, 13 B/);
    expect(shown.stdout).toMatch(/b +broken +failed: no such city/);
    expect(shown.stdout).toMatch(/c +echo +waiting/);
    expect(shown.stdout).toMatch(/✗ Step "b" \(broken\) failed: no such city\n {2}→ /);
    const output = await cli.run(['show', 'why', '--step', 'a']);
    expect(JSON.parse(output.stdout)).toEqual({ kept: true });
    expect(await cli.json(['show', 'why', '--step', 'a'])).toEqual({
      step: 'a',
      output: { kept: true },
    });
    const events = jsonLines((await cli.run(['show', 'why', '--events', '--json'])).stdout);
    expect(events.at(-1)).toMatchObject({ type: 'taskFailed', failure: { type: 'StepFailed' } });
    const lines = await cli.run(['show', 'why', '--events']);
    sane(lines);
    expect(lines.stdout.trim().split('\n')).toHaveLength(events.length + 1);
    expect(await cli.json(['show', 'why'])).toMatchObject({
      id: 'why',
      state: { phase: { kind: 'failed' } },
    });
  }, 30_000);

  test.each([
    [['show', 'nowhere']],
    [['show', 'nowhere', '--events']],
    [['cancel', 'nowhere']],
    [['show', '']],
    [['show', 'x'.repeat(2000)]],
  ])('cadre %j knows no such task', async (args) => {
    const ended = await cli.run([...args, '--json']);
    expect(ended.code).toBe(1);
    expect(json(ended)).toMatchObject({
      error: { type: 'TaskNotFound', fix: expect.stringContaining('cadre list') as string },
    });
  });

  test('an unknown step of a task', async () => {
    await cli.run([
      'run',
      'a goal',
      '--id',
      'one-step',
      '--plan',
      team.plan('f', step('a', 'echo', { input: 1 })),
    ]);
    const ended = await cli.run(['show', 'one-step', '--step', 'b']);
    expect(ended.stdout).toMatch(/Step "b" of one-step has no output \(finished steps: a\)/);
    expect(ended.code).toBe(2);
  });
});
