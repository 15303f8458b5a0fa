// Pure: no worker.
import type { SlotReserveContext } from '@temporalio/worker';
import { GatedSlots } from '../../../src/workers/leadership/gated-slots';

const context = {} as SlotReserveContext;
const signal = () => new AbortController().signal;

/** True where `promise` is still open when all that is due has run. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open');
  const later = new Promise((resolve) => setImmediate(() => resolve(open)));
  return (await Promise.race([promise, later])) === open;
}

test('a closed gate gives no slot, an open one up to the maximum', () => {
  const slots = new GatedSlots(2);
  expect(slots.tryReserveSlot()).toBeNull();
  slots.open();
  expect([slots.tryReserveSlot(), slots.tryReserveSlot(), slots.tryReserveSlot()]).toEqual([{}, {}, null]);
});

test('a reservation waits for the gate to open', async () => {
  const slots = new GatedSlots(1);
  const reserved = slots.reserveSlot(context, signal());
  expect(await isOpen(reserved)).toBe(true);
  slots.open();
  await expect(reserved).resolves.toEqual({});
});

test('a reservation waits for a slot to be released, and for the gate where that closed meanwhile', async () => {
  const slots = new GatedSlots(1);
  slots.open();
  slots.tryReserveSlot();
  const reserved = slots.reserveSlot(context, signal());
  expect(await isOpen(reserved)).toBe(true);
  slots.close();
  slots.releaseSlot();
  expect(await isOpen(reserved)).toBe(true);
  slots.open();
  await expect(reserved).resolves.toEqual({});
});

test('a reservation that is given up rejects, and takes no slot', async () => {
  const slots = new GatedSlots(1);
  const giveUp = new AbortController();
  const reserved = slots.reserveSlot(context, giveUp.signal);
  giveUp.abort();
  await expect(reserved).rejects.toThrow(/aborted/);
  slots.open();
  expect(slots.tryReserveSlot()).toEqual({});
});
