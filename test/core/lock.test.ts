// Pure: keys and ids, what a lock begins with, who may release it, and what a refusal says.
import fc from 'fast-check';
import { isCadreError } from '../../src/core/failures';
import { utf8Bytes } from '../../src/core/json';
import {
  type HolderKind,
  type LockState,
  firstRunOf,
  isReleasedBy,
  lockDetails,
  lockHeld,
  lockMemo,
  lockState,
  lockSummary,
  readLockMemo,
} from '../../src/core/lock';
import { validKey } from '../../src/core/key';
import { lockId } from '../../src/core/names';
import { taskRoot } from '../../src/core/task-projection';

const holder = { workflowId: 'order', root: 'order/1' };
const held: LockState = { key: 'order-42', holder, since: Date.UTC(2026, 0, 2, 3, 4, 5) };

/** Whole characters of any plane, and often those that an encoding could trip over. */
const anyKey = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '%',
        '=',
        '=2F',
        '/',
        ' ',
        '.',
        '2',
        'F',
        'f',
        '%2F',
        '%25',
        'é',
        'e\u0301',
        '鍵',
        '🔑',
        '\u2028',
      ),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
    { minLength: 1, maxLength: 60 },
  )
  .map((parts) => parts.join(''))
  .filter((key) => /^[^\p{Cc}\p{Cs}]+$/u.test(key));

describe('a key', () => {
  test.each(['a', 'order-42', ' ', 'orders/42 %', 'заказ', '注文', '🔑'.repeat(200), 'k'.repeat(200)])(
    '%j is one',
    (key) => expect(validKey('lock', key)).toBe(key),
  );

  test.each([
    '',
    'k'.repeat(201),
    '鍵'.repeat(201),
    'a\nb',
    'a\u0000',
    '\u0085',
    '\ud800',
    'a\udc00b',
    42,
    undefined,
    ['a'],
  ])('%j is none', (key) => {
    expect(() => validKey('lock', key)).toThrow(expect.objectContaining({ type: 'InputInvalid' }));
  });
});

describe('the id of a lock', () => {
  test('is encoded where it is ASCII, with no "%", and can be read in any script', () => {
    expect(lockId('cadre', 'order-42_a.B')).toBe('cadre.lock.order-42_a.B');
    expect(lockId('cadre', 'a/b:c %25')).toBe('cadre.lock.a/b=3Ac=20=2525');
    expect(lockId('cadre', 'заказ 鍵🔑')).toBe('cadre.lock.заказ=20鍵🔑');
  });

  test('differs where keys differ, since it can be decoded to the key', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const id = lockId('cadre', key);
        expect(id.startsWith('cadre.lock.')).toBe(true);
        expect(decodeURIComponent(id.slice('cadre.lock.'.length).replaceAll('=', '%'))).toBe(key);
      }),
    );
  });

  test('differs from another cadre’s', () => {
    expect(lockId('a', 'k')).not.toBe(lockId('b', 'k'));
  });

  test.each(['%', '鍵', '🔑', '\u2028', 'é'])(
    'of 200 of %j is shorter than the server’s limit',
    (character) => {
      expect(utf8Bytes(lockId('c'.repeat(63), validKey('lock', character.repeat(200))))).toBeLessThan(1000);
    },
  );
});

describe('a lock', () => {
  test('begins with key and holder, and with the time where it is told none', () => {
    expect(lockState({ key: 'k', holder }, 7)).toEqual({ key: 'k', holder, since: 7 });
    expect(lockState({ key: 'k', holder: { ...holder, more: 1 }, since: 3, more: 1 }, 7)).toEqual({
      key: 'k',
      holder,
      since: 3,
    });
  });

  test.each([
    undefined,
    'k',
    { key: 'k' },
    { holder },
    { key: '', holder },
    { key: 'k', holder: { workflowId: 'order' } },
    { key: 'k', holder: { workflowId: '', root: 'r' } },
    { key: 'k', holder: { workflowId: 'order', root: '' } },
    { key: 'k', holder, since: -1 },
    { key: 'k', holder, since: 1e300 },
    { key: 'k', holder, since: 'now' },
  ])('does not begin with %j', (start) => {
    expect(() => lockState(start, 7)).toThrow(expect.objectContaining({ type: 'InputInvalid' }));
  });

  test('is released by its holder’s root alone, whatever else comes', () => {
    expect(isReleasedBy(held, { root: 'order/1' })).toBe(true);
    expect(isReleasedBy(held, { root: 'order/2' })).toBe(false);
    fc.assert(
      fc.property(fc.anything(), (release) => {
        expect(isReleasedBy(held, release)).toBe(false);
      }),
    );
  });

  test('is read from its memo, which says since when only where its run began later', () => {
    expect(readLockMemo(lockMemo({ key: 'k', holder }), 9)).toEqual({ key: 'k', holder, since: 9 });
    expect(readLockMemo(lockMemo(held), 9)).toEqual(held);
  });

  test('is never read from what is no memo of one', () => {
    fc.assert(fc.property(fc.anything(), (memo) => expect(readLockMemo(memo, 9)).toBeUndefined()));
  });

  test('survives JSON', () => {
    expect(JSON.parse(JSON.stringify(lockState(held, 0)))).toEqual(held);
  });

  test('says who holds it, since when', () => {
    expect(lockDetails(held)).toContain('**order-42** is held by **order** since 2026-01-02 03:04:05 UTC');
  });

  test('has a summary of at most 400 bytes, as many as Temporal takes', () => {
    const long = lockSummary({ key: '🔑'.repeat(200), holder: { workflowId: '鍵'.repeat(300), root: 'r' } });
    expect(utf8Bytes(long)).toBeLessThan(400);
  });
});

test('the first run of a holder is the one that its root names', () => {
  expect(firstRunOf({ workflowId: 'a/b.resume', root: taskRoot('a/b', 'run') })).toEqual({
    workflowId: 'a/b',
    runId: 'run',
  });
  expect(firstRunOf({ workflowId: 'order', root: 'made-by-hand' })).toEqual({ workflowId: 'order' });
});

test.each([
  ['open', /has not ended.*`cadre cancel order`/],
  ['cutOff', /terminated or timed out.*`cadre saga resume order`/],
  ['gone', /retention.*terminate the workflow cadre\.lock\.order-42/],
] as const satisfies [HolderKind, RegExp][])(
  'a refusal by a holder that is %s says what to do',
  (kind, what) => {
    const error = lockHeld(held, kind, lockId('cadre', held.key));
    expect(isCadreError(error)).toBe(true);
    expect(error).toMatchObject({ type: 'LockHeld', retryable: false, details: { ...held, is: kind } });
    expect(error.message).toMatch(/^"order-42" is held by order since 2026-01-02 03:04:05 UTC, which /);
    expect(error.message).toMatch(what);
  },
);
