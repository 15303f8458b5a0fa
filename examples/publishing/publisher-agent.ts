import { type Agent, ApplicationFailure, defineAgent } from 'cadre';
import { z } from 'zod';
import { edition } from './desk';

const input = edition.pick({ article: true }).extend({ written: z.object({ text: z.string() }) });
const output = z.object({ url: z.string() });
type Input = z.infer<typeof input>;
type Output = z.infer<typeof output>;

/** Publishes an article at the service at `url`, which publishes one idempotency key once, and can withdraw it. */
export function publisherAgent(url: string): Agent<Input, Output> {
  return defineAgent({
    name: 'publisher',
    description: 'Publishes the article',
    input,
    output,
    policy: { startToClose: '10 seconds' },
    async act({ article, written }, { signal, idempotencyKey, decide }) {
      const response = await fetch(`${url}/editions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
        body: JSON.stringify({ article, text: written.text }),
        signal,
      });
      if (!response.ok) throw await refusal(response);
      const published = output.parse(await response.json());
      decide({ type: 'published', rationale: `online at ${published.url}`, evidence: published });
      return published;
    },
    async compensate({ action }, { signal }) {
      const response = await fetch(`${url}/editions/${encodeURIComponent(action)}`, {
        method: 'DELETE',
        signal,
      });
      if (!response.ok) throw await refusal(response);
    },
  });
}

/** What the service says of its own trouble is tried again; what it says of ours is not. */
async function refusal(response: Response): Promise<ApplicationFailure> {
  const message = `The publishing service answers ${response.status}: ${await response.text()}`;
  return response.status < 500
    ? ApplicationFailure.nonRetryable(message, 'PublicationRefused')
    : ApplicationFailure.create({ message, type: 'PublishingUnavailable' });
}
