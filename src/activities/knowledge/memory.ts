/** The knowledge of a worker's agents: which replica is whose, and whether it has room. */
import { OPERATION_OVERHEAD_BYTES, REPLICA_MAXIMUM_BYTES } from '../../core/agent/agent-state';
import { type Member, memberFor } from '../../core/agent/members';
import type { Replicas } from '../../core/agent/replicas';
import type { Operation } from '../../core/crdt/replica';
import { CadreError } from '../../core/failures';
import { jsonBytes } from '../../core/json';
import type { AnyAgent } from '../define-agent';
import { type Learning, startLearning } from './learning';

/** How old what is known of a replica's size may be, in ms, where it is small; a larger one is looked at each time. */
const SIZE_AGE_MAXIMUM = 10_000;
const SMALL_BYTES = REPLICA_MAXIMUM_BYTES / 2;

export class Memory {
  private readonly sizes = new Map<Member, { bytes: number; at: number }>();
  private readonly looks = new Map<Member, Promise<number>>();

  constructor(private readonly replicas: Replicas) {}

  /** For one attempt of `agent`, of the task `root`. `refusal`: why it may not write. */
  learning(agent: AnyAgent, root: string, refusal?: string): Learning {
    return startLearning({ read: () => this.replicas.read(memberFor(agent, root)), refusal });
  }

  /**
   * Rejects as KnowledgeFull where the replica that is to take `operations` has no room for them. Of one that is small what
   * was seen in the last 10 s counts; where it cannot be looked at, the replica itself refuses.
   */
  async checkRoom(agent: AnyAgent, root: string, operations: readonly Operation[]): Promise<void> {
    const growth = growthOf(operations);
    if (growth === 0) return;
    const member = memberFor(agent, root);
    const known = this.sizes.get(member);
    if (known !== undefined && known.bytes < SMALL_BYTES) {
      if (Date.now() - known.at > SIZE_AGE_MAXIMUM) void this.look(member);
      return;
    }
    const bytes = await this.look(member);
    if (bytes + growth <= REPLICA_MAXIMUM_BYTES) return;
    throw new CadreError(
      'KnowledgeFull',
      `The replica "${member}" has ${bytes} bytes of at most ${REPLICA_MAXIMUM_BYTES}, and no room for ${growth} more: remove something first`,
    );
  }

  /** The size of `member`; 0 of one that is not there, or that cannot be looked at. */
  private look(member: Member): Promise<number> {
    const looking =
      this.looks.get(member) ??
      this.replicas
        .report(member)
        .then((report) => {
          const bytes = report?.bytes ?? 0;
          this.sizes.set(member, { bytes, at: Date.now() });
          return bytes;
        })
        .catch(() => 0)
        .finally(() => this.looks.delete(member));
    this.looks.set(member, looking);
    return looking;
  }
}

/** By how much operations may make a replica grow, in bytes. */
function growthOf(operations: readonly Operation[]): number {
  return operations
    .filter((operation) => !('remove' in operation))
    .reduce((sum, operation) => sum + jsonBytes(operation) + OPERATION_OVERHEAD_BYTES, 0);
}
