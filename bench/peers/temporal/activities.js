const { setTimeout: delay } = require('node:timers/promises');
const { ApplicationFailure, Context } = require('@temporalio/activity');
const { FAN_OUT, PAYLOAD, SLOW, mark } = require('../driver');

const HEARTBEAT = 200;

async function step(input) {
  return input;
}

async function refuse() {
  throw ApplicationFailure.nonRetryable('It cannot be done', 'Refused');
}

/** Gives back the number of what it undoes. */
async function undo(number) {
  return number;
}

async function plan() {
  return Array.from({ length: FAN_OUT }, () => PAYLOAD);
}

async function count(outputs) {
  return outputs.length;
}

async function slowStep(run, number, file) {
  mark(file, { run, step: number, what: 'began' });
  const beating = setInterval(() => Context.current().heartbeat(), HEARTBEAT);
  try {
    if (number === 2) await delay(SLOW);
  } finally {
    clearInterval(beating);
  }
  mark(file, { run, step: number, what: 'ended' });
}

module.exports = { step, refuse, undo, plan, count, slowStep };
