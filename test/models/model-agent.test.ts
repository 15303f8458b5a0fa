// The real AI SDK against a scripted model on loopback, without a server of Temporal's.
import { z } from 'zod';
import { ApplicationFailure } from '@temporalio/common';
import { fixFor } from '../../src/core/failures';
import { modelAgent } from '../../src/models/model-agent';
import type { Script } from '../../src/testing/scripted-model';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { TemporaryFolder } from '../support/temporary-folder';
import { callScripted, modelOfFile } from './scripted';

const model = modelOfFile();
const folder = TemporaryFolder.ofEachTest();
const newStore = (): FileArtifactStore => new FileArtifactStore(folder.path);

const described = { description: 'an agent', instructions: 'Do what the step says.' } as const;
const city = z.object({ city: z.string(), people: z.number() });

describe('the answer', () => {
  test('is its text, where there is no schema', async () => {
    const agent = modelAgent({ name: 'plain', model: 'openai/gpt-5-mini', ...described });
    const { output, usage } = await callScripted(model, agent, { topic: 'rain' }, () => ({
      kind: 'answer',
      text: 'It rains.',
      usage: { inputTokens: 100, cachedTokens: 40, outputTokens: 7 },
    }));
    expect(output).toBe('It rains.');
    expect(usage).toMatchObject([
      {
        model: 'openai/gpt-5-mini',
        calls: 1,
        inputTokens: 100,
        cachedTokens: 40,
        outputTokens: 7,
        tokens: 107,
      },
    ]);
    const [{ request } = { request: undefined }] = model.calls;
    expect(request).toMatchObject({
      model: 'gpt-5-mini',
      system: 'Do what the step says.',
      maxOutputTokens: 4096,
    });
    expect(request?.messages[0]?.text).toBe(
      'Goal: a goal\n\nYour part of it: an instruction\n\nInput:\n{"topic":"rain"}',
    );
    expect(request?.body).toHaveProperty('max_completion_tokens', 4096);
  });

  test.each([
    'openai/gpt-5-mini',
    'anthropic/claude-sonnet-4-5',
    'anthropic/claude-3-haiku',
    'compatible/any',
  ])('is what the schema says, from %s', async (name) => {
    const agent = modelAgent({ name: 'structured', model: name, ...described, output: city });
    const { output } = await callScripted(model, agent, {}, () => ({
      kind: 'answer',
      output: { city: 'Rome', people: 3 },
    }));
    expect(output).toEqual({ city: 'Rome', people: 3 });
    expect(model.calls[0]?.request.system).toContain('"people":{"type":"number"}');
  });

  test.each([
    ['not JSON', { kind: 'answer', text: 'Rome has three' }, /it is not JSON/],
    ['not what the schema says', { kind: 'answer', text: '{"city":"Rome"}' }, /people/],
    ['empty', { kind: 'answer', text: '' }, /it was empty/],
    [
      'cut off',
      { kind: 'answer', text: '{"city":"Rome","peo', finish: 'length' },
      /cut off after 4096 tokens/,
    ],
    [
      'whole as it seems, but cut off',
      { kind: 'answer', text: '{"city":"Rome","people":3}', finish: 'length' },
      /cut off/,
    ],
  ] as const)('that is %s is sent back with the reason, at most twice', async (_what, bad, reason) => {
    const agent = modelAgent({ name: 'mended', model: 'openai/gpt-5-mini', ...described, output: city });
    const { output, decisions } = await callScripted(model, agent, {}, ({ call }) =>
      model.calls.length < 3 ? bad : { kind: 'answer', output: { city: 'Rome', people: call } },
    );
    expect(output.city).toBe('Rome');
    expect(model.calls).toHaveLength(3);
    expect(model.calls[1]?.request.messages.at(-1)).toMatchObject({
      role: 'user',
      text: expect.stringMatching(reason),
    });
    expect(decisions.map(({ type }) => type)).toEqual(['answerSentBack', 'answerSentBack']);

    const failing = callScripted(model, agent, {}, () => bad);
    await expect(failing).rejects.toMatchObject({ type: 'ModelOutputInvalid', nonRetryable: true });
    expect(model.calls).toHaveLength(3);
  });

  test('may be twice as long after one that was cut off, where nothing limits it', async () => {
    const agent = modelAgent({ name: 'longer', model: 'openai/gpt-5-mini', ...described });
    const cut = { kind: 'answer', text: 'It rai', finish: 'length' } as const;
    await callScripted(model, agent, {}, () => (model.calls.length < 3 ? cut : 'It rains.'));
    expect(model.calls.map(({ request }) => request.maxOutputTokens)).toEqual([4096, 8192, 16_384]);
    // What broke off is not in the next prompt.
    expect(model.calls[2]?.request.messages.map(({ role }) => role)).toEqual(['user', 'user', 'user']);

    const limited = modelAgent({
      name: 'limited',
      model: 'openai/gpt-5-mini',
      ...described,
      maxOutputTokens: 100,
    });
    await callScripted(model, limited, {}, () => (model.calls.length < 2 ? cut : 'It rains.'));
    expect(model.calls.map(({ request }) => request.maxOutputTokens)).toEqual([100, 100]);
  });

  test('is asked for again where a person has a step tried again whose answers could not be used', async () => {
    const artifacts = newStore();
    const agent = modelAgent({ name: 'again', model: 'openai/gpt-5-mini', ...described, output: city });
    const bad = { kind: 'answer', text: 'Rome has three' } as const;
    const attempt = (resolutions: number, script: Script = () => bad) =>
      callScripted(model, agent, {}, script, { artifacts, resolutions });
    const unusable = expect.objectContaining({ type: 'ModelOutputInvalid' }) as unknown;
    await expect(attempt(0)).rejects.toEqual(unusable);
    expect(model.calls).toHaveLength(3);
    // Without a person's word what is recorded stands.
    await expect(attempt(0)).rejects.toEqual(unusable);
    expect(model.calls).toHaveLength(0);
    await expect(attempt(1)).rejects.toEqual(unusable);
    expect(model.calls).toHaveLength(2);
    await expect(attempt(1)).rejects.toEqual(unusable);
    expect(model.calls).toHaveLength(0);
    const { output } = await attempt(2, () => ({ kind: 'answer', output: { city: 'Rome', people: 3 } }));
    expect(output).toEqual({ city: 'Rome', people: 3 });
    expect(model.calls).toHaveLength(1);
    expect(model.calls[0]?.request.messages.at(-1)).toMatchObject({
      text: expect.stringMatching(/it is not JSON/),
    });
    // Whatever it was that a person had tried again: answers that came just now are not asked for once more.
    const first = callScripted(model, agent, {}, () => bad, { resolutions: 2 });
    await expect(first).rejects.toEqual(unusable);
    expect(model.calls).toHaveLength(3);
  });

  test('that the filter of the provider withheld ends it at the first call', async () => {
    const agent = modelAgent({ name: 'filtered', model: 'openai/gpt-5-mini', ...described });
    const failing = callScripted(model, agent, {}, () => ({
      kind: 'answer',
      text: 'It',
      finish: 'content-filter',
    }));
    await expect(failing).rejects.toMatchObject({ type: 'ModelRefused', nonRetryable: true });
    expect(model.calls).toHaveLength(1);
  });
});

describe('tools', () => {
  const asks = (name: string, input: unknown) => ({ kind: 'answer', toolCalls: [{ name, input }] }) as const;
  const withTools = (seen: unknown[]) =>
    modelAgent({
      name: 'tooled',
      model: 'openai/gpt-5-mini',
      ...described,
      maxSteps: 5,
      tools: {
        add: {
          description: 'Adds',
          input: z.object({ left: z.number(), right: z.number() }),
          effect: 'read',
          trusted: true,
          run: ({ left, right }, context) => {
            seen.push([left, right, context.idempotencyKey]);
            context.decide({ type: 'added', rationale: `${left} and ${right}` });
            return { sum: left + right };
          },
        },
        fail: {
          description: 'Fails',
          input: z.object({ how: z.string() }),
          effect: 'read',
          run: ({ how }) => {
            if (how === 'plainly') throw new Error('no such page');
            throw ApplicationFailure.retryable('the disk is full', 'DiskFull');
          },
        },
      },
    });

  test('run with an input that their schema has checked, and the model reads what they return', async () => {
    const seen: unknown[] = [];
    const { output } = await callScripted(model, withTools(seen), {}, ({ turn, messages }) =>
      turn === 1 ? asks('add', { left: 1, right: 2 }) : `it is ${messages.at(-1)?.text}`,
    );
    expect(output).toBe('it is {"sum":3}');
    expect(seen).toEqual([[1, 2, expect.stringMatching(/\/tool-[0-9a-f]{16}-1$/)]]);
  });

  test('that are asked for with an input that does not match do not run, and the model is told', async () => {
    const seen: unknown[] = [];
    await callScripted(model, withTools(seen), {}, ({ turn }) =>
      turn === 1 ? asks('add', { left: 'one', right: 2 }) : 'I give up',
    );
    expect(seen).toEqual([]);
    expect(model.calls[1]?.request.messages.at(-1)?.text).toMatch(/left/);
  });

  test('tell the model what they throw, marked; failures of Temporal end the attempt', async () => {
    const told = await callScripted(model, withTools([]), {}, ({ turn }) =>
      turn === 1 ? asks('fail', { how: 'plainly' }) : 'there is no such page',
    );
    expect(told.output).toBe('there is no such page');
    expect(model.calls[1]?.request.messages.at(-1)?.text).toMatch(
      /^<untrusted id="[0-9a-f]{16}" from="tool fail">\nno such page\n<\/untrusted id="[0-9a-f]{16}">$/,
    );
    const ended = callScripted(model, withTools([]), {}, ({ turn }) =>
      turn === 1 ? asks('fail', { how: 'at all' }) : 'never said',
    );
    await expect(ended).rejects.toMatchObject({ type: 'DiskFull', nonRetryable: false });
    expect(model.calls).toHaveLength(1);
  });

  const printer = (maxResultBytes?: number, trusted = true) =>
    modelAgent({
      name: 'printer',
      model: 'openai/gpt-5-mini',
      ...described,
      tools: {
        print: {
          description: 'Prints so many characters',
          input: z.object({ count: z.number(), fails: z.boolean().optional() }),
          effect: 'read',
          trusted,
          ...(maxResultBytes === undefined ? {} : { maxResultBytes }),
          run: ({ count, fails }) => {
            if (fails) throw new Error('x'.repeat(count));
            return 'ü'.repeat(count);
          },
        },
      },
    });
  const shownOf = async (agent: ReturnType<typeof printer>, input: object): Promise<string> => {
    await callScripted(model, agent, {}, ({ turn }) => (turn === 1 ? asks('print', input) : 'done'));
    return model.calls[1]?.request.messages.at(-1)?.text ?? '';
  };

  test('show the model 256 KiB of a result, and it is told what was cut off', async () => {
    const kept = 'ü'.repeat(131_072);
    expect(await shownOf(printer(), { count: 131_072 })).toBe(kept);
    expect(await shownOf(printer(), { count: 131_073 })).toBe(`${kept}\n[cut after 262144 of 262146 bytes]`);
  });

  test('show as much as they say, also of what they throw, and what is cut stays marked', async () => {
    // Half a character is left out.
    expect(await shownOf(printer(1025), { count: 1000 })).toBe(
      `${'ü'.repeat(512)}\n[cut after 1025 of 2000 bytes]`,
    );
    expect(await shownOf(printer(1024, false), { count: 2000, fails: true })).toMatch(
      /^<untrusted id="([0-9a-f]{16})" from="tool print">\nx{1024}\n\[cut after 1024 of 2000 bytes\]\n<\/untrusted id="\1">$/,
    );
    expect(await shownOf(printer(Infinity), { count: 200_000 })).toBe('ü'.repeat(200_000));
  });

  test('and answers that are recorded are neither run nor paid again by the next attempt', async () => {
    const artifacts = newStore();
    const seen: unknown[] = [];
    const agent = withTools(seen);
    const until = (turns: number) =>
      callScripted(
        model,
        agent,
        {},
        ({ turn }) => {
          if (turn > turns) return { kind: 'error', status: 500 };
          return turn === 4 ? 'done' : asks('add', { left: turn, right: 1 });
        },
        { artifacts, attempt: turns },
      );
    for (const turns of [1, 2, 3]) {
      await expect(until(turns)).rejects.toMatchObject({ type: 'ModelUnavailable', nonRetryable: false });
      // The one that was not recorded yet, and the one that failed.
      expect(model.calls).toHaveLength(2);
    }
    const { output, decisions, usage } = await until(4);
    expect(output).toBe('done');
    expect(model.calls).toHaveLength(1);
    expect(seen).toHaveLength(3);
    expect(usage).toMatchObject([{ calls: 4, unseen: 0 }]);
    // What the tools decided is known of the attempt that succeeded, though it ran none of them.
    expect(decisions.map(({ rationale }) => rationale)).toEqual(['1 and 1', '2 and 1', '3 and 1']);
  });

  test('that are asked for at once are recorded in their order', async () => {
    const artifacts = newStore();
    const seen: unknown[] = [];
    const agent = withTools(seen);
    const both = {
      kind: 'answer',
      toolCalls: [1, 2, 3].map((left) => ({ name: 'add', input: { left, right: 0 } })),
    } as const;
    const attempt = (number: number, last: { kind: 'error'; status: number } | string) =>
      callScripted(model, agent, {}, ({ turn }) => (turn === 1 ? both : last), {
        artifacts,
        attempt: number,
      });
    await expect(attempt(1, { kind: 'error', status: 503 })).rejects.toThrow(/503/);
    const { output } = await attempt(2, 'done');
    expect(output).toBe('done');
    expect(model.calls).toHaveLength(1);
    expect(seen).toHaveLength(3);
    expect(model.calls[0]?.request.messages.slice(-3).map(({ text }) => text)).toEqual([
      '{"sum":1}',
      '{"sum":2}',
      '{"sum":3}',
    ]);
  });

  test('asked for to the end of the steps are a failure that no retry mends', async () => {
    const failing = callScripted(model, withTools([]), {}, ({ turn }) =>
      asks('add', { left: turn, right: 1 }),
    );
    await expect(failing).rejects.toMatchObject({
      type: 'ModelOutputInvalid',
      message: expect.stringContaining('maxSteps'),
      nonRetryable: true,
    });
    expect(fixFor('ModelOutputInvalid')).toMatch(/`maxSteps` where it asked for tools to the end/);
    expect(model.calls).toHaveLength(5);
  });

  test('asked for to the end leave the model more steps where a person has the step tried again', async () => {
    const artifacts = newStore();
    const seen: unknown[] = [];
    const attempt = (resolutions: number, script: Script) =>
      callScripted(model, withTools(seen), {}, script, { artifacts, resolutions });
    const asking = attempt(0, ({ turn }) => asks('add', { left: turn, right: 1 }));
    await expect(asking).rejects.toMatchObject({ type: 'ModelOutputInvalid' });
    const { output } = await attempt(1, () => 'done');
    expect(output).toBe('done');
    expect(model.calls).toHaveLength(1);
    expect(seen).toHaveLength(5);
  });

  test('ask a person, and run again with the answer', async () => {
    const paid: string[] = [];
    const agent = modelAgent({
      name: 'payer',
      model: 'openai/gpt-5-mini',
      ...described,
      tools: {
        pay: {
          description: 'Pays',
          input: z.object({ amount: z.number() }),
          run: async ({ amount }, context) => {
            const { answer } = await context.ask({ name: 'pay', question: `Pay ${amount}?` });
            return context.once('transfer', () => {
              paid.push(`${amount} ${answer}`);
              return 'paid';
            });
          },
        },
      },
    });
    const script = ({ turn }: { turn: number }) => (turn === 1 ? asks('pay', { amount: 5 }) : 'done');
    const artifacts = newStore();
    const asked = callScripted(model, agent, {}, script, { artifacts });
    await expect(asked).rejects.toMatchObject({
      type: 'QuestionAsked',
      details: expect.arrayContaining([expect.objectContaining({ name: '1.pay' })]),
    });
    const { output, decisions } = await callScripted(model, agent, {}, script, {
      artifacts,
      attempt: 2,
      answers: { '1.pay': 'yes' },
    });
    expect(output).toBe('done');
    expect(paid).toEqual(['5 yes']);
    // A tool that asked was seen to end: nothing says that it may have run twice.
    expect(decisions).toEqual([]);
    expect(model.calls).toHaveLength(1);
  });
});

describe('what a provider answers', () => {
  const agent = modelAgent({ name: 'asker', model: 'openai/gpt-5-mini', ...described });
  test.each([400, 401, 402, 403, 404, 422])('%i ends the step at the first call', async (status) => {
    const failing = callScripted(model, agent, {}, () => ({ kind: 'error', status, message: 'no and no' }));
    await expect(failing).rejects.toMatchObject({
      type: 'ModelRefused',
      nonRetryable: true,
      message: `openai/gpt-5-mini answered ${status}: no and no`,
    });
    expect(model.calls).toHaveLength(1);
  });

  test.each([408, 429, 500, 502, 503, 529])('%i is for the next attempt', async (status) => {
    const failing = callScripted(model, agent, {}, () => ({ kind: 'error', status }));
    await expect(failing).rejects.toMatchObject({ type: 'ModelUnavailable', nonRetryable: false });
    expect(model.calls).toHaveLength(1);
  });

  test.each([
    ['a connection that breaks', { kind: 'reset' }],
    ['a body that breaks off', { kind: 'answer', text: 'a long text', cut: { after: 60 } }],
    ['a body that ends too soon', { kind: 'answer', text: 'a long text', cut: { after: 60, how: 'end' } }],
    ['no JSON', { kind: 'raw', body: '<html>' }],
    ['no choices', { kind: 'raw', body: '{"choices":[]}' }],
  ] as const)('%s is for the next attempt', async (_what, reply) => {
    const failing = callScripted(model, agent, {}, () => reply);
    await expect(failing).rejects.toMatchObject({ type: 'ModelUnavailable', nonRetryable: false });
    expect(model.calls).toHaveLength(1);
  });

  test('is cut short with the attempt', async () => {
    const stop = new AbortController();
    const failing = callScripted(
      model,
      agent,
      {},
      () => {
        stop.abort();
        return { kind: 'hang' };
      },
      { signal: stop.signal },
    );
    await expect(failing).rejects.toMatchObject({ name: 'CancelledFailure' });
  });
});

describe('a definition', () => {
  const define = (changes: object) => () =>
    modelAgent({ name: 'defined', model: 'openai/gpt-5-mini', ...described, ...changes });
  const tool = { description: 'a tool', input: z.object({}), run: () => 1 };

  test.each([
    [{ model: 'gpt-5-mini' }, 'ModelUnknown', /provider\/model/],
    [{ model: 'nobody/gpt' }, 'ModelUnknown', /openai, anthropic/],
    [{ model: 5 }, 'ModelUnknown', /AI SDK 6/],
    [{ instructions: ' ' }, 'ConfigInvalid', /`instructions`/],
    [{ temperature: 3 }, 'ConfigInvalid', /`temperature`.* from 0 to 2, got 3/],
    [{ maxOutputTokens: 0 }, 'ConfigInvalid', /`maxOutputTokens`/],
    [{ maxSteps: 1.5 }, 'ConfigInvalid', /`maxSteps`.* whole number from 1/],
    [{ output: z.array(city) }, 'ConfigInvalid', /`output`.* an object, got one of an array: .*z\.object\(/],
    [{ output: z.string() }, 'ConfigInvalid', /got one of a string: .*; for a text leave `output` out/],
    [{ output: z.union([city, z.object({})]) }, 'ConfigInvalid', /got one of several kinds/],
    [{ output: z.unknown() }, 'ConfigInvalid', /got one of anything/],
    [{ output: 'a text' }, 'ConfigInvalid', /`output`.* Standard Schema/],
    [{ tools: { 'a b': tool } }, 'ConfigInvalid', /A-Z a-z/],
    [{ tools: { a: { ...tool, efect: 'read' } } }, 'PolicyInvalid', /`efect`/],
    [{ tools: { a: { ...tool, effect: 'none' } } }, 'ConfigInvalid', /'read' or 'write'/],
    [{ tools: { a: { ...tool, trusted: 'yes' } } }, 'ConfigInvalid', /tools\.a\.trusted/],
    [
      { tools: { a: { ...tool, maxResultBytes: 1000 } } },
      'ConfigInvalid',
      /tools\.a\.maxResultBytes.* from 1024 to 16777216, or Infinity, got 1000/,
    ],
    [{ tools: { a: { ...tool, description: '' } } }, 'ConfigInvalid', /tools\.a\.description/],
    [{ tools: { a: { ...tool, run: undefined } } }, 'ConfigInvalid', /tools\.a\.run/],
    [
      { tools: { a: { ...tool, input: { '~standard': { validate: () => 1 } } } } },
      'ConfigInvalid',
      /JSON schema/,
    ],
  ])('with a field out of its range is refused (%#)', (changes, type, message) => {
    expect(define(changes)).toThrow(
      expect.objectContaining({ type, message: expect.stringMatching(message) }),
    );
  });

  test("has its model's breaker and 5 attempts of 5 minutes, unless its policy says else", () => {
    expect(define({})().resolvedPolicy).toMatchObject({
      startToClose: 300_000,
      retry: { maximumAttempts: 5 },
      breaker: { key: 'openai/gpt-5-mini', onOpen: 'wait' },
    });
    const changed = define({ policy: { retry: { initialInterval: 5 }, breaker: { key: 'mine' } } })();
    expect(changed.resolvedPolicy).toMatchObject({
      retry: { maximumAttempts: 5, initialInterval: 5 },
      breaker: { key: 'mine' },
    });
  });
});
