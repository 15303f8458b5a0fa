// An executor of DBOS: launches it, and runs the workflows that are asked for, here those that the driver asks for.
const { DBOS } = require('@dbos-inc/dbos-sdk');
const workflows = require('./workflows');

/** A workflow that fails is in its result; DBOS' own logger would print the stack of each. */
const SILENT = { info() {}, debug() {}, warn() {}, error() {} };
// DBOS starts in a way that pg warns of, once in each process.
process.noDeprecation = true;

/** The works by their names, each `(id, input)` to its result, in this process. `executorID` is its name, unique among them. */
async function launch(url, executorID) {
  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl: url,
    executorID,
    applicationVersion: '1',
    logger: SILENT,
  });
  await DBOS.launch();
  const run = (workflow) => async (workflowID, input) => {
    const handle = await DBOS.startWorkflow(workflow, { workflowID })(input);
    return handle.getResult();
  };
  return Object.fromEntries(Object.entries(workflows).map(([name, workflow]) => [name, run(workflow)]));
}

/** As a process of its own it takes `{ call, name, id, input }` and answers `{ call, result }` or `{ call, error }`. */
async function serve([, , url, executorID]) {
  const works = await launch(url, executorID);
  const answer = async ({ call, name, id, input }) => {
    try {
      process.send({ call, result: await works[name](id, input) });
    } catch (error) {
      process.send({ call, error: error.message });
    }
  };
  process.on('message', (request) => void answer(request));
  process.on('disconnect', () => process.exit(0));
  process.send('ready');
}

module.exports = { launch };

if (require.main === module)
  serve(process.argv).catch((error) => {
    console.error(error);
    process.exit(1);
  });
