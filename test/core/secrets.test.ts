import { SECRET_NAME, Secrets } from '../../src/core/secrets';

test('a secret is hidden wherever it stands, also in JSON', () => {
  const secrets = new Secrets();
  secrets.add('pass"word\\1', '[X]');
  expect(secrets.hide('it is pass"word\\1, pass"word\\1')).toBe('it is [X], [X]');
  expect(secrets.hide(JSON.stringify({ said: 'pass"word\\1' }))).toBe('{"said":"[X]"}');
});

test('a secret that is part of another leaves nothing of the longer one', () => {
  const secrets = new Secrets();
  secrets.add('a-secret', '[SHORT]');
  secrets.add('a-secret-of-length', '[LONG]');
  expect(secrets.hide('a-secret-of-length and a-secret')).toBe('[LONG] and [SHORT]');
  expect(secrets.length).toBe('a-secret-of-length'.length);
});

test('its parts are hidden where they are added', () => {
  const [whole, parts] = [new Secrets(), new Secrets()];
  whole.add('Bearer the-token', '[X]');
  parts.addParts('Bearer the-token', '[X]');
  expect(whole.hide('the-token')).toBe('the-token');
  expect(parts.hide('the-token of Bearer the-token')).toBe('[X] of [X]');
});

test('what is shorter than 8 characters is left as it is', () => {
  const secrets = new Secrets();
  secrets.addParts('1234567 debug', '[X]');
  secrets.add('1234567', '[X]');
  expect(secrets.hide('1234567 debug, 1234567')).toBe('[X], 1234567');
  expect(new Secrets().length).toBe(0);
});

test('what stands in its place is taken to the letter', () => {
  const secrets = new Secrets();
  secrets.add('the-secret', '[$&]');
  expect(secrets.hide('the-secret')).toBe('[$&]');
});

test('the texts and names of a value are hidden in, and all else of it stays', () => {
  const secrets = new Secrets();
  secrets.add('the-secret', '[X]');
  expect(secrets.hideIn({ 'the-secret': ['a the-secret', 1, null], b: { c: true } })).toEqual({
    '[X]': ['a [X]', 1, null],
    b: { c: true },
  });
});

test.each(['OPENAI_API_KEY', 'github_token', 'DB_PASSWORD', 'AWS_SECRET', 'CREDENTIALS_OF'])(
  'the name %s says that its value is secret',
  (name) => expect(name).toMatch(SECRET_NAME),
);
