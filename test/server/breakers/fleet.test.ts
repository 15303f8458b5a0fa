// exploration
import { setTimeout as delay } from 'node:timers/promises';
import { BreakerFleet } from '../../support/breaker-fleet';
import { mostAtOnce } from '../../support/http-agent';

let fleet: BreakerFleet;
beforeAll(async () => { fleet = await BreakerFleet.start(); }, 60_000);
afterAll(() => fleet.close());
const W = 4;
const modes = {
  fail: { kind: 'fail', status: 503, latency: 20 } as const,
  hang: { kind: 'hang' } as const,
  pace: { kind: 'pace', retryAfter: 2 } as const,
};
test.each(['fail', 'hang', 'pace'] as const)('%s', async (mode) => {
  const minimumCalls = Number(process.env.MINCALLS ?? 2);
  const team = await fleet.team(`f-${mode}`, {
    concurrency: 10,
    policy: {
      startToClose: 1000, heartbeatTimeout: 500,
      retry: { initialInterval: 50, maximumAttempts: 2 },
      breaker: { window: { seconds: 60 }, minimumCalls, cooldown: 1000, cooldownMax: 4000, maxProbeTime: 5000, probes: 1 },
    },
  });
  const t = Date.now();
  await team.workers(W, 'workflows', 'agents');
  console.log('workers', Date.now() - t);
  const down = team.http.becomes(modes[mode]);
  const tasks = await team.start(200);
  console.log('started', Date.now() - down);
  await delay(6000);
  const up = team.http.becomes({ kind: 'ok', latency: 20 });
  const b = await team.breaker().catch((e) => e);
  const results = await Promise.allSettled(tasks.map((task) => task.result()));
  const end = Date.now();
  const calls = team.callsSince(down, up);
  const per = new Map<number, number>();
  for (const c of calls) per.set(c.worker, (per.get(c.worker) ?? 0) + 1);
  const ex = team.exchanges();
  const ok = team.http.calls.filter((c) => c.met === 'ok');
  console.log(JSON.stringify({ mode, down: up - down, calls: calls.length, per: [...per.values()], granted: b.state?.granted, opened: b.opened, refused: b.refused, kind: b.kind, last: end - up, fulfilled: results.filter((r) => r.status === 'fulfilled').length, exchanges: ex.length, unanswered: team.unanswered(), unansweredDown: ex.filter(e => e.at<up && e.kind===undefined).length, oks: ok.length, keys: new Set(ok.map((c) => c.key)).size, most: mostAtOnce(calls), total: team.http.calls.length,
   attempts: [...new Set(team.http.calls.map((c) => c.attempt))], offsets: calls.map((c) => c.at - down).slice(0, 120).join(' ') }));
  const bad = results.find((r) => r.status === 'rejected');
  if (bad) console.log((bad as PromiseRejectedResult).reason);
  console.log(ex.slice(0, 40).map((e) => `${e.at - down}:${e.worker % 10}:${e.wanted}:${e.kind}:${e.permits}`).join(' '));
  await team.stop();
}, 120_000);
