import { ApplicationFailure } from '@temporalio/common';
import { type Agent, defineAgent } from 'cadre';
import { z } from 'zod';

const input = z.object({ city: z.string().min(1), days: z.int().min(1).max(7) });
const forecast = z.object({ city: z.string(), celsius: z.array(z.number()), price: z.number() });

/** Buys a forecast from the weather service at `url`, which charges for each one it makes. */
export function weatherAgent(url: string): Agent<z.infer<typeof input>, z.infer<typeof forecast>> {
  return defineAgent({
    name: 'weather',
    description: "Forecasts a city's temperatures for up to seven days",
    skills: ['weather'],
    input,
    output: forecast,
    policy: { startToClose: '10 seconds', retry: { maximumAttempts: 5 } },
    async act({ city, days }, { signal, idempotencyKey, decide }) {
      const response = await fetch(`${url}/forecasts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
        body: JSON.stringify({ city, days }),
        signal,
      });
      if (!response.ok) throw refusal(response.status, await response.text(), response.headers);
      const bought = forecast.parse(await response.json());
      decide({ type: 'forecastBought', rationale: `${bought.city} for ${bought.price}`, evidence: bought });
      return bought;
    },
  });
}

/** What no retry can mend fails the step at once; the rest is tried again when the service says, or by the policy. */
function refusal(status: number, text: string, headers: Headers): ApplicationFailure {
  const message = `The weather service answers ${status}: ${text}`;
  const mendable = status >= 500 || status === 408 || status === 429;
  if (!mendable) return ApplicationFailure.nonRetryable(message, 'ForecastRefused');
  const seconds = Number(headers.get('retry-after'));
  return ApplicationFailure.create({
    message,
    type: 'WeatherUnavailable',
    ...(seconds > 0 ? { nextRetryDelay: seconds * 1000 } : {}),
  });
}
