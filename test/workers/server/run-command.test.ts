// Commands of its own: no server.
import { runCommand } from '../../../src/workers/server/run-command';
import { TemporaryFolder } from '../../support/temporary-folder';

const environment = { PATH: process.env['PATH'] };
const folder = TemporaryFolder.ofEachTest();

describe('runCommand', () => {
  test('returns what the command wrote', async () => {
    const command = folder.script('greet', 'echo "hello $1"; echo there >&2');
    const output = await runCommand(command, ['you'], { environment, timeout: 5000 });
    expect(output).toContain('hello you');
    expect(output).toContain('there');
  });

  test('gives the last line as the reason of a failure', async () => {
    const command = folder.script('fail', 'echo first; echo "no disk left" >&2; exit 3');
    await expect(runCommand(command, [], { environment, timeout: 5000 })).rejects.toThrow(/^no disk left$/);
  });

  test('names the exit code of a silent failure', async () => {
    const command = folder.script('fail', 'exit 3');
    await expect(runCommand(command, [], { environment, timeout: 5000 })).rejects.toThrow('exit code 3');
  });

  test('says that a command is not there', async () => {
    const options = { environment, timeout: 5000 };
    await expect(runCommand(`${folder.path}/nothing`, [], options)).rejects.toThrow('not found');
  });

  test('ends a command, and what it started, at the timeout', async () => {
    const command = folder.script('hang', 'sleep 60 & wait');
    await expect(runCommand(command, [], { environment, timeout: 100 })).rejects.toThrow('gave up');
  });

  test('ends a command at the word of its watch', async () => {
    const command = folder.script('hang', 'sleep 60');
    const watch = { interval: 10, check: (elapsed: number) => (elapsed > 50 ? 'no progress' : undefined) };
    await expect(runCommand(command, [], { environment, timeout: 5000, watch })).rejects.toThrow(
      'no progress',
    );
  });

  test("rejects with an abort's own reason", async () => {
    const command = folder.script('hang', 'sleep 60');
    const abort = new AbortController();
    const running = runCommand(command, [], { environment, timeout: 5000, signal: abort.signal });
    abort.abort(new Error('interrupted'));
    await expect(running).rejects.toThrow('interrupted');
  });
});
