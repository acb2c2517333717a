// Access and refresh tokens: random, opaque, stored as their SHA-256 only. A device has one session at a time.
//
//   !tokens     stateroom.token / hash           { user, device, kind, expires?, refreshed? }
//   !user/ID    stateroom.session / device id    { access, refresh?, next_access?, next_refresh? }
//
// A refresh makes the `next` pair. The old refresh token stays valid until one of the next pair is used, and
// only then goes, with the old access token: a client that never saw the answer may ask again. A token says itself
// that a refresh made it, so that only for those the session is looked at.
//
// Source: client-server API, "Refreshing access tokens", "Relationship between access tokens and devices".

import { hash } from 'node:crypto';
import type { InternalRecord } from '../core/internal.js';
import type { UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { toBase64Url } from '../lib/base64.js';
import { type AccountParts, isTrue, numberOf, textOf, TOKENS_ROOM, userRoom } from './parts.js';
import { RecordCache } from './record-cache.js';

const TOKEN = 'stateroom.token';
const SESSION = 'stateroom.session';
const TOKEN_BYTES = 32;
/** What scanners of leaked secrets look for. */
const PREFIX = { access: 'sra_', refresh: 'srr_' } as const;

type TokenKind = keyof typeof PREFIX;

/** What a login hands out. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly refreshToken: string | undefined;
  readonly expiresInMs: number | undefined;
}

/** Whose an access token is. */
export interface TokenOwner {
  readonly userId: UserId;
  readonly deviceId: string;
  readonly tokenHash: string;
}

/** What a token is worth: `expired` means the session is still there, and another token of it can be had. */
export type TokenCheck =
  | { readonly kind: 'valid'; readonly owner: TokenOwner }
  | { readonly kind: 'expired' }
  | { readonly kind: 'unknown' };

/** Hashes of a session's tokens. */
interface Session {
  readonly access: string;
  readonly refresh: string | undefined;
  readonly next: { readonly access: string; readonly refresh: string | undefined } | undefined;
}

interface NewToken {
  readonly token: string;
  readonly hash: string;
  readonly record: InternalRecord;
}

/** What a token's record says. */
interface FoundToken extends TokenOwner {
  /** Milliseconds since 1970. */
  readonly expiresAt: number | undefined;
  /** It is one of the next pair, which nobody has used. */
  readonly isNext: boolean;
}

/** The key of a token's record: SHA-256, URL-safe base64. */
function hashOfToken(token: string): string {
  return toBase64Url(hash('sha256', token, 'buffer'));
}

export class Tokens {
  readonly #parts: AccountParts;
  /**
   * Access tokens in use, as they are sent: hashing one takes longer than all else of looking it up. A session says
   * nothing else of a token's being the next without tokens coming or going.
   */
  readonly #inUse: RecordCache<FoundToken>;

  constructor(parts: AccountParts) {
    this.#parts = parts;
    this.#inUse = new RecordCache(parts.engine.internal, TOKENS_ROOM, (token) => this.#find(token, 'access'));
  }

  /**
   * Tokens for a device and the records to write; what the device had before ends.
   * @param lifetimeMs of the access token, where the client can refresh; without it, the token does not expire
   */
  issue(
    userId: UserId,
    deviceId: string,
    lifetimeMs: number | undefined,
  ): { readonly tokens: IssuedTokens; readonly records: readonly InternalRecord[] } {
    const whose = { user: userId, device: deviceId };
    const access = this.#new('access', whose, lifetimeMs);
    const refresh = lifetimeMs === undefined ? undefined : this.#new('refresh', whose);
    return {
      tokens: { accessToken: access.token, refreshToken: refresh?.token, expiresInMs: lifetimeMs },
      records: [
        ...this.#tokenRemovals(userId, deviceId),
        access.record,
        ...(refresh === undefined ? [] : [refresh.record]),
        sessionRecord(userId, deviceId, { access: access.hash, refresh: refresh?.hash, next: undefined }),
      ],
    };
  }

  /** What an access token is worth. The first use of a refreshed one ends the one before. */
  check(accessToken: string): TokenCheck {
    const found = this.#inUse.get(accessToken);
    if (found === undefined) return { kind: 'unknown' };
    if (found.expiresAt !== undefined && found.expiresAt <= this.#parts.now()) return { kind: 'expired' };
    if (found.isNext) this.#promote(found);
    return { kind: 'valid', owner: found };
  }

  /** New tokens for a refresh token, or undefined when it is no longer worth any. */
  async refresh(refreshToken: string, lifetimeMs: number): Promise<IssuedTokens | undefined> {
    const found = this.#find(refreshToken, 'refresh');
    if (found === undefined) return undefined;
    const { userId, deviceId } = found;
    if (found.isNext) this.#promote(found);
    const session = this.#session(userId, deviceId);
    if (session === undefined) return undefined;
    const whose = { user: userId, device: deviceId, refreshed: true };
    const access = this.#new('access', whose, lifetimeMs);
    const refresh = this.#new('refresh', whose);
    await this.#parts.engine.internal.write([
      ...removals(session.next === undefined ? [] : [session.next.access, session.next.refresh]),
      access.record,
      refresh.record,
      sessionRecord(userId, deviceId, { ...session, next: { access: access.hash, refresh: refresh.hash } }),
    ]);
    return { accessToken: access.token, refreshToken: refresh.token, expiresInMs: lifetimeMs };
  }

  readonly removalRecords = (userId: UserId, deviceId: string): readonly InternalRecord[] => {
    if (this.#session(userId, deviceId) === undefined) return [];
    const session = { roomId: userRoom(userId), type: SESSION, stateKey: deviceId, content: undefined };
    return [...this.#tokenRemovals(userId, deviceId), session];
  };

  #tokenRemovals(userId: UserId, deviceId: string): InternalRecord[] {
    const session = this.#session(userId, deviceId);
    if (session === undefined) return [];
    const { access, refresh, next } = session;
    return removals([access, refresh, next?.access, next?.refresh]);
  }

  /** One of the next pair is used: it takes the place of the pair before. */
  #promote(owner: TokenOwner): void {
    const { userId, deviceId } = owner;
    const session = this.#session(userId, deviceId);
    if (session?.next === undefined || !isNextOf(session, owner)) return;
    const { next } = session;
    this.#parts.engine.internal
      .write([
        ...removals([session.access, session.refresh]),
        sessionRecord(userId, deviceId, { ...next, next: undefined }),
      ])
      // When it cannot be written, nothing can: every later write says so, and the old token lives a little longer.
      .catch(() => undefined);
  }

  #new(kind: TokenKind, whose: JsonObject, lifetimeMs?: number): NewToken {
    const token = `${PREFIX[kind]}${toBase64Url(this.#parts.randomBytes(TOKEN_BYTES))}`;
    const hash = hashOfToken(token);
    const expires = lifetimeMs === undefined ? {} : { expires: this.#parts.now() + lifetimeMs };
    const content = { ...whose, kind, ...expires };
    return { token, hash, record: { roomId: TOKENS_ROOM, type: TOKEN, stateKey: hash, content } };
  }

  #find(token: string, kind: TokenKind): FoundToken | undefined {
    const tokenHash = hashOfToken(token);
    const content = this.#parts.engine.internal.get(TOKENS_ROOM, TOKEN, tokenHash);
    if (content === undefined || textOf(content, 'kind') !== kind) return undefined;
    const owner = {
      userId: (textOf(content, 'user') ?? '') as UserId,
      deviceId: textOf(content, 'device') ?? '',
      tokenHash,
    };
    const session = isTrue(content, 'refreshed') ? this.#session(owner.userId, owner.deviceId) : undefined;
    return { ...owner, expiresAt: numberOf(content, 'expires'), isNext: isNextOf(session, owner) };
  }

  #session(userId: UserId, deviceId: string): Session | undefined {
    const content = this.#parts.engine.internal.get(userRoom(userId), SESSION, deviceId);
    const access = content === undefined ? undefined : textOf(content, 'access');
    if (content === undefined || access === undefined) return undefined;
    const nextAccess = textOf(content, 'next_access');
    return {
      access,
      refresh: textOf(content, 'refresh'),
      next:
        nextAccess === undefined
          ? undefined
          : { access: nextAccess, refresh: textOf(content, 'next_refresh') },
    };
  }
}

function isNextOf(session: Session | undefined, { tokenHash }: TokenOwner): boolean {
  return session?.next?.access === tokenHash || session?.next?.refresh === tokenHash;
}

function removals(hashes: readonly (string | undefined)[]): InternalRecord[] {
  return hashes
    .filter((hash) => hash !== undefined)
    .map((hash) => ({ roomId: TOKENS_ROOM, type: TOKEN, stateKey: hash, content: undefined }));
}

function sessionRecord(userId: UserId, deviceId: string, { access, refresh, next }: Session): InternalRecord {
  const content: JsonObject = {
    access,
    ...(refresh === undefined ? {} : { refresh }),
    ...(next === undefined ? {} : { next_access: next.access }),
    ...(next?.refresh === undefined ? {} : { next_refresh: next.refresh }),
  };
  return { roomId: userRoom(userId), type: SESSION, stateKey: deviceId, content };
}
