// Pure: no server.
import { cacheFolder, dataFolder } from '../../../src/storage/folders';

describe.each([
  ['cacheFolder', cacheFolder, 'CADRE_CACHE', 'XDG_CACHE_HOME', '/home/me/.cache/cadre'],
  ['dataFolder', dataFolder, 'CADRE_DATA', 'XDG_DATA_HOME', '/home/me/.local/share/cadre'],
] as const)('%s', (_name, folder, own, xdg, inHome) => {
  test('is in HOME by default', () => {
    expect(folder({ HOME: '/home/me' })).toBe(inHome);
  });

  test('follows the XDG variable', () => {
    expect(folder({ HOME: '/home/me', [xdg]: '/xdg' })).toBe('/xdg/cadre');
  });

  test("takes Cadre's own variable before all others", () => {
    expect(folder({ HOME: '/home/me', [xdg]: '/xdg', [own]: '/own' })).toBe('/own');
  });
});
