// The servers of made-up rooms and their signing keys: the same name has the same key in every run.

import type { ServerName } from '../../src/event/ids.js';
import { createSigningKey, type SigningKey } from '../../src/event/signing.js';
import type { PublicKeys } from '../../src/event/verify.js';
import { seedBytes } from '../../tools/generate/random.js';

/** The servers that tests speak of, the founder's first. */
export const SERVERS = ['alpha.test', 'beta.test', 'gamma.test', 'delta.test'] as ServerName[];

const KEY_ID = 'ed25519:cast';
const keysByName = new Map<string, SigningKey>();

/** A server's signing key. */
export function keyOf(server: string): SigningKey {
  const existing = keysByName.get(server);
  if (existing !== undefined) return existing;
  const key = createSigningKey(KEY_ID, seedBytes('cast', server));
  keysByName.set(server, key);
  return key;
}

/** The public keys of all of them. */
export const castKeys: PublicKeys = (server, keyId) =>
  keyId === KEY_ID && SERVERS.some((name) => name === server) ? keyOf(server).publicKey : undefined;
