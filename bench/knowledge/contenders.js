// Three kinds of replica, each doing the same: findings known by their content, and a counter. Messages and files are bytes.
const { createHash } = require('node:crypto');
const Automerge = require('@automerge/automerge');
const Y = require('yjs');
const {
  decodeContext,
  decodeKnowledge,
  encodeContext,
  encodeKnowledge,
} = require('../../dist/core/crdt/knowledge-json');
const { ReplicaState, checkOperation } = require('../../dist/core/crdt/replica');
const { devDependencies } = require('../../package.json');

/** So many that none is dropped: the others have no bound. */
const MAX_ENTRIES = 1_000_000;

/**
 * What `measureReplicas` needs of each, where `operation` is `{ finding }` or `{ by }`, and a writer a whole number from 1:
 * - `open(writer, saved?)`: a replica that writes under that name, empty without `saved`
 * - `write(replica, operation)`: `[replica, message]`, the message being the delta of this operation
 * - `receive(replica, message)`: the replica, with such a message merged
 * - `gather(writer, messages)`: a replica that has merged them all
 * - `seen(replica)`, `lacking(replica, seen)`: what somebody lacks who has seen so much
 * - `whole(replica)`: the same for one who has seen nothing
 * - `merge(replica, bytes)`: the replica, with what `lacking` or `whole` gave merged
 * - `save(replica)`: what `open` takes
 * - `findings(replica)`: all, as a list; `count(replica)`: the counter's value
 * - `close(replica)`: frees what the garbage collector does not see
 * - `fails(workload, entries)`: `all` or `merges` where it cannot be measured with so many; absent where it can with any
 */
const cadre = {
  name: 'cadre',
  open: (writer, saved) =>
    (saved === undefined ? ReplicaState.create('') : ReplicaState.read(parse(saved))).as(`agent:${writer}`),
  write(replica, { finding, by }) {
    const operation =
      finding === undefined
        ? { type: 'pnCounter', name: 'sources', by }
        : { type: 'orSet', name: 'findings', add: finding };
    const delta = replica.apply(checkOperation(operation), Date.now(), MAX_ENTRIES);
    return [replica, bytes(encodeKnowledge(delta))];
  },
  receive: mergeOurs,
  gather: (writer, messages) => messages.reduce(mergeOurs, cadre.open(writer)),
  seen: (replica) => bytes(encodeContext(replica.context)),
  lacking: (replica, seen) =>
    bytes(encodeKnowledge(replica.since(decodeContext(parse(seen), 'what is seen')))),
  whole: (replica) => bytes(encodeKnowledge(replica.knowledge)),
  merge: mergeOurs,
  save: (replica) => bytes(replica.toJSON()),
  findings: (replica) => replica.value('orSet', 'findings'),
  count: (replica) => replica.value('pnCounter', 'sources'),
  close() {},
};

function mergeOurs(replica, message) {
  replica.merge(decodeKnowledge(parse(message), 'the message'), Date.now());
  return replica;
}

function bytes(json) {
  return Buffer.from(JSON.stringify(json));
}

function parse(buffer) {
  return JSON.parse(buffer.toString());
}

/** Yjs has no counter: each client keeps its own total in a map, and the value is their sum. */
const yjs = {
  name: 'Yjs',
  version: devDependencies.yjs,
  open(writer, saved) {
    const doc = new Y.Doc();
    doc.clientID = writer;
    if (saved !== undefined) Y.applyUpdate(doc, saved);
    const replica = { doc, message: undefined };
    doc.on('update', (message) => {
      replica.message = message;
    });
    return replica;
  },
  write(replica, { finding, by }) {
    const { doc } = replica;
    if (finding === undefined) {
      const totals = doc.getMap('sources');
      const mine = String(doc.clientID);
      totals.set(mine, (totals.get(mine) ?? 0) + by);
    } else doc.getMap('findings').set(keyOf(finding), finding);
    return [replica, replica.message];
  },
  receive: mergeYjs,
  gather(writer, messages) {
    const replica = yjs.open(writer);
    replica.doc.transact(() => {
      for (const message of messages) Y.applyUpdate(replica.doc, message);
    });
    return replica;
  },
  seen: ({ doc }) => Y.encodeStateVector(doc),
  lacking: ({ doc }, seen) => Y.encodeStateAsUpdate(doc, seen),
  whole: ({ doc }) => Y.encodeStateAsUpdate(doc),
  merge: mergeYjs,
  save: ({ doc }) => Y.encodeStateAsUpdate(doc),
  findings: ({ doc }) => [...doc.getMap('findings').values()],
  count: ({ doc }) => [...doc.getMap('sources').values()].reduce((sum, total) => sum + total, 0),
  close: ({ doc }) => doc.destroy(),
};

function mergeYjs(replica, message) {
  Y.applyUpdate(replica.doc, message);
  return replica;
}

/**
 * A finding is one scalar here: an object of Automerge would be a map whose texts merge letter by letter, which the others
 * do not do, and which costs more.
 */
const automerge = {
  name: 'Automerge',
  version: devDependencies['@automerge/automerge'],
  open: (writer, saved = origin()) => Automerge.load(saved, { actor: actor(writer) }),
  write(replica, { finding, by }) {
    const after = Automerge.change(replica, { time: 0 }, (doc) => {
      if (finding === undefined) doc.sources.increment(by);
      else doc.findings[keyOf(finding)] = new Automerge.ImmutableString(JSON.stringify(finding));
    });
    return [after, Automerge.getLastLocalChange(after)];
  },
  receive: (replica, message) => Automerge.applyChanges(replica, [message])[0],
  gather(writer, messages) {
    const [doc] = Automerge.applyChanges(automerge.open(writer), messages);
    // The first change after concurrent ones names the hashes of all; later ones, which are the common case, name one.
    return Automerge.emptyChange(doc, { time: 0 });
  },
  seen: (replica) => Automerge.getHeads(replica),
  lacking: (replica, seen) => Automerge.saveSince(replica, seen),
  whole: (replica) => Automerge.save(replica),
  merge: (replica, message) => Automerge.loadIncremental(replica, message),
  save: (replica) => Automerge.save(replica),
  findings: (replica) => Object.values(replica.findings).map((text) => JSON.parse(text.val)),
  count: (replica) => replica.sources.value,
  close: (replica) => Automerge.free(replica),
  // Tried with 100,000 entries. A document of as many writers takes more than a minute to open, each time. To merge 1,000
  // findings into one runs out of WebAssembly's 4 GiB (200 of them: 53 s and 2.9 GB), and so does merging two of them. Two
  // of increments took 81 s.
  fails: (workload, entries) =>
    entries < 100_000
      ? undefined
      : { findings: 'merges', replicas: 'all', increments: 'merges' }[workload.id],
};

/** What all documents begin with, so that they share the map and the counter. */
function origin() {
  const empty = Automerge.init({ actor: actor(0) });
  const doc = Automerge.change(empty, { time: 0 }, (it) => {
    it.findings = {};
    it.sources = new Automerge.Counter(0);
  });
  const saved = Automerge.save(doc);
  Automerge.free(doc);
  return saved;
}

function actor(writer) {
  return writer.toString(16).padStart(32, '0');
}

/** As one would write it on Node; ours is slower, since it is written in JavaScript for the workflow sandbox. */
function keyOf(finding) {
  return createHash('sha256').update(JSON.stringify(finding)).digest('hex');
}

module.exports = { CONTENDERS: [cadre, yjs, automerge] };
