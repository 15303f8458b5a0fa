const END = 0x06054b50;
const ENTRY = 0x02014b50;
const END_LENGTH = 22;
const ENTRY_LENGTH = 46;
const COMMENT_MAXIMUM = 0xffff;

/** What a ZIP archive says that its files take unpacked, in bytes; undefined where it is no such archive. */
export function unpackedBytes(archive: Buffer): number | undefined {
  const last = archive.length - END_LENGTH;
  let end = last;
  while (end >= 0 && end >= last - COMMENT_MAXIMUM && archive.readUInt32LE(end) !== END) end--;
  if (end < 0 || end < last - COMMENT_MAXIMUM) return undefined;
  let at = archive.readUInt32LE(end + 16);
  let bytes = 0;
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    if (at + ENTRY_LENGTH > archive.length || archive.readUInt32LE(at) !== ENTRY) return undefined;
    bytes += archive.readUInt32LE(at + 24);
    at +=
      ENTRY_LENGTH +
      archive.readUInt16LE(at + 28) +
      archive.readUInt16LE(at + 30) +
      archive.readUInt16LE(at + 32);
  }
  return bytes;
}
