import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { artifactsFolder, cacheFolder, dataFolder, ledgerFile } from '../../src/storage/folders';

const home = '/home/someone';

test('the folders are those of the XDG convention in the home', () => {
  expect(dataFolder({ HOME: home })).toBe('/home/someone/.local/share/cadre');
  expect(cacheFolder({ HOME: home })).toBe('/home/someone/.cache/cadre');
  expect(artifactsFolder({ HOME: home })).toBe('/home/someone/.local/share/cadre/artifacts');
  expect(ledgerFile({ HOME: home })).toBe('/home/someone/.local/share/cadre/ledger.db');
});

test('XDG variables move them, our own variables move them further', () => {
  const environment = { HOME: home, XDG_DATA_HOME: '/data', XDG_CACHE_HOME: '/cache' };
  expect(dataFolder(environment)).toBe('/data/cadre');
  expect(cacheFolder(environment)).toBe('/cache/cadre');
  expect(dataFolder({ ...environment, CADRE_DATA: '/ours' })).toBe('/ours');
  expect(cacheFolder({ ...environment, CADRE_CACHE: '/ours' })).toBe('/ours');
  expect(artifactsFolder({ ...environment, CADRE_DATA: '/ours' })).toBe('/ours/artifacts');
  expect(artifactsFolder({ ...environment, CADRE_DATA: '/ours', CADRE_ARTIFACTS: '/shared' })).toBe(
    '/shared',
  );
  expect(ledgerFile({ ...environment, CADRE_DATA: '/ours' })).toBe('/ours/ledger.db');
  expect(ledgerFile({ ...environment, CADRE_DATA: '/ours', CADRE_LEDGER: '/shared.db' })).toBe('/shared.db');
});

test('empty variables count as unset, and relative ones start at the working directory', () => {
  expect(dataFolder({ HOME: home, CADRE_DATA: '', XDG_DATA_HOME: '' })).toBe(
    '/home/someone/.local/share/cadre',
  );
  expect(dataFolder({ HOME: '' })).toBe(join(homedir(), '.local/share/cadre'));
  expect(dataFolder({ CADRE_DATA: 'here' })).toBe(resolve('here'));
  expect(artifactsFolder({ CADRE_ARTIFACTS: 'there' })).toBe(resolve('there'));
});

test.each(['s3://bucket', 'gs://bucket', 'https://host/bucket'])(
  '%j is not taken for a folder',
  (address) => {
    expect(() => artifactsFolder({ HOME: home, CADRE_ARTIFACTS: address })).toThrow(/to be a folder/);
  },
);
