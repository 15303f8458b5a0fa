// Candidates that do not do what they took the term for, in the test's own process.
import { join } from 'node:path';
import { LEASE_DURATION } from '../../../src/core/election';
import { electionId } from '../../../src/core/names';
import { resignUpdate } from '../../../src/workflows/messages';
import { Candidates } from '../../support/candidates';
import { Cli, ROOT, until } from '../../support/cli';
import { type LoggedTerm, expectOneHolderATerm, stands, termsOf } from '../../support/election-log';

let candidates: Candidates;

beforeAll(async () => {
  candidates = await Candidates.start();
}, 60_000);

afterEach(() => candidates.stop());
afterAll(() => candidates.close());

/** Waits until `count` terms of the cadre are over; returns the latest, in order. */
async function ended(cadre: string, count: number): Promise<LoggedTerm[]> {
  await until(async () => ((await candidates.election(cadre))?.past.length ?? 0) >= count);
  return (await termsOf(candidates.client, cadre)).filter((term) => term.ended !== undefined);
}

async function resign(cadre: string): Promise<void> {
  await candidates.client.workflow.getHandle(electionId(cadre)).executeUpdate(resignUpdate, { args: [{}] });
}

test('candidates that cannot lead do not raise the term in a hot loop, and the next one leads', async () => {
  const cadre = 'throwing';
  const lead = (): never => {
    throw new Error('no seat today');
  };
  await candidates.hostElection(cadre);
  for (const identity of ['a', 'b', 'c', 'd'])
    await candidates.stand(cadre, { identity, seat: { lead, leave: () => undefined } });
  const terms = await ended(cadre, 5);
  for (const [index, { how, reason, ended: end = 0 }] of terms.entries()) {
    expect([how, reason]).toEqual(['failed', 'no seat today']);
    const next = terms[index + 1];
    if (next !== undefined) expect(Number(next.taken) - end).toBeGreaterThanOrEqual(100 * 2 ** index);
  }
  await candidates.stand(cadre, { identity: 'sound' });
  await candidates.leads(cadre, 'sound');
}, 40_000);

test('a process that exits whenever it takes over costs each term its lease, and the next one leads', async () => {
  const cadre = 'exiting';
  await candidates.hostElection(cadre);
  const cli = Cli.at(candidates.server, candidates.folder);
  const program = candidates.folder.write('exiting.js', exitingSource(cadre));
  const over = new AbortController();
  const supervise = async (): Promise<void> => {
    while (!over.signal.aborted) await cli.spawn(process.execPath, [program]).ended;
  };
  const supervised = supervise();
  const terms = await ended(cadre, 3);
  for (const { how, taken = 0, ended: end = 0 } of terms) {
    expect(how).toBe('lostHeartbeat');
    expect(end - taken).toBeGreaterThan(0.9 * LEASE_DURATION);
  }
  over.abort();
  await cli.stop();
  await supervised;
  await candidates.stand(cadre, { identity: 'sound' });
  await candidates.leads(cadre, 'sound');
}, 40_000);

/** A candidate's process that ends as it takes over. */
function exitingSource(cadre: string): string {
  return `
const { NativeConnection } = require(${JSON.stringify(join(ROOT, 'node_modules', '@temporalio', 'worker'))});
const { Client } = require(${JSON.stringify(join(ROOT, 'node_modules', '@temporalio', 'client'))});
const { Candidate } = require(${JSON.stringify(join(ROOT, 'dist', 'workers', 'leadership', 'candidate.js'))});
void (async () => {
  const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS });
  await new Candidate({
    connection,
    client: new Client({ connection }),
    namespace: 'default',
    cadre: ${JSON.stringify(cadre)},
    identity: String(process.pid),
    seat: { lead: () => process.exit(1) },
  }).run();
})();
`;
}

test('a leader that resigns does not win its own resignation while another stands', async () => {
  const cadre = 'resigning';
  await candidates.hostElection(cadre);
  await candidates.stand(cadre, { identity: 'a' });
  let term = await candidates.leads(cadre, 'a');
  await candidates.stand(cadre, { identity: 'b' });
  for (const next of ['b', 'a', 'b', 'a']) {
    const present = (await candidates.election(cadre))?.leader;
    await stands(candidates.client, cadre, next, Number(present?.since));
    await resign(cadre);
    term = await candidates.leads(cadre, next, term);
  }
  const terms = await termsOf(candidates.client, cadre);
  expectOneHolderATerm(terms);
  expect(terms.slice(0, -1).map(({ how }) => how)).toEqual(['resigned', 'resigned', 'resigned', 'resigned']);
}, 40_000);

test('a leader that resigns with nobody else standing leads again a second later', async () => {
  const cadre = 'alone';
  await candidates.hostElection(cadre);
  await candidates.stand(cadre, { identity: 'a' });
  const term = await candidates.leads(cadre, 'a');
  await resign(cadre);
  expect(await candidates.leads(cadre, 'a', term)).toBe(term + 1);
  const [first, second] = await termsOf(candidates.client, cadre);
  expect(Number(second?.taken) - Number(first?.ended)).toBeGreaterThan(900);
}, 30_000);
