// Whom a call counts as gone that a worker must answer: by what the server says of who polls, and by what answers.
import type { Client } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import { answeredByWorker } from '../../src/client/no-worker';

const TO = { id: 'refund', queue: 'cadre' };

/** A server that names one poller, of another machine, `age` ms after its last poll, and whose workers answer or do not. */
function server(age: number, answers: boolean): Client {
  const query = () => (answers ? Promise.resolve({}) : Promise.reject(new Error('DEADLINE_EXCEEDED')));
  const parts = {
    options: { namespace: 'default' },
    workflowService: {
      describeTaskQueue: () => {
        const lastAccessTime = msToTs(Date.now() - age);
        return Promise.resolve({ pollers: [{ identity: '1@another.example/0.1.0', lastAccessTime }] });
      },
    },
    workflow: { getHandle: () => ({ query }) },
    withDeadline: (_deadline: number, ask: () => unknown) => ask(),
    withAbortSignal: (_signal: AbortSignal, send: () => unknown) => send(),
  };
  return parts as unknown as Client;
}

test.each([
  ['a worker of another machine that says nothing counts for as long as a poll lasts', 65_000, false],
  ['one whose last poll is longer ago counts where it answers', 80_000, true],
])('%s', async (_title, age, answers) => {
  const send = jest.fn(() => Promise.resolve('taken'));
  await expect(answeredByWorker(server(age, answers), TO, send)).resolves.toBe('taken');
});

test('one that says nothing after its poll is over is gone, and nothing is sent', async () => {
  const send = jest.fn(() => Promise.resolve('taken'));
  await expect(answeredByWorker(server(71_000, false), TO, send)).rejects.toMatchObject({
    type: 'NoWorker',
  });
  expect(send).not.toHaveBeenCalled();
});
