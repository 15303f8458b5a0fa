// What of a stream is new to a reader that looks now and then; what the server says is made up.
import { msToTs } from '@temporalio/common/lib/time';
import { temporal } from '@temporalio/proto';
import { StreamReader } from '../../src/client/task-stream';

const { PendingActivityState: State } = temporal.api.enums.v1;

type Pending = Parameters<StreamReader['next']>[0];

/** Of an attempt that began at second `started` and was heard of at second `heard`. */
const pending = (started: number, heard: number, more: Pending = {}): Pending => ({
  activityId: 'write',
  activityType: { name: 'writer' },
  attempt: 1,
  state: State.PENDING_ACTIVITY_STATE_STARTED,
  lastStartedTime: msToTs(started * 1000),
  lastHeartbeatTime: msToTs(heard * 1000),
  ...more,
});

/** What the reader makes of it; undefined where there is nothing new. */
function look(reader: StreamReader, seen: Pending, characters: number, text: string): unknown {
  return reader.isNew(seen) ? reader.next(seen, { characters, text }) : undefined;
}

test('what is new is told once, with when it was heard of', () => {
  const reader = new StreamReader();
  expect(look(reader, pending(10, 11), 5, 'Good ')).toEqual({
    step: 'write',
    agent: 'writer',
    attempt: 1,
    text: 'Good ',
    time: 11_000,
  });
  expect(look(reader, pending(10, 11), 5, 'Good ')).toBeUndefined();
  expect(look(reader, pending(10, 12), 9, 'Good day.')).toMatchObject({ text: 'day.' });
  expect(look(reader, pending(10, 13), 9, '')).toBeUndefined();
  expect(look(reader, pending(10, 14), 12, 'So.')).toMatchObject({ text: 'So.' });
});

test('what came faster than it was looked at is counted', () => {
  const reader = new StreamReader();
  look(reader, pending(10, 11), 5, 'Good ');
  expect(look(reader, pending(10, 12), 2005, 'x'.repeat(1024))).toMatchObject({
    text: 'x'.repeat(1024),
    skipped: 976,
  });
});

test('text that has left the heartbeats before it was seen is counted with the next', () => {
  const reader = new StreamReader();
  expect(look(reader, pending(10, 11), 5, '')).toBeUndefined();
  expect(look(reader, pending(10, 12), 9, 'day.')).toMatchObject({ text: 'day.', skipped: 5 });
});

test('what is older than what was seen, or of the attempt before, is ignored', () => {
  const reader = new StreamReader();
  look(reader, pending(10, 12), 9, 'Good day.');
  expect(look(reader, pending(10, 11), 5, 'Good ')).toBeUndefined();
  // The next attempt has its predecessor's details until it is heard of itself.
  expect(look(reader, pending(20, 12, { attempt: 2 }), 9, 'Good day.')).toBeUndefined();
  expect(look(reader, pending(20, 20, { attempt: 2 }), 9, 'Good day.')).toBeUndefined();
  expect(look(reader, pending(20, 21, { attempt: 2 }), 3, 'Yes')).toMatchObject({ text: 'Yes', attempt: 2 });
});

test('an attempt that does not run says nothing', () => {
  const reader = new StreamReader();
  expect(
    look(reader, pending(10, 12, { state: State.PENDING_ACTIVITY_STATE_SCHEDULED }), 9, 'Good day.'),
  ).toBeUndefined();
  expect(
    look(reader, pending(10, 12, { state: State.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED }), 9, 'Good day.'),
  ).toMatchObject({ text: 'Good day.' });
});

test('details of others are nothing', () => {
  const reader = new StreamReader();
  expect(reader.next(pending(10, 11), undefined)).toBeUndefined();
});
