/** A task, its forks and what resumed it: which came from which. */
import type { Client } from '@temporalio/client';
import { forkId, resumeId } from '../core/names';
import { type ExecutionStatus, executionStatus } from './execution-status';
import { forkMemo } from './fork';
import { isNotFound } from './grpc-status';

/** One of a family. */
export interface Relative {
  readonly id: string;
  /** `gone`: past the server's retention, or of another server. */
  readonly status: ExecutionStatus | 'gone';
  /** The last event that it shares with whom it is a fork of; absent for what is none. */
  readonly forkedAt?: number;
  /** True for what goes on with one that was terminated. */
  readonly resumes?: true;
  readonly children: readonly Relative[];
}

/** The family of `id`, from the eldest that is known on. Ids say who comes from whom; needs no worker. */
export async function familyOf(client: Client, id: string): Promise<Relative> {
  return relative(client, eldest(id));
}

function eldest(id: string): string {
  const parent = /^(.+)\.(?:fork-[1-9][0-9]*|resume)$/.exec(id)?.[1];
  return parent === undefined ? id : eldest(parent);
}

async function relative(client: Client, id: string): Promise<Relative> {
  const found = await describe(client, id);
  const of = forkMemo(found?.memo);
  const children: Relative[] = [];
  const resumed = await describe(client, resumeId(id));
  if (resumed !== undefined) children.push({ ...(await relative(client, resumeId(id))), resumes: true });
  for (let index = 1; (await describe(client, forkId(id, index))) !== undefined; index += 1) {
    children.push(await relative(client, forkId(id, index)));
  }
  return {
    id,
    status: found === undefined ? 'gone' : executionStatus(found),
    ...(of === undefined ? {} : { forkedAt: of.number }),
    children,
  };
}

async function describe(
  client: Client,
  id: string,
): Promise<{ status: { name: string }; memo?: Record<string, unknown> } | undefined> {
  try {
    const { status, memo } = await client.workflow.getHandle(id).describe();
    return { status, ...(memo === undefined ? {} : { memo }) };
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
