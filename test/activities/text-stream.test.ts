// What heartbeats carry of what an attempt streams, and how often one is sent for it. The clock is the test's.
import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { agentActivity } from '../../src/activities/agent-activity';
import { TextStream } from '../../src/activities/text-stream';
import type { Envelope } from '../../src/core/envelope';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { MemoryLedger } from '../../src/testing';
import { agent } from '../support/agents';
import { TemporaryFolder } from '../support/temporary-folder';

let streams: TextStream[] = [];
beforeEach(() => void jest.useFakeTimers());
afterEach(() => {
  for (const stream of streams) stream.stop();
  streams = [];
  jest.useRealTimers();
});

/** A stream, and what each of the heartbeats that were sent for it carried. */
function started() {
  const beats: unknown[] = [];
  const stream: TextStream = new TextStream(() => void beats.push(stream.take()));
  streams.push(stream);
  return { stream, beats };
}

test('a token every 10 ms has two heartbeats a second sent, and each carries the end of all', () => {
  const { stream, beats } = started();
  for (let token = 0; token < 200; token += 1) {
    stream.write('ab');
    jest.advanceTimersByTime(10);
  }
  jest.advanceTimersByTime(1000);
  expect(beats).toHaveLength(4);
  expect(beats[0]).toEqual({ characters: 100, text: 'ab'.repeat(50) });
  expect(beats[3]).toEqual({ characters: 400, text: 'ab'.repeat(200) });
});

test('a heartbeat carries the last 1,024 characters, and how many there were', () => {
  const { stream } = started();
  stream.write('a'.repeat(1000));
  stream.write('b'.repeat(1000));
  expect(stream.take()).toEqual({ characters: 2000, text: 'a'.repeat(24) + 'b'.repeat(1000) });
});

test('where nothing is streamed no heartbeat is sent, and none carries anything', () => {
  const { stream, beats } = started();
  stream.write('');
  jest.advanceTimersByTime(5000);
  expect(beats).toEqual([]);
  expect(stream.take()).toBeUndefined();
});

test('what was sent two seconds ago leaves the heartbeats; what was not sent stays', () => {
  const { stream } = started();
  stream.write('Good ');
  jest.advanceTimersByTime(400);
  // As another heartbeat does, before one is due for it.
  expect(stream.take()).toEqual({ characters: 5, text: 'Good ' });
  jest.advanceTimersByTime(1900);
  expect(stream.take()).toEqual({ characters: 5, text: 'Good ' });
  jest.advanceTimersByTime(200);
  expect(stream.take()).toEqual({ characters: 5, text: '' });
  stream.write('day.');
  expect(stream.take()).toEqual({ characters: 9, text: 'day.' });
});

test('a heartbeat without the text is sent when that is over, and no other', () => {
  const { stream, beats } = started();
  stream.write('Good day.');
  jest.advanceTimersByTime(60_000);
  expect(beats).toEqual([
    { characters: 9, text: 'Good day.' },
    { characters: 9, text: '' },
  ]);
});

test('fifty streams together have eight heartbeats a second sent', () => {
  const many = Array.from({ length: 50 }, started);
  for (let tenth = 0; tenth < 300; tenth += 1) {
    for (const { stream } of many) stream.write('ab');
    jest.advanceTimersByTime(100);
  }
  const sent = many.reduce((sum, { beats }) => sum + beats.length, 0);
  expect(sent / 30).toBeGreaterThan(5);
  expect(sent / 30).toBeLessThan(12);
});

test('after its attempt has ended it sends nothing, and counts no more', () => {
  const { stream, beats } = started();
  stream.write('Good ');
  stream.stop();
  stream.write('day.');
  jest.advanceTimersByTime(5000);
  expect(beats).toEqual([]);
  expect(jest.getTimerCount()).toBe(0);
});

test('of an attempt it goes with the checkpoint, and neither to the next attempt nor with what is handed back', async () => {
  jest.useRealTimers();
  const folder = new TemporaryFolder();
  const before = { checkpoint: 1, stream: { characters: 7, text: 'of once' } };
  const environment = new MockActivityEnvironment({ attempt: 2, heartbeatDetails: before });
  const beats: unknown[] = [];
  environment.on('heartbeat', (details: unknown) => beats.push(details));
  const speaking = agent('speaking', (_input, { heartbeat, stream, checkpoint }) => {
    heartbeat();
    stream('Good day.');
    heartbeat();
    checkpoint(2);
    environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
    throw new Error('stopped');
  });
  const stores = { artifacts: new FileArtifactStore(folder.path), ledger: new MemoryLedger() };
  const envelope: Envelope = { root: 'task/run', step: 'a', kind: 'act', term: 1, version: 1 };
  const request = { goal: 'a goal', instruction: 'do', outputs: {}, inlineMaximum: 1000 };
  const ended = environment.run(agentActivity(speaking, stores), envelope, request);
  await expect(ended).rejects.toMatchObject({
    type: 'HandedBack',
    details: [{ attemptsUsed: 1, checkpoint: 2 }],
  });
  const stream = { characters: 9, text: 'Good day.' };
  expect(beats).toEqual([{ checkpoint: 1 }, { checkpoint: 1, stream }, { checkpoint: 2, stream }]);
  folder.remove();
});
