// Keys of other servers as they are kept: in memory while they are used, in an internal room for ever.
//
//   !servers    stateroom.server_key / server NUL key id   { key, valid_until_ts, fetched_ts, expired }
//               stateroom.server_key_answer / server       { answer, fetched_ts }   for who asks us as a notary

import type { Engine } from '../../engine/engine.js';
import { isObject, type JsonObject, own } from '../../event/json.js';
import { joinKey } from '../../account/parts.js';
import { fromBase64, toBase64 } from '../../lib/base64.js';
import { equalBytes } from '../../lib/bytes.js';
import { ClockCache } from '../../lib/clock-cache.js';
import { SERVERS_ROOM } from '../parts.js';
import type { KeyAnswer } from './key-answer.js';

const KEY = 'stateroom.server_key';
const ANSWER = 'stateroom.server_key_answer';
/** Keys kept in memory; a large room has some thousand servers. */
const CACHED_MAX = 20_000;
/** Larger answers are not kept to be passed on. */
const ANSWER_LENGTH_MAX = 16_384;
const WEEK_MS = 7 * 86_400_000;

/** A key as it is kept. */
export interface KeptKey {
  readonly publicKey: Uint8Array;
  /** The last moment at which it may have signed. */
  readonly validUntilTs: number;
  /** When its server, or a notary, told of it. */
  readonly fetchedTs: number;
  /** It signs no more: nothing that its server can still say will make it good for longer. */
  readonly isExpired: boolean;
}

/** A server's own words on its keys. */
export interface KeptAnswer {
  readonly json: JsonObject;
  readonly fetchedTs: number;
}

export class KeyStore {
  readonly #engine: Engine;
  readonly #cache = new ClockCache<string, KeptKey>(CACHED_MAX);

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get(server: string, keyId: string): KeptKey | undefined {
    const name = joinKey(server, keyId);
    const cached = this.#cache.get(name);
    if (cached !== undefined) return cached;
    const kept = keptOf(this.#engine.internal.get(SERVERS_ROOM, KEY, name));
    if (kept !== undefined) this.#cache.set(name, kept, 1);
    return kept;
  }

  answer(server: string): KeptAnswer | undefined {
    const content = this.#engine.internal.get(SERVERS_ROOM, ANSWER, server);
    const json = content === undefined ? undefined : own(content, 'answer');
    const fetchedTs = content === undefined ? undefined : own(content, 'fetched_ts');
    return isObject(json) && typeof fetchedTs === 'number' ? { json, fetchedTs } : undefined;
  }

  /**
   * Keeps what was told. They can be read at once; resolves when they are on disk.
   * @param isFirstHand told by the server itself, which may replace a key; a notary's word only adds and prolongs
   */
  async keep(answer: KeyAnswer, fetchedTs: number, isFirstHand: boolean): Promise<void> {
    const { serverName, keys, validUntilTs, json } = answer;
    const records = keys.flatMap(({ keyId, publicKey, expiredTs }) => {
      const told: KeptKey = {
        publicKey,
        // Source: server-server API, keys_server.yaml: at most seven days from now, whatever they say.
        validUntilTs: Math.floor(expiredTs ?? Math.min(validUntilTs, fetchedTs + WEEK_MS)),
        fetchedTs,
        isExpired: expiredTs !== undefined,
      };
      const kept = this.get(serverName, keyId);
      if (kept !== undefined && !isNews(kept, told, isFirstHand)) return [];
      this.#cache.set(joinKey(serverName, keyId), told, 1);
      return [
        { roomId: SERVERS_ROOM, type: KEY, stateKey: joinKey(serverName, keyId), content: contentOf(told) },
      ];
    });
    if (JSON.stringify(json).length <= ANSWER_LENGTH_MAX && records.length > 0) {
      const content = { answer: json, fetched_ts: fetchedTs };
      records.push({ roomId: SERVERS_ROOM, type: ANSWER, stateKey: serverName, content });
    }
    await this.#engine.internal.write(records);
  }
}

function isNews(kept: KeptKey, told: KeptKey, isFirstHand: boolean): boolean {
  const isSame = equalBytes(kept.publicKey, told.publicKey);
  if (isFirstHand) return true;
  return isSame && !kept.isExpired && (told.isExpired || told.validUntilTs > kept.validUntilTs);
}

function contentOf({ publicKey, validUntilTs, fetchedTs, isExpired }: KeptKey): JsonObject {
  return {
    key: toBase64(publicKey),
    valid_until_ts: validUntilTs,
    fetched_ts: fetchedTs,
    expired: isExpired,
  };
}

function keptOf(content: JsonObject | undefined): KeptKey | undefined {
  if (content === undefined) return undefined;
  const key = own(content, 'key');
  const validUntilTs = own(content, 'valid_until_ts');
  const fetchedTs = own(content, 'fetched_ts');
  const publicKey = typeof key === 'string' ? fromBase64(key) : undefined;
  if (publicKey === undefined || typeof validUntilTs !== 'number' || typeof fetchedTs !== 'number') {
    return undefined;
  }
  return { publicKey, validUntilTs, fetchedTs, isExpired: own(content, 'expired') === true };
}
