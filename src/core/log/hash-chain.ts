/**
 * Chains the items of an export by SHA-256: each hash is of the hash before it and of the item, so that no item can be
 * changed, removed, added or moved without all hashes from there on being others.
 *
 * 1. The first hash is of `cadre export\n` and the header's JSON as it stands in the file.
 * 2. Each further one is of the 32 bytes of the one before it, then `event RUN\n` or `log\n`, then the item's JSON as it
 *    stands in the file.
 * 3. The last one is the head: it stands for all of the file. Whoever can rewrite the file can chain it anew, with another
 *    head; so the head is to be kept where they cannot write.
 */
import { sha256 } from '@noble/hashes/sha2';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils';

/** An item of an export: an event of Temporal's, or one of the log. */
export type ChainedItem =
  | { readonly kind: 'event'; readonly runId: string; readonly text: string }
  | { readonly kind: 'log'; readonly text: string };

export class HashChain {
  private last: Uint8Array;

  /** `header`: its JSON as it stands in the file. */
  constructor(header: string) {
    this.last = sha256(utf8ToBytes(`cadre export\n${header}`));
  }

  /** The last hash, in hex. */
  get head(): string {
    return bytesToHex(this.last);
  }

  /** The hash of `item`, which follows those before it, in hex. */
  add(item: ChainedItem): string {
    const place = item.kind === 'event' ? `event ${item.runId}\n` : 'log\n';
    this.last = sha256
      .create()
      .update(this.last)
      .update(utf8ToBytes(place + item.text))
      .digest();
    return this.head;
  }
}
