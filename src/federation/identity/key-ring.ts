// The keys of other servers: looked up at once from what is known, fetched when they are needed and are not.
//
//   lookup     own keys ─▶ kept keys, if they were good at that time
//   fetch      per server, one request for all who wait ─▶ its own answer ─▶ else the notaries, all servers at once
//
// What could not be had is not asked for again for a while. A key is good until its `valid_until_ts`, at most
// seven days from when it was told; room versions before 5 do not ask.
//
// Source: server-server API, "Retrieving server keys"; rooms/v5, "Signing key validity period".

import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseServerName, type ServerName } from '../../event/ids.js';
import { isObject, type JsonObject, own } from '../../event/json.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { requiredSigners } from '../../event/verify.js';
import { ClockCache } from '../../lib/clock-cache.js';
import { Gate } from '../../lib/gate.js';
import { isRemoteFailure } from '../errors.js';
import type { FederationParts } from '../parts.js';
import type { NotaryQuestion, RemoteServers } from '../requests.js';
import { isSignedBy, readKeyAnswer } from './key-answer.js';
import { type KeptAnswer, KeyStore } from './key-store.js';
import type { ServerKeys } from './server-keys.js';

/** A key that somebody needs. */
export interface KeyNeed {
  readonly server: ServerName;
  readonly keyId: string;
  /** It must be good at that time, milliseconds; without one any time will do. */
  readonly validAt?: number;
}

/** How far to go for keys. */
export interface KeyLimits {
  /** Ask servers although they failed not long ago: what cannot be checked is left out for good. */
  readonly evenBackingOff?: boolean | undefined;
}

type KeyRingParts = Pick<FederationParts, 'engine' | 'serverName' | 'now' | 'log' | 'options'> & {
  readonly remote: Pick<RemoteServers, 'serverKeys' | 'notaryQuery'>;
  readonly ownKeys: ServerKeys;
};

/** Keys of one signer that an event is looked at for. */
const KEYS_OF_SIGNER_MAX = 8;
/** What could not be had, remembered. */
const MISSING_MAX = 20_000;
const KEY_ANSWER_BYTES_MAX = 65_536;
const NOTARY_ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Servers in one question to a notary. */
const NOTARY_BATCH_MAX = 100;
/** Events whose needs are looked up before others get a turn. */
const TURN_EVENTS = 500;
/** Needs that one call takes on. */
const NEEDS_MAX = 50_000;
const KEY_ID = /^ed25519:[A-Za-z0-9_]{1,200}$/;

export class KeyRing {
  readonly #parts: KeyRingParts;
  readonly #store: KeyStore;
  readonly #gate: Gate;
  /** Requests to servers for their own keys, under way. */
  readonly #underWay = new Map<ServerName, Promise<void>>();
  /** Until when a key is not asked for again. */
  readonly #missing = new ClockCache<string, number>(MISSING_MAX);

  constructor(parts: KeyRingParts) {
    this.#parts = parts;
    this.#store = new KeyStore(parts.engine);
    this.#gate = new Gate(parts.options.keyFetchesMax);
  }

  /**
   * A key that is known, and was good at that time where one is given. Needs no waiting; see `fetchFor`.
   * O(log n) node reads at worst.
   */
  lookup(server: string, keyId: string, validAt?: number): Uint8Array | undefined {
    const { serverName, ownKeys } = this.#parts;
    if (server === serverName) return ownKeys.lookup(keyId, validAt);
    const kept = this.#store.get(server, keyId);
    return kept === undefined || (validAt ?? 0) > kept.validUntilTs ? undefined : kept.publicKey;
  }

  /** A server's own words on its keys, as they were kept. */
  answerOf(server: string): KeptAnswer | undefined {
    return this.#store.answer(server);
  }

  /**
   * Fetches every key that the events' required signatures need. Await it before `engine.receive`.
   * Never rejects for what cannot be had: the events' verdicts tell.
   */
  async fetchFor(
    events: readonly JsonObject[],
    rules: RoomVersionRules,
    limits: KeyLimits = {},
  ): Promise<void> {
    const wanted = new Map<string, KeyNeed>();
    for (let at = 0; at < events.length; at += TURN_EVENTS) {
      if (at > 0) await nextTurn();
      this.#addWanted(needsOf(events.slice(at, at + TURN_EVENTS), rules), wanted);
    }
    await this.#fetchWanted([...wanted.values()], limits);
  }

  /** Fetches keys that are not known, or not known to be good at the time asked for. Never rejects for a server's fault. */
  async fetch(needs: Iterable<KeyNeed>, limits: KeyLimits = {}): Promise<void> {
    const wanted = new Map<string, KeyNeed>();
    this.#addWanted(needs, wanted);
    await this.#fetchWanted([...wanted.values()], limits);
  }

  async #fetchWanted(wanted: readonly KeyNeed[], limits: KeyLimits): Promise<void> {
    if (wanted.length === 0) return;
    const servers = new Set(wanted.map(({ server }) => server));
    await Promise.all(Array.from(servers, (server) => this.#ask(server, limits)));
    const left = wanted.filter((need) => !this.#isMet(need));
    if (left.length > 0) await this.#askNotaries(left);
    const retryAt = this.#parts.now() + this.#parts.options.keyRetryMs;
    for (const need of left) if (!this.#isMet(need)) this.#missing.set(nameOf(need), retryAt, 1);
  }

  /** Asks the server itself for its keys anew, whatever is known. Never rejects for a server's fault. */
  async refresh(server: ServerName): Promise<void> {
    if (server !== this.#parts.serverName) await this.#ask(server);
  }

  #isMet({ server, keyId, validAt }: KeyNeed): boolean {
    return this.lookup(server, keyId, validAt) !== undefined;
  }

  /** Adds what has to be asked for. */
  #addWanted(needs: Iterable<KeyNeed>, wanted: Map<string, KeyNeed>): void {
    const { serverName, now } = this.#parts;
    for (const need of needs) {
      if (wanted.size >= NEEDS_MAX) break;
      if (need.server === serverName || !KEY_ID.test(need.keyId) || this.#isMet(need)) continue;
      // A key that expired before cannot become good again.
      const kept = this.#store.get(need.server, need.keyId);
      if (kept?.isExpired === true) continue;
      const name = nameOf(need);
      if ((this.#missing.get(name) ?? 0) > now()) continue;
      const other = wanted.get(name);
      if (other === undefined || (other.validAt ?? 0) < (need.validAt ?? 0)) wanted.set(name, need);
    }
  }

  /** One request to a server at a time: who needs another of its keys waits for the same. */
  #ask(server: ServerName, { evenBackingOff }: KeyLimits = {}): Promise<void> {
    const underWay = this.#underWay.get(server);
    if (underWay !== undefined) return underWay;
    const { options, log } = this.#parts;
    if (this.#underWay.size >= options.keyFetchesMax + options.keyFetchesWaitingMax) {
      log.warn({ destination: server }, 'too many servers are asked for their keys at once');
      return Promise.resolve();
    }
    const asking = this.#askServer(server, evenBackingOff).finally(() => this.#underWay.delete(server));
    this.#underWay.set(server, asking);
    return asking;
  }

  async #askServer(server: ServerName, evenBackingOff?: boolean): Promise<void> {
    const { remote, options } = this.#parts;
    await this.#gate.enter(1);
    try {
      const limits = { timeoutMs: options.keyTimeoutMs, bytesMax: KEY_ANSWER_BYTES_MAX, evenBackingOff };
      await this.#keep(await remote.serverKeys(server, limits), server, true);
    } catch (error) {
      this.#passOver(server, error);
    } finally {
      this.#gate.leave(1);
    }
  }

  async #keep(json: JsonObject, server: ServerName, isFirstHand: boolean): Promise<void> {
    const answer = readKeyAnswer(json, server);
    if (typeof answer === 'string') {
      this.#parts.log.info({ destination: server }, `the keys of a server were not taken: ${answer}`);
      return;
    }
    await this.#store.keep(answer, this.#parts.now(), isFirstHand);
  }

  async #askNotaries(needs: readonly KeyNeed[]): Promise<void> {
    let left = needs;
    for (const notary of this.#parts.options.trustedKeyServers) {
      if (notary === this.#parts.serverName) continue;
      for (let i = 0; i < left.length; i += NOTARY_BATCH_MAX) {
        await this.#askNotary(notary, left.slice(i, i + NOTARY_BATCH_MAX));
      }
      left = left.filter((need) => !this.#isMet(need));
      if (left.length === 0) return;
    }
  }

  async #askNotary(notary: ServerName, needs: readonly KeyNeed[]): Promise<void> {
    const { remote, options } = this.#parts;
    try {
      const limits = { timeoutMs: options.keyTimeoutMs, bytesMax: NOTARY_ANSWER_BYTES_MAX };
      const answers = await remote.notaryQuery(notary, questionOf(needs), limits);
      const asked = new Set(needs.map(({ server }) => server));
      // A few per server asked: a notary may know older answers too.
      for (const json of answers.slice(0, 4 * asked.size)) {
        const name = own(json, 'server_name');
        const server = typeof name === 'string' ? parseServerName(name) : undefined;
        if (server === undefined || !asked.has(server)) continue;
        if (await this.#isOfNotary(json, notary)) await this.#keep(json, server, false);
      }
    } catch (error) {
      this.#passOver(notary, error);
    }
  }

  /** Has the notary signed it too? */
  async #isOfNotary(json: JsonObject, notary: ServerName): Promise<boolean> {
    const keyIds = signingKeyIds(json, notary);
    const validAt = this.#parts.now();
    if (!keyIds.some((keyId) => this.#isMet({ server: notary, keyId, validAt }))) await this.#ask(notary);
    const keys = new Map<string, Uint8Array>();
    for (const keyId of keyIds) {
      const key = this.lookup(notary, keyId, validAt);
      if (key !== undefined) keys.set(keyId, key);
    }
    return isSignedBy(json, notary, keys);
  }

  #passOver(server: ServerName, error: unknown): void {
    if (!isRemoteFailure(error)) throw error;
    this.#parts.log.debug({ destination: server, code: error.code }, 'the keys of a server could not be had');
  }
}

/** The keys that events say they are signed with, of those who must have signed them. */
function* needsOf(events: readonly JsonObject[], rules: RoomVersionRules): Generator<KeyNeed> {
  for (const event of events) {
    const time = rules.enforcesKeyValidity ? own(event, 'origin_server_ts') : undefined;
    const validAt = typeof time === 'number' ? { validAt: time } : {};
    for (const server of requiredSigners(event, rules)) {
      for (const keyId of signingKeyIds(event, server)) yield { server, keyId, ...validAt };
    }
  }
}

function signingKeyIds(json: JsonObject, server: ServerName): string[] {
  const signatures = own(json, 'signatures');
  const ofServer = isObject(signatures) ? own(signatures, server) : undefined;
  return isObject(ofServer) ? Object.keys(ofServer).slice(0, KEYS_OF_SIGNER_MAX) : [];
}

function questionOf(needs: readonly KeyNeed[]): NotaryQuestion {
  const question: Record<string, Record<string, { minimum_valid_until_ts?: number }>> = Object.create(null);
  for (const { server, keyId, validAt } of needs) {
    const ofServer = (question[server] ??= {});
    ofServer[keyId] = validAt === undefined ? {} : { minimum_valid_until_ts: validAt };
  }
  return question;
}

function nameOf({ server, keyId }: KeyNeed): string {
  return `${server} ${keyId}`;
}
