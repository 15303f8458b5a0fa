// One worker of the bare contenders: workflows and activities on one queue. See `Workers` in ../children.js.
const { NativeConnection, Worker } = require('@temporalio/worker');
const { installRuntime } = require('../../../dist/workers/runtime');
const { serve } = require('../children');
const activities = require('./activities');

/** What a CadreWorker sets, in src/workers/cadre-worker.ts. */
const TUNED = {
  maxConcurrentActivityTaskExecutions: 100,
  maxEagerActivityReservationsPerWorkflowTask: 10,
  maxHeartbeatThrottleInterval: 1000,
  stickyQueueScheduleToStartTimeout: 1000,
  workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
};

async function main() {
  const { address, codePath, taskQueue, tuned } = JSON.parse(process.argv[2]);
  installRuntime('ERROR');
  const connection = await NativeConnection.connect({ address });
  const options = {
    connection,
    taskQueue,
    activities,
    workflowBundle: { codePath },
    ...(tuned ? TUNED : {}),
  };
  await serve(await Worker.create(options));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
