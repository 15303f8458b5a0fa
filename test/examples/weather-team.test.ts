// A whole team on the time-skipping test server: the hours that the service asks us to wait take no time here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plan } from 'cadre';
import { TestCadre } from 'cadre/testing';
import { weatherAgent } from '../../examples/weather/weather-agent';
import { type WeatherService, startWeatherService } from './weather-service';

const PLAN = join(__dirname, '../../examples/weather/plan.json');

let service: WeatherService;
let cadre: TestCadre;

beforeAll(async () => {
  service = await startWeatherService();
  cadre = await TestCadre.create({ agents: [weatherAgent(service.url)] });
}, 60_000);

afterAll(async () => {
  await cadre?.close();
  await service.stop();
});

beforeEach(() => service.forget());

test('an outage of two hours costs the task two hours and the test none', async () => {
  service.refuse({ status: 503, retryAfter: 3600, times: 2 });
  const before = await cadre.environment.currentTimeMs();
  const { outputs } = await cadre.run({
    goal: 'the weather in Oslo',
    plan: {
      steps: [{ id: 'oslo', agent: 'weather', instruction: 'forecast', input: { city: 'Oslo', days: 1 } }],
    },
  });
  expect(outputs).toEqual({ oslo: { city: 'Oslo', celsius: [4], price: 2 } });
  expect((await cadre.environment.currentTimeMs()) - before).toBeGreaterThanOrEqual(2 * 3600 * 1000);
  expect(service.keys).toHaveLength(3);
  expect(new Set(service.keys).size).toBe(1);
});

test('the plan of the example runs, and each step has a key of its own', async () => {
  const plan = JSON.parse(readFileSync(PLAN, 'utf8')) as Plan;
  const { task, outputs } = await cadre.run({ goal: 'compare Oslo and Lisbon', plan });
  expect(outputs).toMatchObject({ oslo: { celsius: [4, 5, 3] }, lisbon: { celsius: [17, 18, 16] } });
  expect(service.sold()).toBe(2);
  const events = [];
  for await (const { type } of task.events()) events.push(type);
  expect(events.filter((type) => type === 'decisionsRecorded')).toHaveLength(2);
});

test('a city that the service does not know fails the task at the first attempt', async () => {
  const steps = [
    { id: 'atlantis', agent: 'weather', instruction: 'forecast', input: { city: 'Atlantis', days: 1 } },
  ];
  const failed = cadre.run({ goal: 'the weather in Atlantis', plan: { steps } });
  await expect(failed).rejects.toMatchObject({
    type: 'StepFailed',
    message: 'Step "atlantis" (weather) failed: The weather service answers 404: no such city: Atlantis',
  });
  expect(service.keys).toHaveLength(1);
});
