// One worker of a cadre with so many agents.
const { CadreWorker, FileArtifactStore, artifactsFolder } = require('../../dist/workers');
const { serve } = require('../peers/serve');
const { agentsOf, thinker } = require('./agents');

const artifacts = new FileArtifactStore(artifactsFolder());
void serve(({ connection, agents }) =>
  CadreWorker.create({ connection, agents: [...agentsOf(agents), thinker], artifacts }),
);
