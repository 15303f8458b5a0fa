import type {
  ActivitySlotInfo,
  CustomSlotSupplier,
  SlotPermit,
  SlotReserveContext,
} from '@temporalio/worker';

/**
 * The slots of a worker that takes work only while its gate is open. A poll that is under way when the gate closes is
 * not broken off: Temporal would lose what it had matched to it.
 */
export class GatedSlots implements CustomSlotSupplier<ActivitySlotInfo> {
  readonly type = 'custom';
  private isOpen = false;
  private reserved = 0;
  private readonly waiting = new Set<() => void>();

  /** `maximum`: how many tasks at once. */
  constructor(private readonly maximum: number) {}

  open(): void {
    this.isOpen = true;
    this.wake();
  }

  close(): void {
    this.isOpen = false;
  }

  /** Resolves when a poll may begin; rejects when `signal` aborts before. */
  async reserveSlot(_context: SlotReserveContext, signal: AbortSignal): Promise<SlotPermit> {
    for (;;) {
      signal.throwIfAborted();
      const permit = this.tryReserveSlot();
      if (permit !== null) return permit;
      await this.change(signal);
    }
  }

  tryReserveSlot(): SlotPermit | null {
    if (!this.isOpen || this.reserved >= this.maximum) return null;
    this.reserved += 1;
    return {};
  }

  markSlotUsed(): void {
    // Reserved is used, for us.
  }

  releaseSlot(): void {
    this.reserved -= 1;
    this.wake();
  }

  private change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  private wake(): void {
    for (const wake of this.waiting) wake();
  }
}
