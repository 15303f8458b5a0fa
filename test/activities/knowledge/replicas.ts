import type { Remember } from '../../../src/core/agent/agent-messages';
import type { AgentReport, KnowledgePart } from '../../../src/core/agent/agent-report';
import type { Replicas } from '../../../src/core/agent/replicas';

/** Replicas that note what they are told, and do what a test says. */
export class NotingReplicas implements Replicas {
  readonly told: { readonly member: string; readonly message: Remember }[] = [];
  readonly ensured: string[] = [];
  readonly asked: string[] = [];
  left: string[] = [];
  /** Of every member. */
  bytes: number | undefined = 0;
  fails: Error | undefined;

  async remember(member: string, message: Remember): Promise<void> {
    if (this.fails !== undefined) throw this.fails;
    this.told.push({ member, message });
  }

  async ensure(member: string): Promise<void> {
    this.ensured.push(member);
  }

  async hasLeft(member: string): Promise<boolean> {
    return this.left.includes(member);
  }

  async read(member: string): Promise<KnowledgePart> {
    this.asked.push(member);
    return { replica: `${member}:1`, left: false, seen: {}, delta: { context: {}, crdts: {}, reach: 'all' } };
  }

  async report(member: string): Promise<AgentReport | undefined> {
    this.asked.push(member);
    if (this.fails !== undefined) throw this.fails;
    return this.bytes === undefined ? undefined : ({ bytes: this.bytes } as AgentReport);
  }
}
