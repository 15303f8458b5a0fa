/** The knowledge of a worker's agents: which replica is whose, and whether it has room. */
import { REPLICA_MAXIMUM_BYTES } from '../../core/agent/agent-state';
import { type Member, memberFor } from '../../core/agent/members';
import type { Replicas } from '../../core/agent/replicas';
import type { Operation } from '../../core/crdt/replica';
import { CadreError } from '../../core/failures';
import type { AnyAgent } from '../define-agent';
import { type Learning, startLearning } from './learning';

/** How old what is known of a replica's size may be, in ms. */
const SIZE_AGE_MAXIMUM = 10_000;
/** A replica refuses what makes it grow beyond its limit; an agent is told a little before. */
const FULL_BYTES = REPLICA_MAXIMUM_BYTES - 32 * 1024;

export class Memory {
  private readonly sizes = new Map<Member, { bytes: number; at: number }>();

  constructor(private readonly replicas: Replicas) {}

  /** For one attempt of `agent`, of the task `root`. `refusal`: why it may not write. */
  learning(agent: AnyAgent, root: string, refusal?: string): Learning {
    return startLearning({ read: () => this.replicas.read(memberFor(agent, root)), refusal });
  }

  /**
   * Throws KnowledgeFull where the replica that is to take `operations` is known to be full. Looks no more often than
   * every 10 s, and keeps nobody waiting for it: until it is known, the replica refuses.
   */
  checkRoom(agent: AnyAgent, root: string, operations: readonly Operation[]): void {
    if (operations.every((operation) => 'remove' in operation)) return;
    const member = memberFor(agent, root);
    const size = this.sizes.get(member);
    const now = Date.now();
    if (size === undefined || now - size.at > SIZE_AGE_MAXIMUM) {
      this.sizes.set(member, { bytes: size?.bytes ?? 0, at: now });
      this.replicas.report(member).then(
        (report) => void this.sizes.set(member, { bytes: report?.bytes ?? 0, at: Date.now() }),
        () => undefined,
      );
    }
    if (size === undefined || size.bytes < FULL_BYTES) return;
    throw new CadreError(
      'KnowledgeFull',
      `The replica "${member}" has ${size.bytes} bytes of at most ${REPLICA_MAXIMUM_BYTES}: it takes only removals`,
    );
  }
}
