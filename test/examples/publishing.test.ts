// The example as a user runs it: real processes, a real server, and a look at the world outside.
import { readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { startService } from '../../examples/publishing/service';
import { lookAt, publishByHand } from '../../examples/publishing/world';
import { Cli, type CliProcess, type Ended, ROOT, until } from '../support/cli';
import { type DevServer, startDevServer } from '../support/dev-server';
import { TemporaryFolder } from '../support/temporary-folder';

const EXAMPLE = join(ROOT, 'examples', 'publishing');
const CONFIG = join(EXAMPLE, 'cadre.config.ts');
const SAGA = join(EXAMPLE, 'publish.yaml');

type World = Awaited<ReturnType<typeof lookAt>>;

let server: DevServer;
let service: Awaited<ReturnType<typeof startService>>;
let folder: TemporaryFolder;
let desk: string;
let cli: Cli;
let worker: CliProcess;
let before: World;
/** Each test has a cadre of its own, so that no saga of another holds the lock. */
let common: readonly string[];
let cadres = 0;

const look = (): Promise<World> => lookAt({ desk, url: service.url });
const run = (id: string): Promise<Ended> => cli.run(['saga', 'run', SAGA, '--id', id, ...common]);

async function startWorker(): Promise<CliProcess> {
  const started = cli.start(['worker', ...common]);
  await started.says(/worker ready/);
  return started;
}

beforeAll(async () => {
  server = await startDevServer();
}, 60_000);

afterAll(() => server?.stop());

beforeEach(async () => {
  folder = new TemporaryFolder();
  // The saga's documents are named relative to where the worker runs.
  symlinkSync(join(ROOT, 'examples'), join(folder.path, 'examples'));
  desk = join(folder.path, 'desk');
  service = await startService({ port: 0, file: join(folder.path, 'published.json') });
  await publishByHand({ desk, url: service.url });
  before = await look();
  const { address } = server;
  const environment = { TEMPORAL_ADDRESS: address, PUBLISHING_DESK: desk, PUBLISHING_URL: service.url };
  cli = new Cli(folder, environment);
  cadres += 1;
  common = ['--config', CONFIG, '--cadre', `publishing-${cadres}`];
  worker = await startWorker();
});

afterEach(async () => {
  worker.kill('SIGTERM');
  await worker.ended;
  await cli.stop();
  await service.close();
  folder.remove();
});

test('a service that refuses leaves the world as it was before', async () => {
  service.setTrouble('refuse');
  const { code, stdout, stderr } = await run('refused');
  expect(`${stdout}${stderr}`).toMatch(/answers 403: closed for today/);
  expect(code).toBe(1);
  expect(await look()).toEqual(before);
});

test('a service that publishes without saying so leaves the world as it was before', async () => {
  service.setTrouble('mute');
  expect(await run('mute')).toMatchObject({ code: 1 });
  expect(await look()).toEqual(before);
  expect(await publishedUnder('mute')).toEqual({ editions: 0, withdrawn: 1 });
});

test('a saga that is cancelled while it publishes leaves the world as it was before', async () => {
  service.setTrouble('mute');
  const running = run('cancelled');
  await until(async () => (await publishedUnder('cancelled')).editions === 1);
  expect(await cli.run(['cancel', 'cancelled', ...common])).toMatchObject({ code: 0 });
  expect(await running).toMatchObject({ code: 1 });
  expect(await look()).toEqual(before);
});

test('a worker that is killed while it publishes has the article published once', async () => {
  service.setTrouble('mute');
  const running = run('killed');
  await until(async () => (await publishedUnder('killed')).editions === 1);
  worker.kill('SIGKILL');
  service.setTrouble('none');
  worker = await startWorker();
  expect(await running).toMatchObject({ code: 0 });
  expect(await publishedUnder('killed')).toEqual({ editions: 1, withdrawn: 0 });
  const index = readFileSync(join(desk, 'index.md'), 'utf8');
  expect(index.match(/articles\/database-failover\.md/g)).toHaveLength(2);
});

test('what is online is the article of the desk, and the edition before it is still there', async () => {
  expect(await run('published')).toMatchObject({ code: 0 });
  const world = await look();
  expect(world.published.slice(0, 1)).toEqual(before.published);
  expect(world.rows.slice(0, 1)).toEqual(before.rows);
  expect(world.rows.length).toBeGreaterThan(1);
  const { text } = (await (await fetch(`${service.url}/articles/database-failover`)).json()) as {
    text: string;
  };
  expect(text).toBe(readFileSync(join(desk, 'articles', 'database-failover.md'), 'utf8'));
  expect(text).toMatch(/`[a-z0-9-]+\.md#L\d+`/);
});

test('the demo says that the world is as it was before, then publishes, and leaves nothing behind', async () => {
  const temporary = new TemporaryFolder();
  const demo = cli.spawn(process.execPath, [join(EXAMPLE, 'demo.js')], { TMPDIR: temporary.path });
  const { code, stdout, stderr } = await demo.ended;
  expect(stderr).toBe('');
  expect(stdout).toContain('✓ the same as before, by its hashes');
  expect(stdout).toContain('✓ the article is online');
  expect(code).toBe(0);
  expect(readdirSync(temporary.path).filter((name) => name.startsWith('cadre-'))).toEqual([]);
  temporary.remove();
});

/** What the service knows of one saga. */
async function publishedUnder(id: string): Promise<{ editions: number; withdrawn: number }> {
  const state = JSON.parse(readFileSync(join(folder.path, 'published.json'), 'utf8')) as {
    editions: readonly { key: string }[];
    withdrawn: readonly string[];
  };
  const its = (key: string): boolean => key.startsWith(`${id}/`);
  return {
    editions: state.editions.filter(({ key }) => its(key)).length,
    withdrawn: state.withdrawn.filter(its).length,
  };
}
