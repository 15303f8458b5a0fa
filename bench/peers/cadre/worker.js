// One worker of a cadre with all roles.
const { CadreWorker, FileArtifactStore, artifactsFolder } = require('../../../dist/workers');
const { serve } = require('../serve');
const { agents } = require('./agents');

const artifacts = new FileArtifactStore(artifactsFolder());
void serve(({ connection }) => CadreWorker.create({ connection, agents, artifacts }));
