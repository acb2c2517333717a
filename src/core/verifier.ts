// Checks of form, hashes and signatures: in place, or in worker threads by the batch.
//
// A signature costs more than everything else that happens to an event, and needs nothing but the event and
// some keys: so batches of events go to worker threads as one message each, with the keys that they need.

import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import type { EventId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { parsePdu } from '../event/parse.js';
import type { Pdu } from '../event/pdu.js';
import { receiveJson, verifyReceived } from '../event/receive.js';
import type { RoomVersionRules } from '../event/rules.js';
import { type PublicKeys, requiredSigners } from '../event/verify.js';
import { badSignature, type Refusal, refusalOf } from './refusal.js';
import type { CheckedOne, VerifyBatch } from './verify-worker.js';

/** An event whose form, hash and signatures are right. */
export interface CheckedPdu {
  readonly pdu: Pdu;
  /** Its content hash did not match: `pdu` is the redacted event. */
  readonly isRedacted: boolean;
}

/** What is verified. */
export interface Unverified {
  readonly bytes: Uint8Array;
  readonly json: JsonObject;
  readonly rules: RoomVersionRules;
}

/** Checks form, content hash and signatures; never throws for what an event holds. */
export interface Verifier {
  verify(event: Unverified): Promise<CheckedPdu | Refusal> | CheckedPdu | Refusal;
  close(): Promise<void>;
}

export interface VerifierOptions {
  /** Public keys of servers. Undefined verifies no signatures (a trusted file). */
  readonly keys: PublicKeys | undefined;
  /** Worker threads; 0 verifies in place. */
  readonly threads: number;
}

export function createVerifier(options: VerifierOptions): Verifier {
  return options.threads === 0
    ? new InPlaceVerifier(options.keys)
    : new PooledVerifier(options.keys, options.threads);
}

/** One thread a core, the default for importing much. */
export function verifierThreads(): number {
  return availableParallelism();
}

class InPlaceVerifier implements Verifier {
  readonly #keys: PublicKeys | undefined;

  constructor(keys: PublicKeys | undefined) {
    this.#keys = keys;
  }

  verify({ json, rules }: Unverified): CheckedPdu | Refusal {
    try {
      const received = receiveJson(json, rules);
      const verdict = this.#keys === undefined ? undefined : verifyReceived(received, this.#keys);
      if (verdict?.ok === false) return badSignature(verdict, received.pdu.eventId);
      return { pdu: received.pdu, isRedacted: received.wasRedacted };
    } catch (error) {
      return refusalOf(error, undefined);
    }
  }

  async close(): Promise<void> {}
}

/** Events in one message to a worker, at most. */
const BATCH_MAX = 64;

interface Queued {
  readonly event: Unverified;
  readonly resolve: (result: CheckedPdu | Refusal) => void;
  readonly reject: (error: unknown) => void;
}

class PooledVerifier implements Verifier {
  readonly #keys: PublicKeys | undefined;
  readonly #pool: Piscina;
  #queued: Queued[] = [];

  constructor(keys: PublicKeys | undefined, threads: number) {
    this.#keys = keys;
    this.#pool = new Piscina({
      filename: new URL('./verify-worker.js', import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      atomics: 'disabled',
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
    });
  }

  verify(event: Unverified): Promise<CheckedPdu | Refusal> {
    return new Promise((resolve, reject) => {
      this.#queued.push({ event, resolve, reject });
      if (this.#queued.length === 1) setImmediate(() => this.#flush());
      if (this.#queued.length >= BATCH_MAX) this.#flush();
    });
  }

  #flush(): void {
    const queued = this.#queued.splice(0);
    if (queued.length === 0) return;
    this.#run(queued).catch((error: unknown) => {
      for (const { reject } of queued) reject(error);
    });
  }

  async #run(queued: readonly Queued[]): Promise<void> {
    const batch = packBatch(queued, this.#keys);
    const results = (await this.#pool.run(batch, {
      transferList: [batch.bytes.buffer as ArrayBuffer],
    })) as CheckedOne[];
    queued.forEach(({ event, resolve, reject }, i) => {
      try {
        resolve(resultOf(event, results[i]));
      } catch (error) {
        reject(error);
      }
    });
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** All bytes of a batch in one transferable buffer, and each key it may need once. */
function packBatch(queued: readonly Queued[], keys: PublicKeys | undefined): VerifyBatch {
  const bytes = new Uint8Array(queued.reduce((sum, { event }) => sum + event.bytes.length, 0));
  const events: VerifyBatch['events'] = [];
  const needed = new Map<string, VerifyBatch['keys'][number]>();
  let at = 0;
  for (const { event } of queued) {
    bytes.set(event.bytes, at);
    at += event.bytes.length;
    events.push({ length: event.bytes.length, version: event.rules.version });
    if (keys !== undefined) collectKeys(event, keys, needed);
  }
  return { bytes, events, keys: [...needed.values()], verifies: keys !== undefined };
}

/** Most keys of one server that are looked up for an event: its signatures are a stranger's list. */
const KEYS_OF_SIGNER_MAX = 8;

function collectKeys(
  event: Unverified,
  keys: PublicKeys,
  needed: Map<string, VerifyBatch['keys'][number]>,
): void {
  const signatures = own(event.json, 'signatures');
  if (!isObject(signatures)) return;
  for (const server of requiredSigners(event.json, event.rules)) {
    const ofServer = own(signatures, server);
    if (!isObject(ofServer)) continue;
    for (const keyId of Object.keys(ofServer).slice(0, KEYS_OF_SIGNER_MAX)) {
      const name = `${server} ${keyId}`;
      if (needed.has(name)) continue;
      const publicKey = keys(server, keyId);
      if (publicKey !== undefined) needed.set(name, { server, keyId, publicKey });
    }
  }
}

function resultOf(event: Unverified, result: CheckedOne | undefined): CheckedPdu | Refusal {
  if (result === undefined) throw new Error('a verifier worker answered fewer events than it was asked');
  if ('code' in result) {
    return {
      code: result.code,
      reason: result.reason,
      eventId: result.eventId as EventId | undefined,
      roomId: undefined,
    };
  }
  const trustedId = result.eventId as EventId;
  try {
    const pdu = parsePdu(event.json, event.rules, { trustedId, redacted: result.isRedacted });
    return { pdu, isRedacted: result.isRedacted };
  } catch (error) {
    return refusalOf(error, undefined);
  }
}
