// Base64 without padding, as Matrix writes it: standard for keys, hashes and signatures,
// URL-safe for event ids of room version 4 and later (spec appendices, "Unpadded Base64").

/** Standard alphabet, no padding. */
export function toBase64(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  const end = text.indexOf('=');
  return end === -1 ? text : text.slice(0, end);
}

/** URL-safe alphabet, no padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/** Bytes of standard base64 with or without padding, or undefined when a character does not belong. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** Bytes of URL-safe base64 with or without padding, or undefined when a character does not belong. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9_-]*={0,2}$/.test(text)) return undefined;
  return new Uint8Array(Buffer.from(text, 'base64url'));
}
