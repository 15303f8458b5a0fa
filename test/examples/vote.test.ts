// The vote of the documents, on the time-skipping test server.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plan } from 'cadre';
import { TestCadre } from 'cadre/testing';
import config from '../../examples/vote/cadre.config';

const PLAN = readFileSync(join(__dirname, '../../examples/vote/plan.json'), 'utf8');

let cadre: TestCadre;

beforeAll(async () => {
  cadre = await TestCadre.create({ agents: config.agents ?? [] });
}, 60_000);

afterAll(() => cadre?.close());

test('two of three ship the release, by quorum', async () => {
  const plan = JSON.parse(PLAN) as Plan;
  const { outputs } = await cadre.run({ goal: 'ship 2.1?', plan });
  expect(outputs).toMatchObject({ decide: { choice: 'ship', by: 'quorum', term: 1, voters: 3 } });
});

test('where all must agree, the leader decides for most ballots', async () => {
  const plan = JSON.parse(PLAN.replace('majority', 'unanimous')) as Plan;
  const { outputs } = await cadre.run({ goal: 'ship 2.1?', plan });
  expect(outputs).toEqual({
    decide: {
      choice: 'ship',
      by: 'leader',
      term: 1,
      reason: 'most ballots: 2 ballots',
      tally: [
        { choice: 'ship', ballots: 2 },
        { choice: 'wait', ballots: 1 },
      ],
      voters: 3,
    },
  });
});
