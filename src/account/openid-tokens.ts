// OpenID tokens: a user gives one to a service, which asks this server whose it is. They are good for nothing else.
//
//   !user/ID    stateroom.openid / hash of the token    { expires }
//
// The token names its user, so that its record is found without an index; it is stored as its SHA-256 only. What
// ran out goes when the next one is made.
//
// Source: client-server API, "OpenID"; server-server API, "OpenID".

import { createHash } from 'node:crypto';
import type { InternalRecord } from '../core/internal.js';
import { localpartOf, type UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { fromBase64Url, toBase64Url } from '../lib/base64.js';
import { fromUtf8, utf8 } from '../lib/bytes.js';
import { type AccountParts, numberOf, userRoom } from './parts.js';
import type { Users } from './users.js';

const OPENID = 'stateroom.openid';
const PREFIX = 'sro_';
const TOKEN_BYTES = 32;
const TOKEN_LENGTH_MAX = 512;
/** Live tokens of a user; the one that runs out first makes room. */
const TOKENS_MAX = 50;
const LIFETIME_MS = 3_600_000;

export interface OpenIdToken {
  readonly token: string;
  readonly expiresInMs: number;
}

export class OpenIdTokens {
  readonly #parts: AccountParts;
  readonly #users: Users;

  constructor(parts: AccountParts, users: Users) {
    this.#parts = parts;
    this.#users = users;
  }

  async issue(userId: UserId): Promise<OpenIdToken> {
    const name = toBase64Url(utf8(localpartOf(userId)));
    const token = `${PREFIX}${name}.${toBase64Url(this.#parts.randomBytes(TOKEN_BYTES))}`;
    const content = { expires: this.#parts.now() + LIFETIME_MS };
    await this.#parts.engine.internal.write([
      ...this.#outdated(userId).map((hash) => record(userId, hash, undefined)),
      record(userId, hashOf(token), content),
    ]);
    return { token, expiresInMs: LIFETIME_MS };
  }

  /** Whose token it is, if it is one and good. */
  check(token: string): UserId | undefined {
    const userId = this.#userOf(token);
    if (userId === undefined || !this.#users.isActive(userId)) return undefined;
    const content = this.#parts.engine.internal.get(userRoom(userId), OPENID, hashOf(token));
    const expires = content === undefined ? undefined : numberOf(content, 'expires');
    return expires !== undefined && expires > this.#parts.now() ? userId : undefined;
  }

  #userOf(token: string): UserId | undefined {
    if (!token.startsWith(PREFIX) || token.length > TOKEN_LENGTH_MAX) return undefined;
    const bytes = fromBase64Url(token.slice(PREFIX.length, Math.max(PREFIX.length, token.indexOf('.'))));
    if (bytes === undefined) return undefined;
    try {
      return `@${fromUtf8(bytes)}:${this.#parts.serverName}` as UserId;
    } catch {
      return undefined;
    }
  }

  /** Tokens that ran out, and of too many the oldest. */
  #outdated(userId: UserId): string[] {
    const tokens = Array.from(
      this.#parts.engine.internal.entries(userRoom(userId), OPENID),
      ({ stateKey, content }) => ({ hash: stateKey, expires: numberOf(content, 'expires') ?? 0 }),
    ).sort((a, b) => a.expires - b.expires);
    const now = this.#parts.now();
    return tokens
      .filter(({ expires }, i) => expires <= now || i <= tokens.length - TOKENS_MAX)
      .map(({ hash }) => hash);
  }
}

function record(userId: UserId, hash: string, content: JsonObject | undefined): InternalRecord {
  return { roomId: userRoom(userId), type: OPENID, stateKey: hash, content };
}

function hashOf(token: string): string {
  return toBase64Url(createHash('sha256').update(token).digest());
}
