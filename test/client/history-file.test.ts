// Histories in files: exports and Temporal's own, whole and damaged, and what is said of what cannot be read.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow';
import { eventFromJson, factsOf, factsOfJson } from '../../src/client/history-decoder';
import { type HistoryFile, fileSource } from '../../src/client/history-file';
import { TaskLog } from '../../src/client/task-log';
import type { HistoryFact } from '../../src/core/history-facts';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { ROOT } from '../support/cli';
import { type HistoryJson, exportText, recorded } from '../support/exported-history';
import { TemporaryFolder } from '../support/temporary-folder';

const FOLDER = join(ROOT, 'test', 'replay', 'histories');
const folder = new TemporaryFolder();

afterAll(() => folder.remove());

interface Reading {
  readonly file: HistoryFile;
  readonly facts: readonly HistoryFact[];
  readonly events: readonly LoggedTaskEvent[];
}

async function read(path: string): Promise<Reading> {
  const file = await fileSource(path);
  const facts: HistoryFact[] = [];
  const events: LoggedTaskEvent[] = [];
  for await (const event of new TaskLog(file).events()) events.push(event);
  for await (const fact of file.facts()) facts.push(fact);
  return { file, facts, events };
}

function reading(content: string | Buffer): Promise<Reading> {
  const path = join(folder.path, 'history.json');
  writeFileSync(path, content);
  return read(path);
}

/** A recording whose event of that id has other attributes. */
function changed(
  name: string,
  eventId: number,
  change: (event: Record<string, unknown>) => void,
): HistoryJson {
  const history = recorded(name);
  const event = history.events[eventId - 1];
  if (event === undefined) throw new Error(`${name} has no event ${eventId}`);
  change(event);
  return history;
}

const idOf = (history: HistoryJson, attributes: string): number =>
  history.events.findIndex((event) => attributes in event) + 1;

describe('a file', () => {
  test('of an export is read line by line, over its runs', async () => {
    const { text } = await exportText([recorded('continued-as-new'), recorded('continued-as-new-2')]);
    const { file, facts, events } = await reading(text);
    expect(file).toMatchObject({ kind: 'export', id: 'trip', header: { runs: ['run-1', 'run-2'] } });
    expect(file.problems()).toEqual([]);
    expect(new Set(facts.map(({ runId }) => runId))).toEqual(new Set(['run-1', 'run-2']));
    const logged = text.slice(text.indexOf('"log":[\n') + 8, text.indexOf('\n],\n"chain"'));
    expect(events).toEqual(JSON.parse(`[${logged}]`));
  });

  test('of Temporal’s tools is read whole', async () => {
    const path = join(ROOT, 'test', 'replay', 'histories', 'main-job.json');
    const { file, events } = await read(path);
    expect(file).toMatchObject({ kind: 'history', header: { workflowType: 'task' } });
    expect(file.problems()).toEqual([]);
    expect(events[0]).toMatchObject({ number: 1, type: 'taskStarted' });
    expect(events.at(-1)).toMatchObject({ type: 'taskCompleted' });
  });

  test('of an export that another tool has laid out anew is read all the same', async () => {
    const { text } = await exportText([recorded('continued-as-new'), recorded('continued-as-new-2')]);
    const { events } = await reading(text);
    const anew = await reading(JSON.stringify(JSON.parse(text), null, 2));
    expect(anew.events).toEqual(events);
    expect(anew.file.header).toEqual((JSON.parse(text) as { cadre: unknown }).cadre);
  });

  test('that was cut off gives what there is, and says so', async () => {
    const { text } = await exportText([recorded('main-job')]);
    const lines = text.split('\n');
    const start = lines.indexOf('"events":[');
    const cut = `${lines.slice(0, start + 11).join('\n')}\n${lines[start + 11]?.slice(0, 40)}`;
    const { file, facts } = await reading(cut);
    expect(Math.max(...facts.map(({ eventId }) => eventId))).toBeLessThanOrEqual(10);
    expect(file.problems()).toMatchObject([{ kind: 'cutOff', line: start + 12 }]);
    expect(file.problems()[0]?.message).toMatch(
      /^the file is cut off at line \d+, after event 10 of run run-1/,
    );
    const { file: inLog, events } = await reading(text.slice(0, text.indexOf('"log":[') + 400));
    expect(events.at(-1)).toMatchObject({ type: 'taskCompleted' });
    expect(inLog.problems()).toMatchObject([{ kind: 'cutOff' }]);
    expect(inLog.problems()[0]?.message).toContain('its events are all there');
  });

  test('with a damaged line is read without it', async () => {
    const { text } = await exportText([recorded('main-job')]);
    const lines = text.split('\n');
    const at = lines.indexOf('"events":[') + 5;
    const { file, events } = await reading(lines.with(at, '{"eventId":"5",').join('\n'));
    expect(events.at(-1)).toMatchObject({ type: 'taskCompleted' });
    expect(file.problems()).toMatchObject([{ kind: 'damaged', line: at + 1 }]);
  });

  test('whose lines another tool has ended with CR LF is read', async () => {
    const { text } = await exportText([recorded('main-job')]);
    const { file, events } = await reading(text.replaceAll('\n', '\r\n'));
    expect(events.at(-1)).toMatchObject({ type: 'taskCompleted' });
    expect(file).toMatchObject({ kind: 'export' });
    expect(file.problems()).toEqual([]);
  });

  test('with bytes that are no text says where', async () => {
    const { text } = await exportText([recorded('main-job')]);
    const bytes = Buffer.from(text);
    bytes[bytes.indexOf('"identity":"') + 12] = 0xff;
    const { file } = await reading(bytes);
    expect(file.problems()).toMatchObject([
      { kind: 'damaged', message: expect.stringContaining('no UTF-8') as string },
    ]);
  });

  test('whose text has separators of lines that JSON does not escape is read', async () => {
    const history = changed('main-job', 3, (event) => {
      event['workflowTaskStartedEventAttributes'] = { scheduledEventId: '2', identity: 'a\u2028b\u2029c' };
    });
    const { text } = await exportText([history]);
    const { file, facts } = await reading(text);
    expect(text).toContain('\u2028');
    expect(file.problems()).toEqual([]);
    expect(facts[1]).toMatchObject({ kind: 'workflowTaskStarted', eventId: 3 });
  });

  test.each([
    ['is not there', undefined, /there is no such file/],
    ['is empty', '', /neither an export of Cadre nor a history/],
    ['is something else', 'name: trip', /neither an export of Cadre nor a history/],
    ['has no start', '{"events":[{"eventId":"2"}]}', /no start of a workflow/],
    ['is of a format to come', '{"cadre":{"format":2},\n', /its first line, the header, is damaged/],
  ])('that %s is refused', async (_what, content, reason) => {
    const refused = content === undefined ? read(join(folder.path, 'none', 'such')) : reading(content);
    await expect(refused).rejects.toMatchObject({
      type: 'HistoryFileInvalid',
      message: expect.stringMatching(reason) as string,
    });
  });
});

test.each(readdirSync(FOLDER))('%s gives the same facts as from a server', async (name) => {
  const history = recorded(name.replace('.json', ''));
  const converter = loadDataConverter();
  const run = { workflowId: 'trip', runId: 'run-1' };
  for (const json of history.events) {
    const event = eventFromJson(json);
    expect(event).toBeDefined();
    expect(await factsOfJson(converter, json, run)).toEqual(await factsOf(converter, event ?? {}, run));
  }
});

describe('what cannot be read is named, and the rest is read:', () => {
  const encrypted = { payloads: [{ metadata: { encoding: 'YmluYXJ5L2VuY3J5cHRlZA==' }, data: 'AAAA' }] };

  test('the result of a step that is encrypted', async () => {
    const id = idOf(recorded('main-job'), 'activityTaskCompletedEventAttributes');
    const history = changed('main-job', id, (event) => {
      const attributes = event['activityTaskCompletedEventAttributes'] as Record<string, unknown>;
      attributes['result'] = encrypted;
    });
    const { file, facts } = await reading(JSON.stringify(history));
    const at = facts.findIndex(({ kind }) => kind === 'unread');
    expect(facts[at - 1]).toMatchObject({ kind: 'activityCompleted', eventId: id });
    expect(facts[at]).toMatchObject({
      kind: 'unread',
      eventId: id,
      eventType: 'EVENT_TYPE_ACTIVITY_TASK_COMPLETED',
      why: 'payload',
    });
    expect(facts.at(-1)).toMatchObject({ kind: 'workflowCompleted' });
    expect(file.problems()).toMatchObject([{ kind: 'payload', eventId: id, count: 1 }]);
  });

  test('a history of which every payload is encrypted', async () => {
    const text = JSON.stringify(recorded('main-job')).replaceAll(
      /"payloads":\[.*?\]/g,
      JSON.stringify(encrypted).slice(1, -1),
    );
    const { file, events } = await reading(text);
    expect(events[0]).toMatchObject({ type: 'taskStarted', goal: '' });
    expect(events.at(-1)).toMatchObject({ type: 'taskCompleted' });
    expect(file.problems().length).toBeGreaterThan(2);
    expect(file.problems().map(({ kind }) => kind)).toEqual(file.problems().map(() => 'payload'));
  });

  test('an event of a later version of Temporal', async () => {
    const history = changed('main-job', 4, (event) => {
      for (const key of Object.keys(event)) if (key.endsWith('Attributes')) delete event[key];
      event['eventType'] = 'EVENT_TYPE_TELEPORTED';
      event['teleportedEventAttributes'] = { to: 'elsewhere' };
    });
    const { file, facts, events } = await reading(JSON.stringify(history));
    expect(facts).toContainEqual(
      expect.objectContaining({
        kind: 'unread',
        eventId: 4,
        eventType: 'EVENT_TYPE_TELEPORTED',
        why: 'unknownEvent',
        time: expect.any(Number) as number,
      }),
    );
    expect(events.at(-1)).toMatchObject({ type: 'taskCompleted' });
    expect(file.problems()).toMatchObject([{ kind: 'unknownEvent', eventId: 4, count: 1 }]);
  });

  test.each([
    ['no object', 5],
    ['an event without attributes', { eventId: '4', eventType: 'EVENT_TYPE_TIMER_FIRED' }],
    ['an event with a number for its type', { eventId: '4', eventType: 4711, fooEventAttributes: {} }],
    ['an event with a time that is none', { eventId: '4', eventTime: 'soon', timerFiredEventAttributes: {} }],
  ])('%s', async (_what, event) => {
    const history = recorded('main-job');
    const events = history.events.with(3, event as never);
    const { file, facts } = await reading(JSON.stringify({ events }));
    expect(facts.at(-1)).toMatchObject({ kind: 'workflowCompleted' });
    expect(file.problems()).toMatchObject([{ kind: 'unknownEvent', count: 1 }]);
  });

  test('runs that are not there', async () => {
    const { file, events } = await reading((await exportText([recorded('continued-as-new-2')])).text);
    expect(events[0]).toMatchObject({ type: 'taskResumed' });
    expect(file.problems()).toMatchObject([{ kind: 'earlierRuns' }]);
    expect(file.problems()[0]?.message).toMatch(
      /^the history begins with run run-1; the runs before it, up to .+, are gone$/,
    );
  });
});
