import { randomUUID } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Client } from '@temporalio/client';
import { hasAttentionAttribute } from '../../client/attention-attribute';
import { type ResolvedConnection, connect } from '../../client/connection';
import { FAILURES, fixFor, isCadreError } from '../../core/failures';
import { type LeaderReport, readLeader } from '../../client/leader';
import { NEEDS_ATTENTION_ATTRIBUTE, agentQueue, taskQueue } from '../../core/names';
import { type Prices, loadPrices, priceOf, usageOf } from '../../models/prices';
import { chosenModel } from '../../models/providers';
import { FileLedger } from '../../storage/file-ledger';
import { artifactsFolder, ledgerFile } from '../../storage/folders';
import { openArtifacts } from '../../storage/open-artifacts';
import { S3ArtifactStore } from '../../storage/s3-artifact-store';
import { PREBUILT_BUNDLE, buildId } from '../../workers/build-id';
import type { LoadedConfig } from '../../workers/config';
import { describeQueue, livePollers, parseIdentity } from '../../client/queue';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { type Output, duration, table } from '../output';
import { configOf, locateServer } from '../session';
import { usageWords } from '../usage-words';

/** What one check found. */
interface Finding {
  readonly check: string;
  readonly kind: 'ok' | 'warning' | 'failed';
  readonly message: string;
  readonly fix?: string;
}

const NODE_MINIMUM = [20, 19] as const;
/** What the check of a bucket leaves there. */
const DOCTOR_RECORD = 'doctor/record';

export function doctorCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('doctor')
      .description(
        'check what a cadre needs, and say what to do about what is missing; asks the model of CADRE_MODEL once, where there is one, which costs a few tokens',
      ),
  ).action((flags: CommonFlags) => execute(flags, (output) => doctor(flags, output)));
}

async function doctor(flags: CommonFlags, output: Output): Promise<number> {
  const findings: Finding[] = [];
  const add = (finding: Finding): void => {
    findings.push(finding);
    print(finding, output);
  };
  add(checkNode());
  add(checkBundle());
  await attempt('artifacts', add, async () => add(await checkArtifacts()));
  await attempt('ledger', add, async () => add(await checkLedger()));
  const config = await attempt('configuration', add, () => {
    const loaded = configOf(flags);
    const names = loaded.agents.map(({ name }) => name).join(', ');
    add(ok('configuration', `${loaded.file ?? 'no configuration file'}; cadre "${loaded.cadre}": ${names}`));
    return loaded;
  });
  const prices = await attempt('prices', add, () => checkPrices(add));
  await attempt('model', add, () => checkModel(prices, add));
  const at = await attempt('connection', add, () => locateServer(flags));
  const client = at === undefined ? undefined : await attempt('server', add, () => checkServer(at, add));
  if (client !== undefined && config !== undefined) {
    await attempt('namespace', add, () => checkNamespace(client, add));
    await attempt('worker', add, () => checkWorkers(client, config, add));
    await attempt('leader', add, async () => add(leaderFinding(await readLeader(client, config.cadre))));
    await client.connection.close();
  }
  output.value({ ok: findings.every(({ kind }) => kind !== 'failed'), findings });
  if (client === undefined) return EXIT.unreachable;
  return findings.some(({ kind }) => kind === 'failed') ? EXIT.failed : EXIT.done;
}

/** Runs a check; what it throws becomes its finding. */
async function attempt<Result>(
  check: string,
  add: (finding: Finding) => void,
  run: () => Promise<Result> | Result,
): Promise<Result | undefined> {
  try {
    return await run();
  } catch (error) {
    const fix = isCadreError(error) ? fixFor(error.type) : undefined;
    const message = error instanceof Error ? error.message : String(error);
    add({ check, kind: 'failed', message, ...(fix === undefined ? {} : { fix }) });
    return undefined;
  }
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [needMajor, needMinor] = NODE_MINIMUM;
  if (major > needMajor || (major === needMajor && minor >= needMinor))
    return ok('Node', process.versions.node);
  const message = `${process.versions.node} is older than ${needMajor}.${needMinor}`;
  return { check: 'Node', kind: 'failed', message, fix: 'Install Node 20.19 or newer.' };
}

function checkBundle(): Finding {
  if (existsSync(PREBUILT_BUNDLE)) return ok('workflows', `bundle built, build ${buildId()}`);
  const message = 'no bundle built: workers bundle their workflows at every start';
  return { check: 'workflows', kind: 'warning', message, fix: 'Run `npm run build`.' };
}

async function checkArtifacts(): Promise<Finding> {
  const artifacts = openArtifacts();
  if (artifacts instanceof S3ArtifactStore) return checkBucket(artifacts);
  const folder = artifactsFolder();
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return ok('artifacts', folder);
  } catch {
    const fix = 'Set CADRE_ARTIFACTS to a folder that may be written.';
    return { check: 'artifacts', kind: 'failed', message: `cannot write to ${folder}`, fix };
  }
}

/** A record is written twice, and one is looked for that is not there, as workers do. Throws ArtifactsUnavailable. */
async function checkBucket(artifacts: S3ArtifactStore): Promise<Finding> {
  const name = `doctor/${randomUUID()}`;
  await artifacts.recall(name);
  const first = await artifacts.record(DOCTOR_RECORD, Buffer.from(name));
  const second = await artifacts.record(DOCTOR_RECORD, Buffer.from(`${name} again`));
  if (Buffer.compare(first, second) === 0) return ok('artifacts', artifacts.location);
  const message = `${artifacts.location} overwrites what is there: a call that two workers make at once is recorded twice`;
  const fix = 'Use a server that honours `If-None-Match: *` when an object is put.';
  return { check: 'artifacts', kind: 'failed', message, fix };
}

/** The ledger's file is opened as a worker opens it. Throws LedgerUnavailable. */
async function checkLedger(): Promise<Finding> {
  const ledger = new FileLedger(ledgerFile());
  try {
    await ledger.isTombstoned('doctor');
    return ok('ledger', ledger.path);
  } finally {
    await ledger.close();
  }
}

/** What workers go by. Throws ConfigInvalid for a file of CADRE_PRICES that is none. */
function checkPrices(add: (finding: Finding) => void): Prices {
  const prices = loadPrices();
  const file = process.env['CADRE_PRICES'];
  if (file) add(ok('prices', `${file}${prices.date === undefined ? '' : `, of ${prices.date}`}`));
  return prices;
}

/** The model that the embedded team asks is asked once. Throws what that fails with. */
async function checkModel(prices: Prices | undefined, add: (finding: Finding) => void): Promise<void> {
  const name = chosenModel();
  if (name === undefined) return;
  const { tryModel } = await import('../../models/try-model.js');
  const { milliseconds, tokens } = await tryModel(name);
  const price = priceOf(name, prices ?? { models: {} });
  const words = usageWords([usageOf(name, tokens, price)]);
  const message = `${name} answered in ${duration(milliseconds)} (${words})`;
  if (price !== undefined) return add(ok('model', message));
  add({ check: 'model', kind: 'warning', message, fix: FAILURES.PriceUnknown.fix });
}

async function checkServer(at: ResolvedConnection, add: (finding: Finding) => void): Promise<Client> {
  const client = await connect(at);
  const { serverVersion } = await client.workflowService.getSystemInfo({});
  add(
    ok('server', `Temporal ${serverVersion ?? ''} at ${at.address}${at.configured ? ', as configured' : ''}`),
  );
  return client;
}

async function checkNamespace(client: Client, add: (finding: Finding) => void): Promise<void> {
  const { namespace } = client.options;
  const { config } = await client.workflowService
    .describeNamespace({ namespace })
    .catch(() => ({ config: undefined }));
  if (config === undefined) {
    const fix = `Create it with \`temporal operator namespace create ${namespace}\`, or choose another with --namespace.`;
    add({ check: 'namespace', kind: 'failed', message: `there is no namespace "${namespace}"`, fix });
    return;
  }
  const days = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / 86_400;
  add(ok('namespace', `"${namespace}" keeps the history of ended tasks for ${days} days`));
  add(attributeFinding(namespace, await hasAttentionAttribute(client)));
}

function attributeFinding(namespace: string, registered: boolean): Finding {
  const { name } = NEEDS_ATTENTION_ATTRIBUTE;
  const check = 'attribute';
  if (registered) return ok(check, `${name} is registered: the Web UI finds what waits for a person`);
  const message = `no search attribute ${name}: only \`cadre list --needs-attention\` finds what waits for a person`;
  const command = `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword`;
  return { check, kind: 'warning', message, fix: `Register it with \`${command}\`, if you like.` };
}

async function checkWorkers(
  client: Client,
  { cadre, agents }: LoadedConfig,
  add: (finding: Finding) => void,
): Promise<void> {
  const pollers = await livePollers(client, taskQueue(cadre));
  if (pollers.length === 0) {
    const message = `nobody polls the queue "${taskQueue(cadre)}": tasks wait`;
    add({
      check: 'worker',
      kind: 'warning',
      message,
      fix: 'Start one with `cadre worker`; `cadre run` brings its own.',
    });
  }
  for (const { identity } of pollers) add(pollerFinding(identity));
  const pools = new Set(
    agents.filter(({ pool }) => pool !== undefined).map((agent) => agentQueue(cadre, agent)),
  );
  for (const queue of pools) {
    const status = await describeQueue(client, queue, 'activity');
    const pool = queue.slice(queue.lastIndexOf('.') + 1);
    if (status.pollers.length > 0) add(ok('pool', `"${pool}" has ${status.pollers.length} workers`));
    else
      add({
        check: 'pool',
        kind: 'warning',
        message: `nobody serves the pool "${pool}"`,
        fix: `Start \`cadre worker --pool ${pool}\`.`,
      });
  }
}

function leaderFinding({ leader, term, candidates }: LeaderReport): Finding {
  if (leader !== undefined) return ok('leader', `${leader.identity} leads in term ${term}`);
  const message =
    candidates.length === 0
      ? 'nobody leads, and nobody stands: tasks wait for a plan'
      : 'nobody leads yet; candidates stand';
  return {
    check: 'leader',
    kind: 'warning',
    message,
    fix: 'Start a candidate with `cadre worker`; `cadre run` brings its own.',
  };
}

function pollerFinding(identity: string): Finding {
  const build = parseIdentity(identity)?.build;
  if (build === buildId()) return ok('worker', identity);
  const message = `${identity} is ${build === undefined ? 'no worker of Cadre' : `of another build than ${buildId()}`}`;
  const fix = 'Stop it, or give this cadre a name of its own with --cadre: builds may not replay each other.';
  return { check: 'worker', kind: 'warning', message, fix };
}

function ok(check: string, message: string): Finding {
  return { check, kind: 'ok', message };
}

function print({ check, kind, message, fix }: Finding, output: Output): void {
  const mark = {
    ok: output.paint('green', '✓'),
    warning: output.paint('yellow', '!'),
    failed: output.paint('red', '✗'),
  }[kind];
  for (const line of table([[`${mark} ${check.padEnd(13)}`, message]])) output.line(line);
  if (fix !== undefined) output.line(`${' '.repeat(17)}→ ${fix}`);
}
