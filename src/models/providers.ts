/**
 * The providers of models that a worker can speak to by name. Owns the names (`provider/model`), where each provider is,
 * and which variable holds its key; nothing of the AI SDK is loaded before a model is opened.
 *
 * A key is read when a model is opened, inside a call, and leaves this module only with the request.
 */
import type { LanguageModelV3 } from '@ai-sdk/provider';
import { CadreError, isCadreError } from '../core/failures';
import { anthropicSdk, openaiSdk } from './ai-sdk';

type Environment = Readonly<Record<string, string | undefined>>;

interface Provider {
  /** What it speaks. */
  readonly wire: 'openai' | 'anthropic';
  /** Absent where only a variable says it. */
  readonly url?: string;
  /** The variable that says another address. */
  readonly urlFrom?: string;
  /** The variable of the key; absent for servers that ask for none. */
  readonly keyFrom?: string;
  /** Whether no call is of use without a key; at another address there may be none. */
  readonly keyed?: true;
  /** Whether it takes a JSON schema for the answer. Default false: it is told in the prompt alone. */
  readonly schemas?: true;
  /** Whether it takes the limit of the output under the name that its reasoning models ask for. Default false. */
  readonly completionTokens?: true;
}

const PROVIDERS = {
  openai: {
    wire: 'openai',
    url: 'https://api.openai.com/v1',
    urlFrom: 'OPENAI_BASE_URL',
    keyFrom: 'OPENAI_API_KEY',
    keyed: true,
    schemas: true,
    completionTokens: true,
  },
  anthropic: {
    wire: 'anthropic',
    url: 'https://api.anthropic.com/v1',
    urlFrom: 'ANTHROPIC_BASE_URL',
    keyFrom: 'ANTHROPIC_API_KEY',
    keyed: true,
  },
  ollama: { wire: 'openai', url: 'http://127.0.0.1:11434/v1', schemas: true },
  vllm: { wire: 'openai', url: 'http://127.0.0.1:8000/v1', schemas: true },
  lmstudio: { wire: 'openai', url: 'http://127.0.0.1:1234/v1', schemas: true },
  openrouter: {
    wire: 'openai',
    url: 'https://openrouter.ai/api/v1',
    keyFrom: 'OPENROUTER_API_KEY',
    keyed: true,
  },
  compatible: { wire: 'openai', urlFrom: 'CADRE_MODEL_URL', keyFrom: 'CADRE_MODEL_KEY' },
} as const satisfies Record<string, Provider>;

/** A provider's name, a slash, and the provider's own name of the model, which may hold slashes itself. */
const NAME = /^([a-z]+)\/([\x21-\x7e]{1,180})$/;

/**
 * The model of `CADRE_MODEL`, as `provider/model`; undefined where none is set, or `CADRE_OFFLINE=1` says that none is to be
 * asked. Throws ModelUnknown.
 */
export function chosenModel(environment: Environment = process.env): string | undefined {
  const name = environment['CADRE_MODEL'];
  if (!name || environment['CADRE_OFFLINE'] === '1') return undefined;
  return checkModelName(name);
}

/** The {@link chosenModel}. Throws ModelUnknown where there is none. */
export function requireModel(environment: Environment = process.env): string {
  const model = chosenModel(environment);
  if (model !== undefined) return model;
  throw new CadreError('ModelUnknown', 'No model is chosen: CADRE_MODEL is not set, or CADRE_OFFLINE=1 is');
}

/** `name`, where it is `provider/model` of a provider that is known. Throws ModelUnknown. */
export function checkModelName(name: string): string {
  parse(name);
  return name;
}

/**
 * A model to call, by `provider/model`. Throws ModelUnknown, and ModelKeyMissing where the provider's key is not in the
 * environment.
 */
export async function openModel(
  name: string,
  environment: Environment = process.env,
): Promise<LanguageModelV3> {
  const { provider: providerName, model } = parse(name);
  const provider: Provider = PROVIDERS[providerName];
  const baseURL = addressOf(providerName, provider, environment);
  const apiKey = keyOf(providerName, provider, environment);
  if (provider.wire === 'anthropic') {
    const { createAnthropic } = anthropicSdk();
    return createAnthropic({ baseURL, apiKey: apiKey ?? '', fetch: fetchThere })(model);
  }
  const { createOpenAICompatible } = openaiSdk();
  const compatible = createOpenAICompatible({
    name: providerName,
    baseURL,
    fetch: fetchThere,
    ...(apiKey === undefined ? {} : { apiKey }),
    supportsStructuredOutputs: provider.schemas ?? false,
    includeUsage: true,
    transformRequestBody: (body) => requestBody(body, provider),
  });
  return compatible.chatModel(model);
}

/** Follows no redirect: the key in the headers would go along to another host. */
const fetchThere: typeof fetch = (address, init) => fetch(address, { ...init, redirect: 'error' });

/** Where a provider is, and with which key it is asked: what a recorder of its answers needs. */
export interface ProviderAccess {
  readonly wire: 'openai' | 'anthropic';
  readonly url: string;
  /** Absent for servers that ask for none. */
  readonly key?: string;
}

/** Throws ModelUnknown where no address is known, and ModelKeyMissing as {@link openModel}. */
export function providerAccess(
  name: keyof typeof PROVIDERS,
  environment: Environment = process.env,
): ProviderAccess {
  const provider: Provider = PROVIDERS[name];
  const key = keyOf(name, provider, environment);
  return {
    wire: provider.wire,
    url: addressOf(name, provider, environment),
    ...(key === undefined ? {} : { key }),
  };
}

/**
 * What the environment lacks for `name` (`provider/model`) to be asked: ModelKeyMissing, or ModelUnknown for the address.
 * Undefined where it has both, whatever the provider makes of them. Throws ModelUnknown for what is no such name.
 */
export function lackOf(name: string, environment: Environment = process.env): CadreError | undefined {
  const { provider } = parse(name);
  try {
    providerAccess(provider, environment);
    return undefined;
  } catch (error) {
    if (isCadreError(error)) return error;
    throw error;
  }
}

function parse(name: string): { readonly provider: keyof typeof PROVIDERS; readonly model: string } {
  const [, provider = '', model = ''] = NAME.exec(name) ?? [];
  if (Object.hasOwn(PROVIDERS, provider)) return { provider: provider as keyof typeof PROVIDERS, model };
  const known = Object.keys(PROVIDERS).join(', ');
  throw new CadreError(
    'ModelUnknown',
    `Expected a model as provider/model, with one of the providers ${known}; got ${JSON.stringify(name.slice(0, 80))}`,
  );
}

function addressOf(name: string, { url, urlFrom }: Provider, environment: Environment): string {
  const address = (urlFrom === undefined ? undefined : environment[urlFrom]) || url;
  if (address !== undefined && /^https?:$/.test(protocolOf(address))) return address;
  throw new CadreError(
    'ModelUnknown',
    `Expected ${urlFrom} to be the http or https address of the provider "${name}"`,
  );
}

function protocolOf(address: string): string {
  return URL.canParse(address) ? new URL(address).protocol : '';
}

function keyOf(
  name: string,
  { keyFrom, keyed, wire, urlFrom }: Provider,
  environment: Environment,
): string | undefined {
  const key = keyFrom === undefined ? undefined : environment[keyFrom];
  if (key) return key;
  const elsewhere = urlFrom !== undefined && Boolean(environment[urlFrom]);
  if (keyed === undefined || (elsewhere && wire === 'openai')) return undefined;
  throw new CadreError(
    'ModelKeyMissing',
    `Expected ${keyFrom} to hold the key of the provider "${name}", got nothing`,
  );
}

/** A strict schema would refuse optional fields: answers are checked here in any case. */
function requestBody(body: Record<string, unknown>, { completionTokens }: Provider): Record<string, unknown> {
  const { max_tokens, response_format, ...rest } = body;
  const limit = completionTokens ? 'max_completion_tokens' : 'max_tokens';
  return {
    ...rest,
    ...(max_tokens === undefined ? {} : { [limit]: max_tokens }),
    ...(response_format === undefined ? {} : { response_format: looser(response_format) }),
  };
}

function looser(format: unknown): unknown {
  const { json_schema: schema } = format as { json_schema?: Record<string, unknown> };
  return schema === undefined ? format : { ...(format as object), json_schema: { ...schema, strict: false } };
}
