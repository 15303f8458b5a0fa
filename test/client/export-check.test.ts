// Pure but for the file: an export, and what is found where it was changed.
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { type ExportCheck, checkExport } from '../../src/client/export-check';
import { isCadreError } from '../../src/core/failures';
import { exportText, recorded } from '../support/exported-history';
import { TemporaryFolder } from '../support/temporary-folder';

const folder = new TemporaryFolder();
let text: string;
let lines: readonly string[];
let head: string;

beforeAll(async () => {
  ({ text, head } = await exportText([recorded('continued-as-new'), recorded('continued-as-new-2')]));
  lines = text.split('\n').slice(0, -1);
});

afterAll(() => folder.remove());

async function check(content: string | Buffer, kept?: string): Promise<ExportCheck> {
  const path = folder.write('export.json', '');
  writeFileSync(path, content);
  return checkExport(path, kept === undefined ? {} : { head: kept });
}

/** The export with its lines changed. */
const edited = (edit: (lines: string[]) => string[]): string =>
  edit([...lines])
    .map((line) => `${line}\n`)
    .join('');

const indexOf = (pattern: RegExp): number => lines.findIndex((line) => pattern.test(line));
/** Index of the `number`-th event of the `run`-th run. */
const eventAt = (number: number, run = 1): number => indexOf(run === 1 ? /^\{"runId"/ : /^"events"/) + number;
const logAt = (number: number): number => indexOf(/^"log"/) + number;

test('an export is as it was written, and its head is known', async () => {
  expect(await check(text, head)).toMatchObject({ intact: true, problems: [], head, undecoded: 0 });
});

test('of an event that was changed the first place is named where file and chain part', async () => {
  const at = eventAt(5);
  const changed = edited((all) => all.with(at, (all[at] ?? '').replace('"taskId":"', '"taskId":"1')));
  expect(await check(changed)).toMatchObject({
    intact: false,
    problems: [{ kind: 'chain', line: at + 1, runId: 'run-1', eventId: 5 }],
  });
});

test('an event that was removed, moved or written twice is named by its place', async () => {
  const at = eventAt(5);
  const order = (content: string): Promise<unknown> =>
    check(content).then(({ problems }) => problems.find(({ kind }) => kind === 'order'));
  expect(await order(edited((all) => all.toSpliced(at, 1)))).toMatchObject({
    line: at + 1,
    eventId: 6,
    message: 'event 6 of run run-1 stands here, and 5 was to come',
  });
  expect(
    await order(edited((all) => all.with(at, all[at + 1] ?? '').with(at + 1, all[at] ?? ''))),
  ).toMatchObject({
    line: at + 1,
    eventId: 6,
  });
  expect(await order(edited((all) => all.toSpliced(at, 0, all[at] ?? '')))).toMatchObject({
    line: at + 2,
    eventId: 5,
    message: 'event 5 of run run-1 stands here, and 6 was to come',
  });
});

test('an event that is moved to the run after it is found, though the lines are the same', async () => {
  const end = indexOf(/^\]\}/);
  const last = `${lines[end - 1]},`;
  const moved = edited((all) => {
    all.splice(end - 1, 1);
    all[end - 2] = (all[end - 2] ?? '').slice(0, -1);
    return all.toSpliced(all.indexOf('"events":[') + 1, 0, last);
  });
  const { intact, problems } = await check(moved);
  expect(intact).toBe(false);
  expect(problems).toContainEqual(expect.objectContaining({ kind: 'chain', runId: 'run-2' }));
});

test('a log that is not what the events say is found also where it was chained anew', async () => {
  const run = recorded('continued-as-new');
  const { text: own } = await exportText([run]);
  const { text: others } = await exportText([recorded('retried')]);
  // The events of one with the log of another, all chained: what is forged with the tool at hand.
  const eventsOfOne = own.slice(0, own.indexOf('"log":['));
  const forged = `${eventsOfOne}${others.slice(others.indexOf('"log":['))}`;
  const { problems } = await check(forged);
  expect(problems).toContainEqual(
    expect.objectContaining({
      kind: 'log',
      number: 1,
      message: 'event 1 of the log: it is not what the events say',
    }),
  );
});

test('an export that was chained anew has another head than the one that was kept', async () => {
  const { text: other } = await exportText([recorded('continued-as-new'), recorded('continued-as-new-2')], {
    exportedAt: 1,
  });
  expect(await check(other)).toMatchObject({ intact: true });
  expect(await check(other, head)).toMatchObject({ intact: false, problems: [{ kind: 'head' }] });
});

test('a chain that was changed is told from events that were', async () => {
  const at = indexOf(/^"chain"/) + 4;
  const changed = edited((all) =>
    all.with(
      at,
      (all[at] ?? '').replace(/[0-9]/, (digit) => (digit === '1' ? '2' : '1')),
    ),
  );
  expect(await check(changed)).toMatchObject({
    intact: false,
    problems: [
      { kind: 'chain', line: at + 1, message: 'the chain was changed here; the events are as they were' },
    ],
  });
});

test('a comma that is gone, or too many, is found', async () => {
  const at = eventAt(5);
  const layout = async (content: string): Promise<unknown> =>
    (await check(content)).problems.map(({ kind, line, message }) => [kind, line, message]);
  expect(await layout(edited((all) => all.with(at, (all[at] ?? '').slice(0, -1))))).toEqual([
    ['layout', at + 2, 'no comma before it'],
  ]);
  const last = indexOf(/^\]\}/) - 1;
  expect(await layout(edited((all) => all.with(last, `${all[last]},`)))).toEqual([
    ['layout', last + 2, 'a comma before the end of a list'],
  ]);
});

test('bytes that are no text are found, though they are shown as the text that was there', async () => {
  const history = recorded('retried');
  for (const event of history.events) {
    const started = event['workflowTaskStartedEventAttributes'] as Record<string, unknown> | undefined;
    if (started !== undefined) started['identity'] = '\ufffd';
  }
  const bytes = Buffer.from((await exportText([history])).text);
  const at = bytes.indexOf('\ufffd');
  const changed = Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff]), bytes.subarray(at + 3)]);
  expect(changed.toString()).toBe(bytes.toString());
  expect(await check(changed)).toMatchObject({ intact: false, problems: [{ message: 'it is no UTF-8' }] });
});

test('a file that is cut off says where', async () => {
  const within = edited((all) => all.slice(0, eventAt(7)));
  expect(await check(within)).toMatchObject({
    problems: [{ kind: 'cutOff', line: eventAt(7), message: 'the file ends here, within the events' }],
  });
  const after = edited((all) => all.slice(0, logAt(3)));
  expect(await check(after)).toMatchObject({ problems: [{ kind: 'cutOff', line: logAt(3) }] });
});

test('what is no export is refused, with the reason', async () => {
  const refusal = (content: string): Promise<unknown> => check(content).catch((error: unknown) => error);
  expect(await refusal('')).toMatchObject({
    type: 'HistoryFileInvalid',
    message: expect.stringContaining('empty') as string,
  });
  expect(await refusal('{"events":[]}')).toMatchObject({ type: 'HistoryFileInvalid' });
  expect(await checkExport(`${folder.path}/none`).catch((error: unknown) => error)).toMatchObject({
    type: 'HistoryFileInvalid',
    message: expect.stringContaining('there is no such file') as string,
  });
});

describe('any one change is found:', () => {
  /** Whether the check finds that the file was changed; one that is the same must be well. */
  async function isFound(content: Buffer): Promise<boolean> {
    const same = content.equals(Buffer.from(text));
    try {
      const { intact, problems } = await check(content);
      expect(intact).toBe(problems.length === 0);
      return intact === same;
    } catch (error) {
      return isCadreError(error) && error.type === 'HistoryFileInvalid' && !same;
    }
  }
  const size = (): number => Buffer.byteLength(text);
  const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const bytes = (from: number, to: number, between: Buffer): Buffer => {
    const all = Buffer.from(text);
    return Buffer.concat([all.subarray(0, from), between, all.subarray(to)]);
  };
  const lineOf = (part: number): number => Math.floor(part * lines.length);
  const sure = { numRuns: Number(process.env['RUNS'] ?? 60) };

  test('a byte that is another', async () => {
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 0, max: 255 }), async (part, byte) => {
        const at = Math.floor(part * size());
        expect(await isFound(bytes(at, at + 1, Buffer.from([byte])))).toBe(true);
      }),
      sure,
    );
  });

  test('bytes that are gone, or too many', async () => {
    await fc.assert(
      fc.asyncProperty(
        place,
        fc.nat({ max: 300 }),
        fc.uint8Array({ maxLength: 5 }),
        async (part, gone, more) => {
          const at = Math.floor(part * size());
          const content = bytes(at, Math.min(size(), at + gone), Buffer.from(more));
          expect(await isFound(content)).toBe(true);
        },
      ),
      sure,
    );
  });

  test('a line that is gone, twice there, moved, or new', async () => {
    const anyEdit = fc.constantFrom('drop', 'double', 'swap', 'move', 'insert');
    await fc.assert(
      fc.asyncProperty(anyEdit, place, place, async (edit, a, b) => {
        const [from, to] = [lineOf(a), lineOf(b)];
        const line = lines[from] ?? '';
        const content = edited((all) => {
          if (edit === 'drop') return all.toSpliced(from, 1);
          if (edit === 'double') return all.toSpliced(from, 0, line);
          if (edit === 'swap') return all.with(from, lines[to] ?? '').with(to, line);
          if (edit === 'move') return all.toSpliced(from, 1).toSpliced(to, 0, line);
          return all.toSpliced(from, 0, lines[to] ?? '');
        });
        expect(await isFound(Buffer.from(content))).toBe(true);
      }),
      sure,
    );
  });

  test('a file that ends too early', async () => {
    await fc.assert(
      fc.asyncProperty(place, async (part) => {
        expect(await isFound(Buffer.from(text).subarray(0, Math.floor(part * size())))).toBe(true);
      }),
      sure,
    );
  });
});
