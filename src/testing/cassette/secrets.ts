/** Keeps secrets out of a cassette: each is replaced in a request and a reply before anything else is done with them. */
import { SECRET_NAME, Secrets } from '../../core/secrets';

const REMOVED = '[removed]';
/** Keys, organisations and projects as the providers write them. */
const SHAPES = /\b(?:sk-[A-Za-z0-9_-]{16,}|org-[A-Za-z0-9]{16,}|proj_[A-Za-z0-9]{16,})/g;
const ACCOUNT_NAME = /^(?:OPENAI|ANTHROPIC)_(?:ORG|PROJECT|WORKSPACE)/i;
/** Of a reply: what names the account that paid it, or a session. */
const ACCOUNT_HEADERS = [
  'openai-organization',
  'openai-project',
  'anthropic-organization-id',
  'set-cookie',
] as const;

/** The values of all variables whose names say that they are secret, or an account's. */
export function secretsIn(environment: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(environment).flatMap(([name, value = '']) =>
    SECRET_NAME.test(name) || ACCOUNT_NAME.test(name) ? [value] : [],
  );
}

/** What the headers of a reply say of the account. */
export function secretsOf(headers: Headers): string[] {
  return ACCOUNT_HEADERS.map((name) => headers.get(name) ?? '');
}

/** `text`, which may be JSON, without `secrets` and what looks like one. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const known = new Secrets();
  for (const secret of secrets) known.add(secret, REMOVED);
  return known
    .hide(text)
    .replaceAll(SHAPES, REMOVED)
    .replaceAll(/\/\/[^\s/?#"\\]*:[^\s/?#"\\]*@/g, `//${REMOVED}@`);
}
