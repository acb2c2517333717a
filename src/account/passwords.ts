// Passwords: argon2id, and the same work for a user who is not there as for one who is.
//
//   !user/ID    stateroom.password / ''    { hash }
//
// Parameters are OWASP's for argon2id: 19 MiB, two passes, one lane (RFC 9106 gives the function).

import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import { toBase64 } from '../lib/base64.js';
import { type AccountParts, textOf, userRoom } from './parts.js';

const PASSWORD = 'stateroom.password';
/** Longer ones are refused: nobody types them, and hashing them costs. Bytes of UTF-8. */
export const PASSWORD_BYTES_MAX = 512;

/** As the library makes them. */
const SALT_BYTES = 16;
const HASH_BYTES = 32;

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

  constructor(parts: AccountParts, cost: PasswordCost) {
    this.#parts = parts;
    this.#cost = cost;
    this.#decoy = decoyOf(parts, cost);
  }

  /** The hash to store, in PHC form. */
  hash(password: string): Promise<string> {
    return hashed(password, this.#cost);
  }

  /** Is it the user's password? Takes as long for a user who is not there or has none. */
  async verify(userId: UserId | undefined, password: string): Promise<boolean> {
    const stored = userId === undefined ? undefined : this.#stored(userId);
    const { verify } = await import('@node-rs/argon2');
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

/**
 * The hash of no password that anybody knows. It is not made by hashing, which at every start would take as long, and
 * as much memory, as a login does.
 */
function decoyOf({ randomBytes }: AccountParts, { memoryKiB, passes }: PasswordCost): string {
  const [salt, hash] = [toBase64(randomBytes(SALT_BYTES)), toBase64(randomBytes(HASH_BYTES))];
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=1$${salt}$${hash}`;
}

async function hashed(password: string, cost: PasswordCost): Promise<string> {
  const { hash } = await import('@node-rs/argon2');
  // The library's default algorithm is argon2id; its enum cannot be named in isolated modules.
  return hash(password.normalize('NFC'), {
    memoryCost: cost.memoryKiB,
    timeCost: cost.passes,
    parallelism: 1,
  });
}
