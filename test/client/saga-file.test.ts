// Pure: texts in YAML and JSON to a saga, and what is wrong with them and where.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  type SagaFileProblem,
  loadSagaFile,
  parseSaga,
  problemText,
  readSagaFile,
  sagaOrThrow,
} from '../../src/client/saga-file';
import { POLICY_RANGES } from '../../src/core/policy';
import { STEP_KINDS } from '../../src/core/saga';
import { TemporaryFolder } from '../support/temporary-folder';

const ROOT = join(__dirname, '..', '..');

const problemsOf = (text: string): string[] =>
  parseSaga(text).problems.map((problem) => problemText('x.yaml', problem));

const saga = (...lines: string[]): string => ['name: a saga', 'steps:', ...lines, ''].join('\n');

describe('a saga of a file', () => {
  test('is the same in YAML and in JSON', () => {
    const yaml = parseSaga(
      ['name: trip', 'lock: order-42', 'steps:', '  - { id: a, agent: echo, input: [1, null, "x"] }'].join(
        '\n',
      ),
    );
    const json = parseSaga(
      '{"$schema":"x","name":"trip","lock":"order-42","steps":[{"id":"a","agent":"echo","input":[1,null,"x"]}]}',
    );
    expect(yaml).toMatchObject({
      kind: 'saga',
      input: { name: 'trip', lock: 'order-42', steps: [{ id: 'a', agent: 'echo', input: [1, null, 'x'] }] },
    });
    expect(json).toMatchObject({ kind: 'saga', input: sagaOrThrow(yaml, 'x') });
  });

  test('has durations in words or in milliseconds', () => {
    const text = `
name: slow
timeLimit: 2 days
steps:
  - id: a
    agent: echo
    approval: { answerWithin: 1 hour, validFor: 60000 }
    policy:
      startToClose: 30 s
      heartbeatTimeout: 1.5s
      scheduleToClose: 10 minutes
      scheduleToStart: 500
      retry: { initialInterval: 300 ms, maximumInterval: 1m, maximumAttempts: unlimited }
  - { id: b, agent: echo, approval: true, policy: { retry: { maximumAttempts: 3 } } }
`;
    expect(sagaOrThrow(parseSaga(text), 'x')).toEqual({
      name: 'slow',
      timeLimit: 172_800_000,
      steps: [
        {
          id: 'a',
          agent: 'echo',
          approval: { answerWithin: 3_600_000, validFor: 60_000 },
          policy: {
            startToClose: 30_000,
            heartbeatTimeout: 1500,
            scheduleToClose: 600_000,
            scheduleToStart: 500,
            retry: { initialInterval: 300, maximumInterval: 60_000, maximumAttempts: 0 },
          },
        },
        { id: 'b', agent: 'echo', approval: {}, policy: { retry: { maximumAttempts: 3 } } },
      ],
    });
  });

  test('keeps in an input what looks like a duration or a shorthand elsewhere', () => {
    const text = saga(
      '  - { id: a, agent: echo, input: { timeLimit: 2 days, approval: true, steps: [{ approval: true }] } }',
    );
    expect(sagaOrThrow(parseSaga(text), 'x').steps[0]?.input).toEqual({
      timeLimit: '2 days',
      approval: true,
      steps: [{ approval: true }],
    });
  });

  test('may say something once and mean it twice', () => {
    const text = saga(
      '  - { id: a, agent: echo, input: &what { deep: [1] } }',
      '  - { id: b, agent: echo, input: *what }',
    );
    expect(sagaOrThrow(parseSaga(text), 'x').steps.map(({ input }) => input)).toEqual([
      { deep: [1] },
      { deep: [1] },
    ]);
  });

  test('may begin with a byte-order mark and end its lines as Windows does', () => {
    const text = `\ufeff${saga('  - { id: a, agent: echo }').replace(/\n/g, '\r\n')}`;
    expect(parseSaga(text).kind).toBe('saga');
    expect(problemsOf(text.replace('agent: echo', 'agent: 5'))).toEqual([
      "x.yaml:3:14 steps[0].agent: expected an agent's name, got 5",
    ]);
  });

  test('is what the example has', async () => {
    const input = await readSagaFile(join(ROOT, 'examples', 'publishing', 'publish.yaml'));
    expect(input.steps.map(({ id }) => id)).toContain('writer');
    expect(input.timeLimit).toBeGreaterThan(1000);
  });
});

describe('what is wrong with a saga is told with its line, column and field', () => {
  test.each<[string, string, string[]]>([
    [
      'a wrong type',
      saga('  - id: a', '    agent: 5'),
      ["4:5 steps[0].agent: expected an agent's name, got 5"],
    ],
    [
      'a missing field, at its step',
      saga('  - id: a', '  - id: b', '    agent: x'),
      ["3:5 steps[0].agent: expected an agent's name, got nothing"],
    ],
    [
      'an unknown field',
      saga('  - id: a', '    agent: x', '    neds: [b]'),
      [
        '5:5 steps[0].neds: expected left out (the fields of a step are id, agent, vote, instruction, needs, input, kind, compensate, approval, policy), got ["b"]',
      ],
    ],
    [
      'a nested field',
      saga('  - id: a', '    agent: x', '    policy:', '      retry:', '        maximumAttempts: 0.5'),
      ['7:9 steps[0].policy.retry.maximumAttempts: expected a number from 1 to 1000, got 0.5'],
    ],
    [
      'a duration out of range, as it was written',
      saga('  - { id: a, agent: x }', 'timeLimit: 500 ms'),
      [
        '4:1 timeLimit: expected milliseconds from 1000 to 31536000000, or a text such as "30 s", got "500 ms"',
      ],
    ],
    [
      'a text that is no duration',
      saga('  - { id: a, agent: x, approval: { validFor: soon } }'),
      ['3:36 steps[0].approval.validFor: expected milliseconds, or a text such as "30 s", got "soon"'],
    ],
    [
      'what is wrong with the whole beside what is wrong with a step',
      'nam: x\nsteps:\n  - id: a\n',
      [
        '1:1 nam: expected left out (the fields are name, steps, unwinding, timeLimit, lock), got "x"',
        '1:1 name: expected a text of 1 to 2000 characters, got nothing',
        "3:5 steps[0].agent: expected an agent's name, got nothing",
      ],
    ],
    [
      'a need that is no step, where it is said',
      saga('  - { id: a, agent: x, needs: [b] }'),
      ['3:24 steps[0].needs: Step "a" needs "b", which is not a step of the plan: add it or drop the need'],
    ],
    [
      'a circle',
      saga('  - { id: a, agent: x, needs: [b] }', '  - { id: b, agent: x, needs: [a] }'),
      ['3:24 steps[0].needs: Steps need each other in a circle (a → b → a): remove one of these needs'],
    ],
    [
      'two steps of one id',
      saga('  - { id: a, agent: x }', '  - { id: a, agent: x }'),
      ['4:7 steps[1].id: Two steps have the id "a": give each its own'],
    ],
    [
      'a pivot in the wrong place',
      saga('  - { id: a, agent: x, kind: pivot }', '  - { id: b, agent: x, kind: compensable }'),
      ['4:24 steps[1].kind: Step "b" comes after the pivot "a" and is never undone: make it retryable'],
    ],
    [
      'a vote',
      saga('  - { id: a, vote: { agents: [x, y] } }'),
      ['3:14 steps[0].vote: steps[0] is a vote, which needs a leader: start it as a task'],
    ],
    [
      'a step that stands where an alias points to',
      saga('  - &s { id: a, agent: 5 }', '  - *s'),
      [
        "3:17 steps[0].agent: expected an agent's name, got 5",
        "3:17 steps[1].agent: expected an agent's name, got 5",
      ],
    ],
    ['steps that are no list', 'name: x\nsteps: 5\n', ['2:1 steps: expected a list of steps, got 5']],
    ['no steps at all', 'name: x\n', ['1:1 steps: expected a list of steps, got nothing']],
    ['an empty list of steps', 'name: x\nsteps: []\n', ['1:1 Expected at least one step, got none']],
    ['a step that is no object', saga('  - 5'), ['3:5 steps[0]: expected an object']],
    ['a list', '- a\n', ['1:1 Expected an object such as { "name": "...", "steps": [...] }']],
    ['a word', 'hello\n', ['1:1 Expected an object such as { "name": "...", "steps": [...] }']],
  ])('%s', (_what, text, expected) => {
    expect(problemsOf(text)).toEqual(expected.map((line) => `x.yaml:${line}`));
  });

  test.each<[string, string, string]>([
    ['no text', '', '1:1 expected a saga with `name` and `steps`, got an empty file'],
    ['only a comment', '# nothing\n', '1:1 expected a saga with `name` and `steps`, got an empty file'],
    [
      'two documents',
      'name: x\n---\nname: y\n',
      '2:1 expected one document, and here begins another: give each saga a file of its own',
    ],
    ['a field twice', 'name: x\nname: y\n', '2:1 this field is there already: expected each once'],
    ['a tab', 'name: x\nsteps:\n\t- id: a\n', '3:1 expected spaces, got a tab'],
    [
      'a bracket that is not closed',
      'name: [x\n',
      '2:1 Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['an anchor that is not there', 'name: *x\n', '1:7 there is no anchor &x before it'],
    ['an alias within itself', 'name: &x [*x]\n', '1:11 *x stands within what it stands for'],
    ['a tag', 'name: !!binary aGk=\n', '1:7 Unresolved tag: tag:yaml.org,2002:binary'],
    ['a number that is none', 'name: .inf\n', '1:7 .inf is no number that JSON has'],
    [
      'a number that would lose digits',
      'name: 12345678901234567890\n',
      '1:7 12345678901234567890 has more digits than a number can hold: put it into quotes',
    ],
    [
      'a field whose name is no text',
      'name: { 1: x }\n',
      '1:9 expected a text as the name of a field: put it into quotes',
    ],
    [
      'a field whose name is a list',
      '? [a]\n: 1\n',
      '1:3 expected a text as the name of a field: put it into quotes',
    ],
    ['brackets without end', '['.repeat(20_000), '1:1'],
    [
      'many levels',
      `name: ${'['.repeat(200)}${']'.repeat(200)}\n`,
      '1:1 expected at most 100 levels of lists and objects',
    ],
  ])('%s is no saga', (_what, text, expected) => {
    const read = parseSaga(text);
    expect(read.kind).toBe('refused');
    expect(problemsOf(text)[0]).toContain(
      `x.yaml:${expected.split(' ')[0] === '1:1' && text.length > 1000 ? '1:' : expected}`,
    );
  });

  test('an object of 100,000 fields is read in seconds', () => {
    const fields = Array.from({ length: 100_000 }, (_, index) => `k${index}: 1`);
    const began = performance.now();
    expect(parseSaga(fields.join('\n')).kind).toBe('refused');
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  test('aliases of aliases that multiply are refused at once', () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const items = level === 0 ? 'x' : `*l${level - 1}`;
      return `l${level}: &l${level} [${Array.from({ length: 10 }, () => items).join(', ')}]`;
    });
    const began = performance.now();
    expect(problemsOf(`${levels.join('\n')}\n`)).toEqual([
      'x.yaml:1:1 aliases stand for too much: write out what they stand for',
    ]);
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

describe('the file of a saga', () => {
  let folder: TemporaryFolder;
  beforeAll(() => (folder = new TemporaryFolder()));
  afterAll(() => folder.remove());

  const refused = async (path: string): Promise<string[]> =>
    (await loadSagaFile(path)).problems.map((problem) => problemText('x', problem));

  test('may be 1 MiB, and not more', async () => {
    const text = saga('  - { id: a, agent: echo }');
    const padded = `${text}#${'x'.repeat(1024 * 1024 - text.length - 1)}`;
    expect((await loadSagaFile(folder.write('fits.yaml', padded))).kind).toBe('saga');
    expect(await refused(folder.write('large.yaml', `${padded}x`))).toEqual([
      'x: it is larger than 1048576 bytes: pass large inputs by path',
    ]);
  });

  test.each([
    ['that is not there', () => join(folder.path, 'nowhere.yaml'), 'there is no such file'],
    ['that is a folder', () => folder.path, 'it is a folder'],
    ['without end', () => '/dev/zero', 'it is larger than 1048576 bytes'],
    ['that is no text', () => binary(), 'expected a text in UTF-8'],
  ])('%s is refused', async (_what, path, message) => {
    expect(await refused(path())).toEqual([expect.stringContaining(`x: ${message}`)]);
  });

  const binary = (): string => {
    const path = join(folder.path, 'binary');
    writeFileSync(path, Buffer.from([0x6e, 0xff, 0xfe, 0x00]));
    return path;
  };

  test('is refused with its first problems, and has all in `details`', async () => {
    const steps = Array.from({ length: 8 }, (_, index) => `  - { id: s${index}, agent: ${index} }`);
    const path = folder.write('bad.yaml', saga(...steps));
    await expect(readSagaFile(path)).rejects.toMatchObject({
      type: 'PlanInvalid',
      message: expect.stringMatching(
        /^(.*bad\.yaml:\d+:\d+ steps\[\d\]\.agent: expected .*\n){5}and 3 more$/,
      ) as string,
      details: expect.arrayContaining([
        {
          code: 'StepInvalid',
          line: 10,
          column: 15,
          field: 'steps[7].agent',
          step: 's7',
          message: expect.any(String) as string,
        },
      ]) as unknown,
    });
    await expect(readSagaFile(folder.write('worse.yaml', 'a: b: c'))).rejects.toMatchObject({
      type: 'InputInvalid',
    });
  });
});

describe('the schema for editors', () => {
  const schema = JSON.parse(
    readFileSync(join(ROOT, 'schemas', 'saga.schema.json'), 'utf8'),
  ) as z.core.JSONSchema.JSONSchema;
  const ofSchema = z.fromJSONSchema(schema);
  const fits = (value: unknown): boolean => ofSchema.safeParse(value).success;

  const pages = ['docs/sagas.md', 'docs/cli.md'].map((page) => join(ROOT, page)).filter(existsSync);
  const blocks = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/```ya?ml\n(.*?)```/gs)].map(([, text = '']) => text),
  );
  const example = readFileSync(join(ROOT, 'examples', 'publishing', 'publish.yaml'), 'utf8');

  test('takes the examples, as the parser does', () => {
    expect(blocks.length).toBeGreaterThan(0);
    for (const text of [example, ...blocks]) {
      expect(problemsOf(text)).toEqual([]);
      expect(ofSchema.safeParse(parse(text)).error).toBeUndefined();
    }
  });

  const every = {
    $schema: 'x',
    name: 'all there is',
    lock: 'order-42',
    timeLimit: '1 hour',
    unwinding: { groups: 'oneByOne', onFailure: 'goOn' },
    steps: [
      {
        id: 'a',
        agent: 'x',
        instruction: 'do a',
        kind: 'compensable',
        input: { $output: 'z' },
        needs: [],
        compensate: { agent: 'y', input: 1 },
      },
      {
        id: 'b',
        agent: 'x',
        needs: ['a'],
        kind: 'pivot',
        approval: { answerWithin: '1 day', validFor: 5000 },
        policy: {
          startToClose: 5,
          heartbeatTimeout: '1s',
          scheduleToClose: 10,
          scheduleToStart: '3 d',
          retry: {
            maximumAttempts: 'unlimited',
            initialInterval: 1,
            backoffCoefficient: 2,
            maximumInterval: '1m',
          },
        },
      },
      { id: 'z', agent: 'x', needs: [], approval: true, compensate: false },
    ],
  };

  /** What the schema cannot say, or does not: what depends on another field, and how long a text's duration is. */
  const beyond = ({ code, message }: SagaFileProblem): boolean =>
    /^(DuplicateStep|UnknownNeed|CyclicNeeds|PivotMisplaced)$/.test(code) ||
    /never undone|of a step of the kind|or a text such as "30 s", got "/.test(message);

  test('has every field that the parser knows, and no other', () => {
    expect(fits(every)).toBe(true);
    expect(parseSaga(JSON.stringify(every)).problems.filter((problem) => !beyond(problem))).toEqual([]);
  });

  test('has the choices and ranges of the parser', () => {
    const { properties, definitions } = schema as unknown as Record<string, Record<string, SchemaNode>>;
    const { kind, policy } = definitions?.['step']?.properties ?? {};
    expect(kind?.enum).toEqual(STEP_KINDS);
    expect(properties?.['unwinding']?.properties?.['groups']?.enum).toEqual(['together', 'oneByOne']);
    expect(properties?.['unwinding']?.properties?.['onFailure']?.enum).toEqual(['hold', 'goOn']);
    for (const [field, [least, most]] of Object.entries(POLICY_RANGES)) {
      const [outer = '', inner] = field.split('.');
      const of = inner === undefined ? policy : policy?.properties?.[outer];
      const node = of?.properties?.[inner ?? outer];
      const { minimum, maximum } = node?.anyOf?.[0] ?? node ?? {};
      const endless = field === 'retry.maximumAttempts';
      expect([field, minimum, maximum]).toEqual([field, endless ? 0 : least, most]);
    }
  });

  test('refuses what the parser refuses for its shape, and nothing that it takes', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.oneof(
          fc.constant('drop'),
          fc.constant('add'),
          fc.jsonValue({ maxDepth: 1 }).map((value) => ({ value })),
        ),
        (at, change) => {
          const mutated = mutate(every, at, change);
          const { problems } = parseSaga(JSON.stringify(mutated));
          if (fits(mutated)) expect(problems.filter((problem) => !beyond(problem))).toEqual([]);
          else expect(problems).not.toEqual([]);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

/** What of a schema's node the tests look at. */
interface SchemaNode {
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
}

type Change = 'drop' | 'add' | { readonly value: unknown };

/** A copy of `root` in which one value, of all that it holds, is dropped, has a field more, or is another. */
function mutate(root: object, at: number, change: Change): unknown {
  const copy = structuredClone(root);
  const places: { of: Record<string, unknown>; key: string }[] = [];
  const walk = (of: object): void => {
    for (const [key, value] of Object.entries(of) as [string, unknown][]) {
      places.push({ of: of as Record<string, unknown>, key });
      if (typeof value === 'object' && value !== null) walk(value);
    }
  };
  walk(copy);
  const place = places[at % places.length];
  if (place === undefined) return copy;
  const { of, key } = place;
  if (change === 'drop') {
    if (Array.isArray(of)) of.splice(Number(key), 1);
    else delete of[key];
  } else if (change === 'add') {
    if (!Array.isArray(of)) of['surplus'] = 1;
  } else of[key] = change.value;
  return copy;
}
