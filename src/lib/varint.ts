// Varints: unsigned LEB128 of at most 53 bits, always in their shortest form.
//
// Because only the shortest form is accepted, the length follows from the value: a reader goes on at
// `at + varintLength(value)`, and no object has to carry the two results.

/** Longest varint: 53 bits in groups of seven. */
export const VARINT_BYTES_MAX = 8;

/** Bytes that `value` takes. */
export function varintLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  let length = 3;
  for (let rest = Math.floor(value / 0x200000); rest > 0; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

/**
 * Writes `value` at `at` and returns where the next byte goes.
 *
 * @param value a safe integer, not negative
 */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80) {
    target[next++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  target[next++] = rest;
  return next;
}

/**
 * The varint at `at`, or -1 when it is cut off by `end`, longer than 53 bits or not in its shortest form.
 * The next byte is at `at + varintLength(value)`.
 */
export function readVarint(bytes: Uint8Array, at: number, end: number = bytes.length): number {
  if (at >= end) return -1;
  const first = bytes[at] as number;
  if (first < 0x80) return first;
  let value = first & 0x7f;
  let scale = 0x80;
  for (let i = 1; i < VARINT_BYTES_MAX; i++) {
    if (at + i >= end) return -1;
    const byte = bytes[at + i] as number;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return byte === 0 || value > Number.MAX_SAFE_INTEGER ? -1 : value;
    scale *= 0x80;
  }
  return -1;
}
