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
import { keysAtEvent, type PublicKeys, requiredSigners } from '../event/verify.js';
import { concatBytes } from '../lib/bytes.js';
import { badSignature, type Refusal, refusalOf } from './refusal.js';
import { type CheckedOne, keyName, overdueName, type VerifyBatch } from './verify-worker.js';

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
  /** The same for many at once; answers are in their order. */
  verifyAll(events: readonly Unverified[]): Promise<readonly (CheckedPdu | Refusal)[]>;
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

  async verifyAll(events: readonly Unverified[]): Promise<readonly (CheckedPdu | Refusal)[]> {
    return events.map((event) => this.verify(event));
  }

  async close(): Promise<void> {}
}

/** Events in one message to a worker, at most. */
const BATCH_MAX = 64;
/** Batches that a worker is given at once: it goes on with the next while this thread is busy with a commit. */
const BATCHES_PER_WORKER = 8;

interface Queued {
  readonly event: Unverified;
  readonly resolve: (result: CheckedPdu | Refusal) => void;
  readonly reject: (error: unknown) => void;
}

class PooledVerifier implements Verifier {
  readonly #keys: PublicKeys | undefined;
  readonly #threads: number;
  #pool: Piscina | undefined;
  #queued: Queued[] = [];

  constructor(keys: PublicKeys | undefined, threads: number) {
    this.#keys = keys;
    this.#threads = threads;
  }

  /** Threads are started when there is something to verify: they take memory, and a server alone needs none. */
  #started(): Piscina {
    return (this.#pool ??= new Piscina({
      filename: new URL('./verify-worker.js', import.meta.url).href,
      minThreads: this.#threads,
      maxThreads: this.#threads,
      concurrentTasksPerWorker: BATCHES_PER_WORKER,
      atomics: 'disabled',
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
    }));
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
    const results = await this.#check(queued.map(({ event }) => event));
    queued.forEach(({ event, resolve, reject }, i) => {
      try {
        resolve(resultOf(event, results[i]));
      } catch (error) {
        reject(error);
      }
    });
  }

  async verifyAll(events: readonly Unverified[]): Promise<readonly (CheckedPdu | Refusal)[]> {
    const batches: Promise<(CheckedPdu | Refusal)[]>[] = [];
    for (let at = 0; at < events.length; at += BATCH_MAX) {
      const batch = events.slice(at, at + BATCH_MAX);
      const checked = this.#check(batch);
      batches.push(checked.then((results) => batch.map((event, i) => resultOf(event, results[i]))));
    }
    return (await Promise.all(batches)).flat();
  }

  async #check(events: readonly Unverified[]): Promise<CheckedOne[]> {
    const batch = packBatch(events, this.#keys);
    const transferList = [batch.bytes.buffer as ArrayBuffer];
    return (await this.#started().run(batch, { transferList })) as CheckedOne[];
  }

  async close(): Promise<void> {
    await this.#pool?.destroy();
  }
}

/** All bytes of a batch in one transferable buffer, each key that it may need once. */
function packBatch(events: readonly Unverified[], keys: PublicKeys | undefined): VerifyBatch {
  const needed = new Map<string, Uint8Array>();
  const overdue: string[] = [];
  if (keys !== undefined) {
    events.forEach((event, i) => {
      const missing = collectKeys(event, keysAtEvent(event.json, event.rules, keys), needed);
      for (const name of missing) overdue.push(overdueName(i, name));
    });
  }
  const parts = [...events.map(({ bytes }) => bytes), ...needed.values()];
  return {
    bytes: concatBytes(...parts),
    lengths: parts.map(({ length }) => length),
    versions: events.map(({ rules }) => rules.version),
    keyNames: [...needed.keys()],
    overdue,
    verifies: keys !== undefined,
  };
}

/** Most keys of one server that are looked up for an event: its signatures are a stranger's list. */
const KEYS_OF_SIGNER_MAX = 8;

/**
 * Adds the keys that an event may need. @returns names of those that others of the batch need and it may not use:
 * they were not good any more when it was sent
 */
function collectKeys(event: Unverified, keys: PublicKeys, needed: Map<string, Uint8Array>): string[] {
  const signatures = own(event.json, 'signatures');
  if (!isObject(signatures)) return [];
  const missing: string[] = [];
  for (const server of requiredSigners(event.json, event.rules)) {
    const ofServer = own(signatures, server);
    if (!isObject(ofServer)) continue;
    for (const keyId of Object.keys(ofServer).slice(0, KEYS_OF_SIGNER_MAX)) {
      const name = keyName(server, keyId);
      if (needed.has(name) && !event.rules.enforcesKeyValidity) continue;
      const publicKey = keys(server, keyId);
      if (publicKey === undefined) missing.push(name);
      else needed.set(name, publicKey);
    }
  }
  return event.rules.enforcesKeyValidity ? missing : [];
}

function resultOf(event: Unverified, result: CheckedOne | undefined): CheckedPdu | Refusal {
  if (result === undefined) throw new Error('a verifier worker answered fewer events than it was asked');
  if (typeof result !== 'string' && 'code' in result) {
    const { code, reason, eventId } = result;
    return { code, reason, eventId: eventId as EventId | undefined, roomId: undefined };
  }
  const isRedacted = typeof result !== 'string';
  const trustedId = (isRedacted ? result.redactedId : result) as EventId;
  try {
    return { pdu: parsePdu(event.json, event.rules, { trustedId, redacted: isRedacted }), isRedacted };
  } catch (error) {
    return refusalOf(error, undefined);
  }
}
