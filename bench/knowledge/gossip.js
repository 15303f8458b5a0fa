// How many messages an operation costs, and how many rounds it takes to be everywhere: the real outboxes on a virtual clock.
const { heardEvent, newAgent, evolveAgent, rememberedEvent } = require('../../dist/core/agent/agent-state');
const { ROUND, roundsToAll } = require('../../dist/core/agent/gossip');
const { Outbox } = require('../../dist/core/agent/outbox');
const { covers } = require('../../dist/core/crdt/causal-context');
const { encodeContext, encodeKnowledge } = require('../../dist/core/crdt/knowledge-json');
const { printTable, summary } = require('../measure');

const SIZES = [5, 25, 100];
/** What happens: each calls `network.operate(at, agent)`, with `at` in ms from the beginning. */
const LOADS = {
  'a lone operation': (network) => {
    for (let trial = 0; trial < TRIALS; trial += 1) {
      network.operate(trial * PAUSE + network.between(0, ROUND), network.anyone());
    }
  },
  '1 operation a replica and second': (network) => everySecond(network, network.agents),
  'one replica with 10 a second': (network) => everySecond(network, Array(10).fill(network.agents[0])),
};
/** Lone operations, and ms between them: by then all is silent again. */
const TRIALS = 50;
const PAUSE = 30 * ROUND;
/** How long the others go on, in s. */
const SECONDS = 60;
/** So many that none is dropped: else the bytes would be those of what is dropped. */
const MAX_ENTRIES = 10_000;
/** How long messages take to arrive, in ms. */
const DELAY = { least: 5, most: 50 };
/** The aims. */
const MESSAGES_AIM = { replicas: 25, messages: 20 };

function everySecond(network, agents) {
  for (let second = 0; second < SECONDS; second += 1) {
    for (const agent of agents) network.operate(second * ROUND + network.between(0, ROUND), agent);
  }
}

async function measureGossip({ quick }) {
  const results = [];
  for (const [load, operations] of Object.entries(LOADS)) {
    for (const replicas of quick ? SIZES.slice(0, 2) : SIZES) {
      console.error(`  gossip: ${load}, ${replicas} replicas`);
      const network = new Network(replicas);
      operations(network);
      const { messages, rounds, bytes, toldMost } = network.run();
      results.push({
        load,
        replicas,
        operations: rounds.length,
        messages: messages / rounds.length,
        rounds: summary(rounds),
        bytes: summary(bytes),
        toldMost,
      });
    }
  }
  print(results);
  return results;
}

function print(results) {
  const head = ['gossip, simulated', 'replicas', 'operations', 'messages an operation', 'aim'];
  const rows = [[...head, 'rounds min', 'p50', 'max', 'aim', 'bytes p50', 'max', 'told a round']];
  for (const { load, replicas, operations, messages, rounds, bytes, toldMost } of results) {
    const { min, p50, max } = rounds;
    rows.push([
      load,
      replicas,
      operations.toLocaleString('en'),
      messages.toFixed(1),
      replicas === MESSAGES_AIM.replicas ? `< ${MESSAGES_AIM.messages}` : '',
      min,
      p50,
      max,
      `<= ${Math.floor(Math.log2(replicas) + 3)}`,
      bytes.p50.toLocaleString('en'),
      bytes.max.toLocaleString('en'),
      `<= ${toldMost}`,
    ]);
  }
  printTable(rows);
  const least = SIZES.map((size) => `${size - 1} for ${size}`).join(', ');
  console.log(`  a lone operation takes at least one message a replica that lacks it: ${least}`);
  console.log(`  rounds are of ${ROUND} ms; of a tree: ${SIZES.map(roundsToAll).join(', ')}`);
}

/** Agents that know each other, and have the loop of src/workflows/agent-run.ts; nothing fails. */
class Network {
  constructor(size) {
    this.random = size;
    this.now = 1_700_000_000_000;
    this.began = this.now;
    this.queue = [];
    this.agents = Array.from({ length: size }, (_none, index) => this.begin(`agent-${index}`));
    this.meet();
    this.pending = new Map();
    this.done = { operations: 0, messages: 0, rounds: [], bytes: [], toldMost: 0 };
    this.told = new Map();
  }

  begin(member) {
    const joined = evolveAgent(newAgent('bench', member, `${member}:00000000`), {
      type: 'joined',
      at: this.now,
    });
    return { member, state: joined.state, outbox: new Outbox(), isAwaiting: false };
  }

  /** All know of all. */
  meet() {
    const [first, ...others] = this.agents;
    for (const other of others) this.tell(first, other);
    for (const other of others) this.tell(other, first);
  }

  tell(to, from) {
    const { context, knowledge } = from.state.replica;
    const message = {
      version: 1,
      cadre: 'bench',
      from: from.member,
      seen: encodeContext(context),
      delta: encodeKnowledge(knowledge),
      asks: false,
    };
    to.state = evolveAgent(to.state, heardEvent(message, this.now)).state;
  }

  operate(at, agent) {
    this.done.operations += 1;
    const id = `reports/${this.done.operations}`;
    const operations = [{ type: 'orSet', name: 'sources', add: `https://example.com/${id}` }];
    const message = { version: 1, id, task: id, decisions: [], operations, maxEntries: MAX_ENTRIES };
    this.at(this.began + at, () => {
      const counter = (agent.state.replica.context.get(agent.state.replica.id)?.at(-1) ?? 0) + 1;
      this.pending.set(`${agent.state.replica.id} ${counter}`, { at: this.now, by: new Set([agent.member]) });
      this.evolve(agent, rememberedEvent(message, this.now));
    });
  }

  /** Until nothing happens any more. Throws where an operation is not everywhere then. */
  run() {
    for (;;) {
      const next = this.queue.pop();
      if (next === undefined) break;
      this.now = next.at;
      next.run();
    }
    if (this.pending.size > 0) throw new Error(`${this.pending.size} operations are not everywhere`);
    this.done.toldMost = Math.max(0, ...this.told.values());
    return this.done;
  }

  evolve(agent, event) {
    const evolved = evolveAgent(agent.state, event);
    agent.state = evolved.state;
    agent.outbox.take(evolved, this.now);
    const { news = [], caughtUp } = evolved;
    const operations = news.flatMap(({ delta }) => [...delta.context].flatMap(operationsIn));
    this.arrived(agent, caughtUp ? [...this.pending.keys()] : operations);
    this.wake(agent);
  }

  /** Counts those of `operations` that `agent` has now and had not. */
  arrived({ member, state }, operations) {
    for (const operation of operations) {
      const minted = this.pending.get(operation);
      const [replica, counter] = operation.split(' ');
      if (minted === undefined || minted.by.has(member)) continue;
      if (!covers(state.replica.context, replica, Number(counter))) continue;
      minted.by.add(member);
      if (minted.by.size < this.agents.length) continue;
      this.done.rounds.push(Math.ceil((this.now - minted.at) / ROUND));
      this.pending.delete(operation);
    }
  }

  wake(agent) {
    if (agent.isAwaiting || !agent.outbox.isDirty) return;
    agent.isAwaiting = true;
    this.at(this.now + agent.outbox.dueIn(this.now), () => {
      agent.isAwaiting = false;
      for (const letter of agent.outbox.round(agent.state, this.now)) this.send(agent, letter, true);
      this.wake(agent);
    });
  }

  send(agent, letter, isOfRound = false) {
    const text = JSON.stringify(letter.gossip);
    this.done.messages += 1;
    this.done.bytes.push(text.length);
    if (isOfRound) {
      const key = `${Math.floor(this.now / ROUND)} ${letter.to}`;
      this.told.set(key, (this.told.get(key) ?? 0) + 1);
    }
    this.at(this.now + this.between(DELAY.least, DELAY.most), () => {
      agent.outbox.delivered(letter);
      this.hear(
        this.agents.find(({ member }) => member === letter.to),
        JSON.parse(text),
      );
    });
  }

  hear(agent, message) {
    const event = heardEvent(message, this.now);
    this.evolve(agent, event);
    const answer = agent.outbox.answer(agent.state, event.read.message);
    if (answer !== undefined) this.send(agent, answer);
  }

  /** Sorted insertion, the next last. */
  at(at, run) {
    let [low, high] = [0, this.queue.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.queue[middle].at > at) low = middle + 1;
      else high = middle;
    }
    this.queue.splice(low, 0, { at, run });
  }

  /** A whole number from `least` and less than `most`: the same for the same seed. */
  between(least, most) {
    this.random = (Math.imul(this.random, 1664525) + 1013904223) >>> 0;
    return least + Math.floor((this.random / 2 ** 32) * (most - least));
  }

  anyone() {
    return this.agents[this.between(0, this.agents.length)];
  }
}

/** The operations of a replica, by the intervals of a causal context. */
function operationsIn([replica, intervals]) {
  const operations = [];
  for (let index = 0; index < intervals.length; index += 2) {
    for (let counter = intervals[index]; counter <= intervals[index + 1]; counter += 1) {
      operations.push(`${replica} ${counter}`);
    }
  }
  return operations;
}

module.exports = { measureGossip };
