import { encodeContext } from '../crdt/knowledge-json';
import type { Knowledge } from '../crdt/knowledge';
import type { Sibling } from '../crdt/sibling';
import { jsonBytes } from '../json';

/** Of what never changes, so that a large replica is measured in well under a millisecond. */
const siblingBytes = new WeakMap<Sibling, number>();

/** Length in bytes of a replica's knowledge as JSON, within a few bytes an entry. */
export function knowledgeBytes({ context, crdts, replaced }: Knowledge): number {
  let bytes = ENVELOPE_BYTES + jsonBytes(encodeContext(context)) + jsonBytes(encodeContext(replaced));
  for (const [type, named] of crdts) {
    bytes += type.length + ENTRY_BYTES;
    for (const [name, entries] of named) {
      bytes += jsonBytes(name) + ENTRY_BYTES;
      for (const [key, siblings] of entries) {
        bytes += jsonBytes(key) + ENTRY_BYTES;
        for (const sibling of siblings) bytes += bytesOf(sibling);
      }
    }
  }
  return bytes;
}

/** The names of the fields of knowledge, and the braces and commas around what is under a name. */
const ENVELOPE_BYTES = 60;
const ENTRY_BYTES = 5;

function bytesOf(sibling: Sibling): number {
  let bytes = siblingBytes.get(sibling);
  if (bytes === undefined) siblingBytes.set(sibling, (bytes = jsonBytes(sibling) + 1));
  return bytes;
}
