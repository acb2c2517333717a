// Passwords: argon2id, and the same work for a user who is not there as for one who is.
//
//   !user/ID    stateroom.password / ''    { hash }
//
// Parameters are OWASP's for argon2id: 19 MiB, two passes, one lane (RFC 9106 gives the function).

import { hash, verify } from '@node-rs/argon2';
import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { toBase64Url } from '../lib/base64.js';
import { type AccountParts, textOf, userRoom } from './parts.js';

const PASSWORD = 'stateroom.password';
/** Longer ones are refused: nobody types them, and hashing them costs. Bytes of UTF-8. */
export const PASSWORD_BYTES_MAX = 512;

/** What one hash costs. */
export interface PasswordCost {
  readonly memoryKiB: number;
  readonly passes: number;
}

export const PASSWORD_COST: PasswordCost = { memoryKiB: 19_456, passes: 2 };

export class Passwords {
  readonly #parts: AccountParts;
  readonly #cost: PasswordCost;
  readonly #decoy: string;

  private constructor(parts: AccountParts, cost: PasswordCost, decoy: string) {
    this.#parts = parts;
    this.#cost = cost;
    this.#decoy = decoy;
  }

  static async open(parts: AccountParts, cost: PasswordCost): Promise<Passwords> {
    return new Passwords(parts, cost, await hashed(toBase64Url(parts.randomBytes(32)), cost));
  }

  /** The hash to store, in PHC form. */
  hash(password: string): Promise<string> {
    return hashed(password, this.#cost);
  }

  /** Is it the user's password? Takes as long for a user who is not there or has none. */
  async verify(userId: UserId | undefined, password: string): Promise<boolean> {
    const stored = userId === undefined ? undefined : this.#stored(userId);
    const matches = await verify(stored ?? this.#decoy, password.normalize('NFC'));
    // Meanwhile the password may have been changed, or the user gone.
    return stored !== undefined && matches && userId !== undefined && this.#stored(userId) === stored;
  }

  /** The record of a hash that `hash` gave; undefined takes the password away. */
  record(userId: UserId, stored: string | undefined): InternalRecord {
    const content = stored === undefined ? undefined : { hash: stored };
    return { roomId: userRoom(userId), type: PASSWORD, stateKey: '', content };
  }

  #stored(userId: UserId): string | undefined {
    const content = this.#parts.engine.internal.get(userRoom(userId), PASSWORD, '');
    return content === undefined ? undefined : textOf(content, 'hash');
  }
}

function hashed(password: string, cost: PasswordCost): Promise<string> {
  // The library's default algorithm is argon2id; its enum cannot be named in isolated modules.
  return hash(password.normalize('NFC'), {
    memoryCost: cost.memoryKiB,
    timeCost: cost.passes,
    parallelism: 1,
  });
}
