// Keys of models that must be nowhere but in the worker's environment and the provider's hands: all else is searched for them.
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { type Script, ScriptedModel } from '../../src/testing';
import { type CliProcess, ROOT, until } from '../support/cli';
import { step } from '../support/agents';
import { CliStage } from '../support/cli-stage';

/** Stands in goals and answers: the search must find it wherever it looks, or it looks at nothing. */
const MARKER = 'a-marker-that-is-no-secret';
/** Of places whose names hold these, one at least must have it. */
const SEARCHED = [
  'history of answers-openai',
  'while it waits',
  'temporal.db',
  'artifacts',
  'cadre show',
  'error of refused',
  'error of repeats-reader',
  'error of fails-program',
  "the worker's output",
];
const MCP_SERVER = join(ROOT, 'test', 'models', 'mcp', 'server.js');
const PROVIDERS = ['openai', 'anthropic'] as const;
const CANARIES = {
  openai: secret('sk-proj'),
  anthropic: secret('sk-ant'),
  openrouter: secret('sk-or'),
  compatible: secret('compatible'),
  address: secret('in-an-address'),
  s3: secret('s3'),
  mcp: secret('mcp'),
  program: secret('program'),
};

let stage: CliStage;
let worker: CliProcess;
let environment: Record<string, string>;
const servers = new Map<string, ScriptedModel>();
/** What was said, by where. */
const said = new Map<string, string>();
/** By provider: opens what its second calls wait for. */
const gates = new Map<string, () => void>();

beforeAll(async () => {
  stage = await CliStage.start({ onDisk: true });
  for (const provider of PROVIDERS) {
    const key = CANARIES[provider];
    const gated = new Promise<void>((resolve) => gates.set(provider, resolve));
    servers.set(provider, await ScriptedModel.start(scriptOf(key, gated), { key }));
  }
  stage.folder.write('cadre.config.js', config());
  const urlOf = (provider: string): string => servers.get(provider)?.url ?? '';
  environment = {
    OPENAI_API_KEY: CANARIES.openai,
    OPENAI_BASE_URL: urlOf('openai'),
    ANTHROPIC_API_KEY: CANARIES.anthropic,
    ANTHROPIC_BASE_URL: urlOf('anthropic'),
    OPENROUTER_API_KEY: CANARIES.openrouter,
    CADRE_MODEL_KEY: CANARIES.compatible,
    CADRE_MODEL_URL: urlOf('openai').replace('//', `//somebody:${CANARIES.address}@`),
    AWS_SECRET_ACCESS_KEY: CANARIES.s3,
    MCP_TOKEN: CANARIES.mcp,
    PROGRAM_KEY: CANARIES.program,
    LOG_LEVEL: 'debug',
  };
  worker = stage.start(['worker'], environment);
  await worker.says(/worker ready/);
}, 60_000);

afterAll(async () => {
  for (const open of gates.values()) open();
  await stage.close();
  for (const server of servers.values()) await server.close();
});

test('no key is in histories, visibility, errors, logs, output, ids, artifacts or the database', async () => {
  await Promise.all([
    ...PROVIDERS.flatMap((provider) => tasksOf(provider)),
    ended('unreachable', 'compatible'),
    ended('repeats-reader', 'reader'),
    ended('fails-program', 'program'),
  ]);
  for (const server of servers.values()) {
    expect(server.calls.length).toBeGreaterThan(5);
    expect(server.calls.every(({ hadKey }) => hadKey)).toBe(true);
  }

  await readServer();
  for (const args of commands()) {
    const { code, stdout, stderr } = await stage.run(args, environment);
    said.set(`cadre ${args.join(' ')}`, stdout + stderr);
    expect(code === 2 ? args : []).toEqual([]);
  }
  worker.kill('SIGTERM');
  await worker.ended;
  said.set("the worker's output", worker.stdout + worker.stderr);
  readFolder(stage.folder.path, (path) => path.slice(stage.folder.path.length));

  const searched = placesOf(MARKER);
  for (const place of SEARCHED) {
    expect({ place, found: searched.some((found) => found.includes(place)) }).toEqual({ place, found: true });
  }
  for (const canary of Object.values(CANARIES)) expect(placesOf(canary)).toEqual([]);
}, 300_000);

/** Says what a provider would that knows no discretion. */
function scriptOf(key: string, gated: Promise<void>): Script {
  let retried = 0;
  return async ({ messages, turn }) => {
    const text = messages.map((message) => message.text).join('\n');
    if (text.includes('do refused')) {
      return { kind: 'error', status: 401, message: `${MARKER}: Incorrect API key provided: ${key}` };
    }
    if (text.includes('do repeats') && turn === 1) {
      return { kind: 'answer', toolCalls: [{ name: 'files_fail', input: {} }] };
    }
    if (text.includes('do garbled')) return { kind: 'raw', body: `<p>${MARKER} of ${key}</p>` };
    if (text.includes('do retried')) {
      retried += 1;
      if (retried === 1)
        return { kind: 'error', status: 500, message: `${MARKER}: nobody is left for ${key}` };
      await gated;
      return `${MARKER}, after a retry`;
    }
    return turn === 1 ? { kind: 'answer', toolCalls: [{ name: 'look', input: {} }] } : `${MARKER}, found`;
  };
}

function config(): string {
  return `
const { z } = require(${JSON.stringify(join(ROOT, 'node_modules', 'zod'))});
const { commandAgent, defineConfig, modelAgent } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const agent = (provider) => modelAgent({
  name: provider,
  description: 'asks ' + provider,
  model: provider + '/scripted',
  instructions: 'Do as you are told.',
  tools: { look: { description: 'looks', input: z.object({}), effect: 'read', run: () => 'nothing' } },
  policy: { retry: { maximumAttempts: 2, initialInterval: '100ms' } },
});
// The server says its token in what it writes to standard error, and in what its tool fails with.
const reader = modelAgent({
  name: 'reader',
  description: 'asks a server that repeats its token',
  model: 'openai/scripted',
  instructions: 'Do as you are told.',
  mcp: {
    files: {
      command: process.execPath,
      args: [${JSON.stringify(MCP_SERVER)}, ${JSON.stringify(stage.folder.path)}],
      env: { TOKEN: process.env.MCP_TOKEN },
      tools: { fail: { effect: 'read' } },
    },
  },
});
const program = commandAgent({
  name: 'program',
  description: 'runs a program that says its key',
  command: process.execPath,
  args: ['-e', "console.error('${MARKER} ' + process.env.PROGRAM_KEY); process.exitCode = 3"],
  env: { PROGRAM_KEY: true },
  exitCodes: { final: [3] },
  root: ${JSON.stringify(stage.folder.path)},
});
const asking = ['openai', 'anthropic', 'compatible'].map(agent);
module.exports = defineConfig({ agents: [...asking, reader, program], embedded: false });
`;
}

function tasksOf(provider: string): Promise<void>[] {
  return [
    ...['answers', 'refused', 'garbled'].map((what) => ended(`${what}-${provider}`, provider)),
    isPending(`retried-${provider}`, provider),
  ];
}

/** Runs a task to its end, and keeps what it failed with. */
async function ended(id: string, agent: string): Promise<void> {
  const task = await started(id, agent);
  said.set(
    `error of ${id}`,
    await task.result().then(
      (outputs) => JSON.stringify(outputs),
      (error: unknown) => inspect(error, { depth: 4 }),
    ),
  );
}

async function started(id: string, agent: string) {
  const client = await stage.client();
  const [instruction = ''] = id.split('-');
  return client.start({ goal: `${MARKER} ${id}`, plan: { steps: [step(instruction, agent)] } }, { id });
}

/** Keeps what the server says of a task while a call of its second attempt is in flight, before it ends. */
async function isPending(id: string, agent: string): Promise<void> {
  const task = await started(id, agent);
  const { temporal } = await stage.client();
  const { namespace } = stage.server;
  const execution = { workflowId: id };
  await until(async () => {
    const pending = await temporal.workflowService.describeWorkflowExecution({ namespace, execution });
    said.set(`${id} while it waits`, plain(pending));
    return pending.pendingActivities?.[0]?.attempt === 2;
  });
  gates.get(agent)?.();
  await task.result();
}

/** All that says what came of a task, and what says how a cadre is. */
function commands(): string[][] {
  const ids = ['retried-openai', 'unreachable'];
  return [
    ['doctor'],
    ['list'],
    ['cost'],
    ['breakers'],
    ...ids.flatMap((id) => [
      ['show', id],
      ['show', id, '--json'],
      ['log', id],
      ['export', id],
    ]),
  ];
}

/** Histories of all workflows, and all else that the server says of them. */
async function readServer(): Promise<void> {
  const { temporal } = await stage.client();
  const { namespace } = stage.server;
  for await (const { workflowId, runId, raw } of temporal.workflow.list()) {
    const execution = { workflowId, runId };
    said.set(`visibility of ${workflowId}`, plain(raw));
    const description = await temporal.workflowService.describeWorkflowExecution({ namespace, execution });
    said.set(`description of ${workflowId}`, plain(description));
    const handle = temporal.workflow.getHandle(workflowId, runId);
    said.set(`history of ${workflowId} ${runId}`, plain(await handle.fetchHistory()));
  }
}

function readFolder(folder: string, nameOf: (path: string) => string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) readFolder(path, nameOf);
    else said.set(nameOf(path), `${nameOf(path)}\n${readFileSync(path, 'latin1')}`);
  }
}

/** Where `text` stands, as it is or as it is often written. */
function placesOf(text: string): string[] {
  const forms = [text, Buffer.from(text).toString('base64').replace(/=+$/, ''), encodeURIComponent(text)];
  return [...said].flatMap(([place, content]) =>
    forms.some((form) => `${place}\n${content}`.includes(form)) ? [place] : [],
  );
}

/** A message of the server's, with its bytes as text. */
function plain(message: unknown): string {
  return JSON.stringify(message, (_key, value: unknown) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
    const bytes = value as { type?: string; data?: number[] } | null;
    // What a Buffer makes of itself.
    if (bytes?.type === 'Buffer' && Array.isArray(bytes.data))
      return Buffer.from(bytes.data).toString('latin1');
    return value;
  });
}

function secret(prefix: string): string {
  return `${prefix}-${randomBytes(24).toString('hex')}`;
}
