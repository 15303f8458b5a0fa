// One worker of a cadre with so many agents. See `Workers` in ../peers/children.js.
const { NativeConnection } = require('@temporalio/worker');
const { CadreWorker, FileArtifactStore, artifactsFolder } = require('../../dist/workers');
const { installRuntime } = require('../../dist/workers/runtime');
const { serve } = require('../peers/children');
const { agentsOf, thinker } = require('./agents');

async function main() {
  const { address, agents } = JSON.parse(process.argv[2]);
  installRuntime('ERROR');
  const connection = await NativeConnection.connect({ address });
  const artifacts = new FileArtifactStore(artifactsFolder());
  await serve(await CadreWorker.create({ connection, agents: [...agentsOf(agents), thinker], artifacts }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
