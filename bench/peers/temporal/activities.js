const { ApplicationFailure, Context } = require('@temporalio/activity');
const { count, plan, slow, step, undo } = require('../acts');

const HEARTBEAT = 200;

async function refuse() {
  throw ApplicationFailure.nonRetryable('It cannot be done', 'Refused');
}

async function slowStep(run, number, file) {
  const beating = setInterval(() => Context.current().heartbeat(), HEARTBEAT);
  try {
    await slow({ run, step: number, file });
  } finally {
    clearInterval(beating);
  }
}

module.exports = { step, refuse, undo, plan, count, slowStep };
