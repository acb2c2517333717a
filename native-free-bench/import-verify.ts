// A thread that verifies signatures and does nothing else: the floor that an import is held against.

import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';

/** A signature, and all that it takes to verify it. */
export interface SignedMessage {
  /** Unpadded base64. */
  readonly publicKey: string;
  readonly signature: Uint8Array;
  readonly bytes: Uint8Array;
}

const messages = workerData as readonly SignedMessage[];
const keys = new Map<string, KeyObject>();
const prepared = messages.map(({ publicKey, signature, bytes }) => {
  let key = keys.get(publicKey);
  if (key === undefined) {
    const x = Buffer.from(publicKey, 'base64').toString('base64url');
    key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    keys.set(publicKey, key);
  }
  return { key, signature, bytes };
});

parentPort?.once('message', () => {
  let wrong = 0;
  for (const { key, signature, bytes } of prepared) if (!verify(null, bytes, key, signature)) wrong++;
  parentPort?.postMessage(wrong, []);
});
parentPort?.postMessage(0, []);
