// One worker of the bare contenders: workflows and activities on one queue.
const { Worker } = require('@temporalio/worker');
const { serve } = require('../serve');
const activities = require('./activities');

/** What a CadreWorker sets, in src/workers/cadre-worker.ts. */
const TUNED = {
  maxConcurrentActivityTaskExecutions: 100,
  maxEagerActivityReservationsPerWorkflowTask: 10,
  maxHeartbeatThrottleInterval: 500,
  stickyQueueScheduleToStartTimeout: 1000,
  workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
};

void serve(({ connection, codePath, taskQueue, tuned }) =>
  Worker.create({
    connection,
    taskQueue,
    activities,
    workflowBundle: { codePath },
    ...(tuned ? TUNED : {}),
  }),
);
