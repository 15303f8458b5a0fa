// Workers that lose the server for a while, by a proxy of ours between them.
import { LEASE_DURATION, LEASE_RENEWAL_INTERVAL } from '../../../src/core/election';
import { until } from '../../support/cli';
import { expectOneHolderATerm, stands } from '../../support/election-log';
import { TcpProxy, type ProxyMode } from '../../support/tcp-proxy';
import { type Act, TeamProcesses } from '../../support/team-processes';

let team: TeamProcesses;
let proxy: TcpProxy;

beforeAll(async () => {
  team = await TeamProcesses.start();
  proxy = await TcpProxy.listen(team.server.address);
}, 60_000);

afterEach(async () => {
  proxy.set('pass');
  await team.stopWorkers();
});
afterAll(async () => {
  await proxy.close();
  await team.close();
});

test.each(['blackhole', 'cut'] as const satisfies readonly ProxyMode[])(
  'a leader cut off by a %s stops by itself, another leads, and the first stands again once it is healed',
  async (mode) => {
    const cadre = `off-${mode}`;
    await team.workerOf({ cadre, roles: ['workflows', 'agents'] });
    const far = await team.workerOf({ cadre, roles: ['leader'] }, proxy.address);
    const first = await team.leader(cadre);
    await team.workerOf({ cadre, roles: ['leader'] });
    team.hold('planner', cadre);
    const task = await team.task(cadre, cadre);
    expect(await team.waits('planner', cadre)).toMatchObject({ pid: far.pid, term: first.term });
    const since = Date.now();
    proxy.set(mode);
    const second = await team.leader(cadre, first.term);
    expect(Date.now() - since).toBeLessThan(2 * LEASE_DURATION);
    const aborted = (): Act | undefined => team.acts('planner', cadre).find(({ what }) => what === 'aborted');
    await until(() => aborted() !== undefined);
    expect(aborted()?.pid).toBe(far.pid);
    expect(Number(aborted()?.at) - since).toBeLessThan(LEASE_DURATION + 2 * LEASE_RENEWAL_INTERVAL);
    team.release('planner', cadre);
    await task.result();
    expect(team.acts('planner', cadre).at(-1)).toMatchObject({ what: 'ended', term: second.term });
    const healed = Date.now();
    proxy.set('pass');
    await stands((await team.client(cadre)).temporal, cadre, `${far.pid}@`, healed);
    second.worker.kill('SIGKILL');
    const third = await team.leader(cadre, second.term);
    expect(third.worker.pid).toBe(far.pid);
    await (await team.task(cadre, `${cadre}-next`)).result();
    expectOneHolderATerm(await team.terms(cadre));
  },
  60_000,
);
