import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { failureInfo } from '../core/failure-info';
import { CadreError, isFailureType } from '../core/failures';

/**
 * What to throw for `error` where a workflow refused an update: a CadreError with `details`, or `error` itself where it is of none of
 * our types. Undefined where nothing was refused.
 */
export function refusedUpdate(error: unknown, details?: unknown): Error | undefined {
  if (!(error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure))
    return undefined;
  const { type, message } = failureInfo(error.cause);
  return isFailureType(type) ? new CadreError(type, message, { cause: error, details }) : error;
}
