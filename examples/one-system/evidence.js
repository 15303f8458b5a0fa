// All that is told and checked: what the log says, and the ledger of the world outside. It is JSON.

/** Reads the log of what happened; nothing runs for it, and no worker is asked but for the breaker. */
async function readEvidence({ client, world, workers, ids }, laptop) {
  const issue = await all(client.task(ids.issue).events());
  const printing = await all(client.task(ids.printing).events());
  const told = [...issue, ...printing].flatMap(({ type, agents }) => (type === 'remembered' ? agents : []));
  const members = [...new Set(told)];
  const agents = await Promise.all(members.map((name) => client.agent(name)));
  return {
    workers,
    leader: await client.leader(),
    tasks: { issue, printing },
    breaker: await readBreaker(client),
    agents: agents.map(({ agent, decisions, replicas }) => ({ agent, decisions, replicas: replicas.length })),
    knowledge: await client.knowledge(members[0]),
    check: await client.checkKnowledge({ members }),
    laptop: {
      id: laptop.id,
      versionVector: laptop.versionVector,
      facts: laptop.knowledge.set('facts').values(),
      titles: laptop.knowledge.multiValueRegister('title').values(),
    },
    gossip: (await Promise.all(agents.map((agent) => readGossip(client, agent, laptop.id)))).flat(),
    ledger: world.ledger,
  };
}

async function all(events) {
  const list = [];
  for await (const event of events) list.push(event);
  return list;
}

/** How the breaker changed, and what workers reported, from its workflow's history. */
async function readBreaker(client) {
  const { key, workflow, state, opened, refused } = await client.breaker('model');
  const changes = [];
  const reports = [];
  for await (const fact of client.task(workflow).log.facts()) {
    const { kind, time } = fact;
    if (kind === 'memoUpserted' && fact.memo.breaker !== undefined) {
      changes.push({ time, kind: fact.memo.breaker.kind });
    }
    if (kind === 'updateAccepted' && fact.name === 'report') reports.push({ time, ...fact.input[0] });
  }
  return { key, opened, refused, settings: state.settings, granted: state.granted, changes, reports };
}

/** When the laptop's messages came to which replica. */
async function readGossip(client, { agent, replicas }, laptop) {
  const messages = [];
  for (const { member, workflow } of replicas) {
    for await (const fact of client.task(workflow).log.facts()) {
      const isLaptops = fact.kind === 'signalled' && fact.name === 'gossip' && fact.input[0].from === laptop;
      if (isLaptops) messages.push({ time: fact.time, agent, member });
    }
  }
  return messages;
}

module.exports = { readEvidence };
