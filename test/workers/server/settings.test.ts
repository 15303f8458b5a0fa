// Pure: no server.
import { EMBEDDED_SERVER_SETTINGS, serverArguments } from '../../../src/workers/server';

/** The values given after a flag that may be repeated. */
function valuesOf(flag: string, args: readonly string[]): string[] {
  return args.filter((_arg, index) => args[index - 1] === flag);
}

describe('serverArguments', () => {
  test('listens on loopback only, at the given ports', () => {
    const args = serverArguments({ port: 7000, uiPort: 8000 });
    expect(args.slice(0, 2)).toEqual(['server', 'start-dev']);
    expect(args).toEqual(expect.arrayContaining(['--ip=127.0.0.1', '--port=7000', '--ui-port=8000']));
  });

  test('leaves the Web UI out without a port for it', () => {
    expect(serverArguments({ port: 7000 })).toContain('--headless');
  });

  test('passes every setting once, as JSON', () => {
    const values = valuesOf('--dynamic-config-value', serverArguments({ port: 7000 }));
    expect(values).toHaveLength(EMBEDDED_SERVER_SETTINGS.length);
    expect(values).toContain('history.timerProcessorMaxTimeShift="1ms"');
    expect(values).toContain('system.enableActivityEagerExecution=true');
    expect(values).toContain('matching.numTaskqueueReadPartitions=1');
  });

  test('locks a database file against a second server', () => {
    const args = serverArguments({ port: 7000, databaseFile: '/data/temporal.db' });
    expect(args).toContain('--db-filename=/data/temporal.db');
    expect(valuesOf('--sqlite-pragma', args)).toEqual([
      'journal_mode=WAL',
      'synchronous=NORMAL',
      'locking_mode=EXCLUSIVE',
    ]);
  });

  test('uses memory, and no pragmas, without a database file', () => {
    expect(serverArguments({ port: 7000 }).join(' ')).not.toMatch(/db-filename|sqlite/);
  });
});

test('every setting says why', () => {
  for (const { why } of EMBEDDED_SERVER_SETTINGS) expect(why).not.toBe('');
});
