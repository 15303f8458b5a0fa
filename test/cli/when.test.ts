// The times that persons give.
import { parseWhen } from '../../src/cli/when';

const NOW = Date.UTC(2026, 10, 21, 12);
const HOUR = 3_600_000;

test.each<[string, number]>([
  ['2026-11-21', Date.UTC(2026, 10, 21)],
  ['2026-11-21T15:00', Date.UTC(2026, 10, 21, 15)],
  ['2026-11-21 15:00:07', Date.UTC(2026, 10, 21, 15, 0, 7)],
  ['2026-11-21T15:00:07.250z', Date.UTC(2026, 10, 21, 15, 0, 7, 250)],
  ['2026-11-21T15:00+05:30', Date.UTC(2026, 10, 21, 9, 30)],
  ['2026-11-21T15:00-0800', Date.UTC(2026, 10, 21, 23)],
  ['30m', NOW - HOUR / 2],
  ['2h', NOW - 2 * HOUR],
  ['1.5 h', NOW - 1.5 * HOUR],
  ['7d', NOW - 7 * 24 * HOUR],
  ['2 weeks', NOW - 14 * 24 * HOUR],
])('%s is understood', (text, time) => {
  expect(parseWhen('--since', text, NOW)).toBe(time);
});

test.each([
  '',
  'yesterday',
  '90',
  '-2h',
  '2 moons',
  `${'9'.repeat(20)}d`,
  '2026-02-30',
  '2026-13-01',
  '2026-11-21T25:00',
  '2026-11-21T15',
  '21.11.2026',
])('%p is refused, naming the option and what is expected', (text) => {
  expect(() => parseWhen('--since', text, NOW)).toThrow(
    /^Expected --since to be a time in UTC such as 2026-11-21 .* 7d, got /,
  );
});
