import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { complete, missing } from '../../scripts/complete-lock';

type Lock = { packages: Record<string, Record<string, unknown>> };
const lock = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package-lock.json'), 'utf8')) as Lock;

test('package-lock.json has the binaries of every platform; else run `npm run complete-lock`', () => {
  expect([...missing(lock).keys()]).toEqual([]);
});

test('package-lock.json names no registry', () => {
  expect(Object.values(lock.packages).filter((entry) => 'resolved' in entry)).toEqual([]);
});

test('what is missing is added for its platform alone', () => {
  const packages = {
    '': {},
    'node_modules/core': { optionalDependencies: { 'core-linux-arm64-musl': '1.2.3' } },
  };
  expect(complete({ packages }).packages['node_modules/core-linux-arm64-musl']).toEqual({
    version: '1.2.3',
    optional: true,
    cpu: ['arm64'],
    libc: ['musl'],
    os: ['linux'],
  });
});
