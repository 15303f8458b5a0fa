/** What a worker of Cadre runs around workflows of your own: it ends their sagas. */
import { TemporalFailure, ensureApplicationFailure } from '@temporalio/common';
import {
  CancellationScope,
  ContinueAsNew,
  type WorkflowInterceptors,
  type WorkflowInterceptorsFactory,
  workflowInfo,
} from '@temporalio/workflow';
import { maybeGetActivator } from '@temporalio/workflow/lib/global-attributes';
import { SAGA_WORKFLOW, SERVICE_WORKFLOWS, TASK_WORKFLOW } from '../core/names';
import { guard, inHandler } from './own-saga';

/** Cadre's own workflows, in which there is no class Saga to end. */
const CADRES = new Set([...SERVICE_WORKFLOWS, SAGA_WORKFLOW, TASK_WORKFLOW]);

export const interceptors: WorkflowInterceptorsFactory = () =>
  CADRES.has(workflowInfo().workflowType) ? {} : aroundSagas();

const aroundSagas = (): WorkflowInterceptors => ({
  inbound: [
    {
      async execute(input, next) {
        guard.whole = CancellationScope.current();
        const forward = new CancellationScope();
        guard.forward = forward;
        guard.start = input.args[0];
        try {
          const result = await forward.run(() => next(input));
          await guard.saga?.complete();
          return result;
        } catch (error) {
          const failure = failureOf(error);
          // Any other error is one of the code, which Temporal has run again once it is mended.
          if (failure === undefined || guard.saga === undefined) throw error;
          throw await guard.saga.fail(failure);
        }
      },
      async handleSignal(input, next) {
        try {
          await inHandler(() => next(input));
        } catch (error) {
          const failure = failureOf(error);
          // It would end the workflow at once, and nothing would be undone.
          if (failure === undefined || guard.saga === undefined) throw error;
          guard.saga.failBy(failure);
        }
      },
      async handleUpdate(input, next) {
        try {
          return await inHandler(() => next(input));
        } catch (error) {
          const failure = failureOf(error);
          // Of any failure but Temporal's own it would end the workflow at once, too; of those it only refuses the update.
          if (failure === undefined || failure === error || guard.saga === undefined) throw error;
          guard.saga.failBy(failure);
          throw failure;
        }
      },
    },
  ],
  outbound: [
    {
      continueAsNew(input, next) {
        guard.saga?.checkContinuing(input.args[0]);
        return next(input);
      },
    },
  ],
});

/** What ends a workflow as `error`; undefined for one that does not. */
function failureOf(error: unknown): unknown {
  if (error instanceof TemporalFailure) return error;
  if (error instanceof ContinueAsNew) return undefined;
  const sdk = maybeGetActivator() as unknown as FailureOptions | undefined;
  return sdk?.isConfiguredFailureException(error) ? ensureApplicationFailure(error) : undefined;
}

/** By which the SDK (1.24) asks for `failureExceptionTypes` and `workflowFailureErrorTypes`; it exports no other way. */
interface FailureOptions {
  isConfiguredFailureException(error: unknown): boolean;
}
