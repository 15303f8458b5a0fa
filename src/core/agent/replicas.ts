import type { Remember } from './agent-messages';
import type { AgentReport, KnowledgePart } from './agent-report';
import type { Member } from './members';

/** The replicas of a cadre's agents, for whoever runs agents. Each rejects with what Temporal throws. */
export interface Replicas {
  /** Tells `member`, which is started where it is not there. */
  remember(member: Member, message: Remember): Promise<void>;
  /** Starts `member` where it is not there. */
  ensure(member: Member): Promise<void>;
  /** Whether `member` has left the cadre, and nobody has told it anything since. */
  hasLeft(member: Member): Promise<boolean>;
  /** All that `member` knows; it is started where it is not there, and then asks the others first. */
  read(member: Member): Promise<KnowledgePart>;
  /** How `member` stands; undefined where it is not there. */
  report(member: Member): Promise<AgentReport | undefined>;
}
