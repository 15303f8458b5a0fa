/** The program of a worker, which `Workers` of children.js starts. */
const { NativeConnection } = require('@temporalio/worker');
const { installRuntime } = require('../../dist/workers/runtime');

/**
 * Runs the worker (with `run` and `shutdown`) that `make` gives, until the driver is gone or has disconnected. `make` gets the
 * settings that the driver gave, with a `connection` to their `address`.
 */
async function serve(make) {
  try {
    const settings = JSON.parse(process.argv[2]);
    installRuntime('ERROR');
    const connection = await NativeConnection.connect({ address: settings.address });
    const worker = await make({ ...settings, connection });
    process.once('disconnect', () => worker.shutdown());
    const running = worker.run();
    process.send('ready');
    await running;
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

module.exports = { serve };
