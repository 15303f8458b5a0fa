import type { Client } from '@temporalio/client';
import { queueStatus } from '../../src/workers/queue-status';

const now = jest.spyOn(performance, 'now');
afterAll(() => now.mockRestore());

const clientOf = (describeTaskQueue: () => Promise<unknown>): Client =>
  ({ options: { namespace: 'default' }, workflowService: { describeTaskQueue } }) as unknown as Client;

test('what the server says of a queue holds for a second, for each queue', async () => {
  const describe = jest.fn(async () => ({ pollers: [], stats: { approximateBacklogCount: 3 } }));
  const status = queueStatus(clientOf(describe));
  now.mockReturnValue(10_000);
  await expect(status('one')).resolves.toEqual({ pollers: 0, backlog: 3 });
  now.mockReturnValue(10_999);
  await status('one');
  expect(describe).toHaveBeenCalledTimes(1);
  await status('two');
  expect(describe).toHaveBeenCalledTimes(2);
  now.mockReturnValue(11_000);
  await status('one');
  expect(describe).toHaveBeenCalledTimes(3);
});

test('a server that does not say leaves it out', async () => {
  const status = queueStatus(clientOf(() => Promise.reject(new Error('unavailable'))));
  now.mockReturnValue(20_000);
  await expect(status('one')).resolves.toEqual({});
});
