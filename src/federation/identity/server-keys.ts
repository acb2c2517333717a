// This server's own keys: the one that signs, those that did before, and what is published of them.
//
// Source: server-server API, "Publishing Keys"; data/api/server-server/keys_server.yaml.

import type { ServerName } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import { type SigningKey, signJson } from '../../event/signing.js';
import { toBase64 } from '../../lib/base64.js';

/** A key that signed before, and does no more. */
export interface RetiredKey {
  readonly keyId: string;
  readonly publicKey: Uint8Array;
  /** When it signed last, milliseconds since 1970. */
  readonly expiredTs: number;
}

export interface ServerKeyParts {
  readonly serverName: ServerName;
  readonly signingKey: SigningKey;
  readonly retiredKeys?: () => readonly RetiredKey[];
  readonly now: () => number;
  readonly options: { readonly keyValidityMs: number };
}

export class ServerKeys {
  readonly #parts: ServerKeyParts;
  /** The answer given last, and by which keys: made again when half its time is over. */
  #made: { readonly answer: JsonObject; readonly renewAt: number; readonly keyIds: string } | undefined;

  constructor(parts: ServerKeyParts) {
    this.#parts = parts;
  }

  /** What is published, signed: `/_matrix/key/v2/server`. */
  answer(): JsonObject {
    const { serverName, signingKey, now, options } = this.#parts;
    const retired = this.#retired();
    const keyIds = [signingKey, ...retired].map(({ keyId }) => keyId).join(' ');
    if (this.#made !== undefined && this.#made.renewAt > now() && this.#made.keyIds === keyIds) {
      return this.#made.answer;
    }
    const old = retired.map(({ keyId, publicKey, expiredTs }) => [
      keyId,
      { key: toBase64(publicKey), expired_ts: expiredTs },
    ]);
    const answer = signJson(
      {
        server_name: serverName,
        verify_keys: { [signingKey.keyId]: { key: toBase64(signingKey.publicKey) } },
        old_verify_keys: Object.fromEntries(old) as JsonObject,
        valid_until_ts: now() + options.keyValidityMs,
      },
      serverName,
      signingKey,
    );
    this.#made = { answer, renewAt: now() + options.keyValidityMs / 2, keyIds };
    return answer;
  }

  /** One of our keys, if it was good at that time. */
  lookup(keyId: string, validAt?: number): Uint8Array | undefined {
    const { signingKey } = this.#parts;
    if (keyId === signingKey.keyId) return signingKey.publicKey;
    const retired = this.#retired().find((key) => key.keyId === keyId);
    return retired === undefined || (validAt ?? 0) > retired.expiredTs ? undefined : retired.publicKey;
  }

  #retired(): readonly RetiredKey[] {
    return this.#parts.retiredKeys?.() ?? [];
  }
}
