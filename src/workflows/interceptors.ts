/** What a worker of Cadre runs around workflows of your own: it ends their sagas. */
import { TemporalFailure } from '@temporalio/common';
import { CancellationScope, type WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { crossingFailure } from '../core/failure-info';
import { CadreError } from '../core/failures';
import { findResume } from '../core/task-resume';
import { guard } from './own-saga';

export const interceptors: WorkflowInterceptorsFactory = () => ({
  inbound: [
    {
      async execute(input, next) {
        const forward = new CancellationScope();
        guard.forward = forward;
        guard.start = input.args[0];
        try {
          const result = await forward.run(() => next(input));
          await guard.saga?.complete();
          return result;
        } catch (error) {
          // Any other error is one of the code, which Temporal has run again once it is mended.
          const ends = error instanceof TemporalFailure && guard.saga !== undefined;
          throw ends ? await guard.saga?.fail(error) : error;
        }
      },
    },
  ],
  outbound: [
    {
      continueAsNew(input, next) {
        const stack = guard.saga?.state.stack ?? [];
        if (stack.length > 0 && findResume(input.args[0]) === undefined) {
          const message =
            'Expected the first argument of continueAsNew to be, or to have as a field, saga.snapshot(): without it nothing that was done could be undone';
          throw crossingFailure(new CadreError('InputInvalid', message));
        }
        return next(input);
      },
    },
  ],
});
