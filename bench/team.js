/**
 * A cadre of processes of their own (`cadre worker`), which can be killed, paused and asked to hand over. Owns the
 * processes; who leads and who stands is what the server says.
 */
const { spawn } = require('node:child_process');
const { openSync, closeSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const { candidatesQueue, electionId } = require('../dist/core/names');

const CLI = join(__dirname, '..', 'dist', 'cli', 'main.js');
const PATIENCE = 60_000;
const LOOK_INTERVAL = 50;
const LEAD_STARTED = 2;
const ACTIVITY_QUEUE = 2;

class Team {
  /** By identity: `{ identity, roles, child, ended, standsSince }`, the last in ms since 1970: who polls since then stands. */
  members = new Map();

  /**
   * `temporal` is a client of Temporal's; `config` a file beside this one; what the processes write goes to a log in
   * `folder`. `options` are more of `cadre worker`'s.
   */
  constructor({ address, temporal, folder, cadre, config, options = [] }) {
    const log = join(folder, 'workers.log');
    Object.assign(this, { address, temporal, folder, cadre, config: join(__dirname, config), options, log });
  }

  /** Starts a process of `roles`, and waits until it is ready. */
  async start(roles) {
    const log = openSync(this.log, 'a');
    const args = [
      CLI,
      'worker',
      '--config',
      this.config,
      '--address',
      this.address,
      '--json',
      ...this.options,
    ];
    const child = spawn(process.execPath, [...args, ...roles.flatMap((role) => ['--role', role])], {
      stdio: ['ignore', 'pipe', log],
      env: { ...withoutClientSettings(process.env), CADRE_DATA: this.folder },
    });
    closeSync(log);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    this.starting = child;
    const line = await Promise.race([firstLine(child.stdout), ended]);
    if (typeof line !== 'string') {
      throw this.failure('A worker ended before it was ready');
    }
    const { identity } = JSON.parse(line);
    const member = { identity, roles, child, ended, standsSince: 0 };
    this.members.set(identity, member);
    return member;
  }

  /** Waits until a member that was told to end has, and starts another like it. */
  async replace({ identity, roles, ended }) {
    await ended;
    this.members.delete(identity);
    await this.start(roles);
  }

  /** Ends every process at once. */
  async kill() {
    const all = [...this.members.values()];
    this.starting?.kill('SIGKILL');
    for (const { child } of all) child.kill('SIGKILL');
    await Promise.all(all.map(({ ended }) => ended));
  }

  /** Waits for a leader while all others stand; returns `{ leader, term }`, where `leader` is a member. */
  async settled() {
    for (const deadline = Date.now() + PATIENCE; Date.now() < deadline; await delay(LOOK_INTERVAL)) {
      const held = await this.heldTerm();
      if (held !== undefined && (await this.allStandBut(held.leader))) return held;
    }
    throw this.failure(`The cadre has not settled on a leader within ${PATIENCE / 1000} s`);
  }

  /** Settled, with a leader that also has the election in its workflow cache. */
  async settledWithCache() {
    for (const deadline = Date.now() + PATIENCE; Date.now() < deadline; ) {
      const held = await this.settled();
      if ((await this.electionWorker()) === held.leader.identity) return held;
      await this.moveElection();
    }
    throw this.failure(`The election has not come to its leader's cache within ${PATIENCE / 1000} s`);
  }

  failure(what) {
    return new Error(`${what}. The end of the workers' log:\n${readFileSync(this.log, 'utf8').slice(-2000)}`);
  }

  get election() {
    return this.temporal.workflow.getHandle(electionId(this.cadre));
  }

  /** The term that a living member holds; undefined where none does, or the election has something to do. */
  async heldTerm() {
    const { raw } = await this.election.describe().catch(() => ({ raw: {} }));
    const [lead] = raw.pendingActivities ?? [];
    const leader = this.members.get(lead?.lastWorkerIdentity);
    if (lead?.state !== LEAD_STARTED || leader === undefined || raw.pendingWorkflowTask) return undefined;
    return { leader, term: Number(lead.activityId.replace('term-', '')) };
  }

  async allStandBut(leader) {
    const { pollers } = await this.temporal.workflowService.describeTaskQueue({
      namespace: 'default',
      taskQueue: { name: candidatesQueue(this.cadre) },
      taskQueueType: ACTIVITY_QUEUE,
    });
    const polledAt = new Map(
      pollers.map((poller) => [poller.identity, toMilliseconds(poller.lastAccessTime)]),
    );
    const candidates = [...this.members.values()].filter(({ roles }) => roles.includes('leader'));
    return candidates.every(
      (member) => member === leader || (polledAt.get(member.identity) ?? 0) > member.standsSince,
    );
  }

  /** Identity of the worker that ran the election's last workflow task. */
  async electionWorker() {
    const { history } = await this.temporal.workflowService.getWorkflowExecutionHistoryReverse({
      namespace: 'default',
      execution: { workflowId: electionId(this.cadre) },
      maximumPageSize: 20,
    });
    const task = history.events.find((event) => event.workflowTaskCompletedEventAttributes);
    return task?.workflowTaskCompletedEventAttributes.identity;
  }

  /** Has any worker take the election's next workflow task, and gives it one that changes nothing. */
  async moveElection() {
    const execution = { workflowId: electionId(this.cadre) };
    await this.temporal.workflowService.resetStickyTaskQueue({ namespace: 'default', execution });
    await this.election.signal('announce', { term: 0, identity: 'nobody' });
  }
}

/** What tells of another server or store must not reach the processes. */
function withoutClientSettings(environment) {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !/^(TEMPORAL|CADRE)_/.test(name)));
}

function firstLine(stream) {
  return new Promise((resolve) => {
    let text = '';
    stream.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
  });
}

function toMilliseconds({ seconds, nanos }) {
  return Number(seconds) * 1000 + (nanos ?? 0) / 1e6;
}

module.exports = { Team };
