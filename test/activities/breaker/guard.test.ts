// A call around which a breaker stands: what the breaker hears of it, and what the activity ends with.
import { MockActivityEnvironment } from '@temporalio/testing';
import { Context } from '@temporalio/activity';
import { type Guard, guarded } from '../../../src/activities/breaker/guard';
import { LocalBreaker } from '../../../src/activities/breaker/local-breaker';
import { BREAKER_DEFAULTS } from '../../../src/core/breaker/settings';
import type { BreakerReply, BreakerReport } from '../../../src/core/breaker/report';

const attempt = { kept: () => ({ attemptsUsed: 0 }), abort: () => undefined };

test('an agent does not begin where its activity was cancelled while the breaker was asked, and the permit is given back', async () => {
  const reports: BreakerReport[] = [];
  let answer: (reply: BreakerReply) => void = () => undefined;
  const breaker = new LocalBreaker(
    BREAKER_DEFAULTS,
    (report) => {
      reports.push(report);
      return new Promise((resolve) => (answer = resolve));
    },
    { id: 'w', now: () => performance.now(), random: Math.random, later: () => undefined },
  );
  const guard: Guard = { key: 'model', breaker, fails: false, classify: undefined };
  const environment = new MockActivityEnvironment();
  let begun = false;
  const call = environment.run(() =>
    guarded(guard, Context.current(), attempt, true, async () => {
      begun = true;
      return Promise.resolve('done');
    }),
  );
  environment.cancel();
  answer({
    view: { kind: 'halfOpen', retryAfter: 0, pacedFor: 0 },
    permits: ['7'],
  } as unknown as BreakerReply);
  await expect(call).rejects.toMatchObject({ name: 'CancelledFailure' });
  expect(begun).toBe(false);
  expect(reports.at(-1)?.probes).toEqual([{ permit: '7', end: 'ignored' }]);
});
