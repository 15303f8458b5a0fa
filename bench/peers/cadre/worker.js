// One worker of a cadre with all roles. See `Workers` in ../children.js.
const { NativeConnection } = require('@temporalio/worker');
const { CadreWorker, FileArtifactStore, artifactsFolder } = require('../../../dist/workers');
const { installRuntime } = require('../../../dist/workers/runtime');
const { serve } = require('../children');
const { agents } = require('./agents');

async function main() {
  const { address } = JSON.parse(process.argv[2]);
  installRuntime('ERROR');
  const connection = await NativeConnection.connect({ address });
  const artifacts = new FileArtifactStore(artifactsFolder());
  await serve(await CadreWorker.create({ connection, agents, artifacts }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
