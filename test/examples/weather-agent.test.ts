// One agent against a real HTTP server on loopback; no Temporal.
import { callAgent } from 'cadre/testing';
import { weatherAgent } from '../../examples/weather/weather-agent';
import { type WeatherService, startWeatherService } from './weather-service';

let service: WeatherService;

beforeAll(async () => {
  service = await startWeatherService();
});
afterAll(() => service.stop());
beforeEach(() => service.forget());

test('a forecast is bought, and the purchase is a decision', async () => {
  const { output, decisions } = await callAgent(weatherAgent(service.url), { city: 'Oslo', days: 2 });
  expect(output).toEqual({ city: 'Oslo', celsius: [4, 5], price: 2 });
  expect(decisions).toEqual([{ type: 'forecastBought', rationale: 'Oslo for 2', evidence: output }]);
});

test('every attempt sends the same idempotency key, so that a retry buys nothing twice', async () => {
  for (const attempt of [1, 2]) {
    await callAgent(weatherAgent(service.url), { city: 'Oslo', days: 1 }, { attempt });
  }
  expect(new Set(service.keys).size).toBe(1);
  expect(service.sold()).toBe(1);
});

test('a refusal that no retry can mend is not retryable', async () => {
  const call = callAgent(weatherAgent(service.url), { city: 'Atlantis', days: 1 });
  await expect(call).rejects.toMatchObject({ type: 'ForecastRefused', nonRetryable: true });
});

test('an outage is retryable, when the service says', async () => {
  service.refuse({ status: 503, retryAfter: 60 });
  const call = callAgent(weatherAgent(service.url), { city: 'Oslo', days: 1 });
  await expect(call).rejects.toMatchObject({ type: 'WeatherUnavailable', nextRetryDelay: 60_000 });
});

test('an input that does not match the schema never reaches the service', async () => {
  const call = callAgent(weatherAgent(service.url), { city: 'Oslo', days: 30 });
  await expect(call).rejects.toMatchObject({ type: 'AgentInputInvalid' });
  expect(service.keys).toEqual([]);
});

test('cancelling the task ends the call', async () => {
  service.hang();
  const controller = new AbortController();
  const call = callAgent(weatherAgent(service.url), { city: 'Oslo', days: 1 }, { signal: controller.signal });
  await service.asked();
  controller.abort();
  await expect(call).rejects.toMatchObject({ name: 'CancelledFailure' });
});
