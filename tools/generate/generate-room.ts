// Generates a whole signed room from a few options: for tests, benchmarks, and anyone who wants one to try.
//
// The same options give the same bytes, on every machine. Every event is signed by its sender's server and allowed
// by its version's auth rules; every hash, id and reference is right.

import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { RoomVersion } from '../../src/event/rules.js';
import { createSigningKey, type SigningKey } from '../../src/event/signing.js';
import { toBase64 } from '../../src/lib/base64.js';
import { Cast } from './cast.js';
import { everydayScript, visitorsOf } from './everyday.js';
import { hqScript } from './hq.js';
import { type GenerateOptions, planOf, type RoomPlan } from './options.js';
import { Random, seedBytes } from './random.js';
import type { ScriptStep } from './script.js';
import { type GeneratedEvent, weave } from './weave.js';

export type { GenerateOptions } from './options.js';

/** Public keys as unpadded base64, by server and key id: what `stateroom import --keys` reads. */
export type PublicKeyFile = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A room ready to be generated. */
export interface GeneratedRoom {
  readonly roomVersion: RoomVersion;
  /** How many events there will be. */
  readonly eventCount: number;
  readonly publicKeys: PublicKeyFile;
  /** The server that founded it, and its signing key as a server keeps it on disk: to run a server as that one. */
  readonly founder: { readonly serverName: string; readonly signingKeyLine: string };
  /** The events, each after all that it refers to, made as they are asked for. Every call starts again. */
  events(): Generator<GeneratedEvent>;
}

/** Called now and then while a room is written. */
export type Progress = (eventsWritten: number, eventCount: number) => void;

// All of a room's history lies within this time.
const historyMs = 200 * 24 * 60 * 60 * 1000;
const gapMsMax = 20 * 60 * 1000;
const charsPerChunk = 64 * 1024;

/**
 * Prepares a room: its people, keys and script. The events themselves are made one by one, about 0.25 ms each, half of it signing.
 *
 * @throws GENERATE_BAD_OPTION when an option is out of range or does not fit the others
 */
export function generateRoom(options: GenerateOptions = {}): GeneratedRoom {
  const plan = planOf(options);
  const { servers } = castOf(plan);
  const keys = signingKeys(plan.seed, servers);
  let eventCount = 0;
  for (const step of scriptOf(plan)) if (step.kind === 'event') eventCount += 1;
  return {
    roomVersion: plan.rules.version,
    eventCount,
    publicKeys: Object.fromEntries(
      [...keys].map(([server, { keyId, publicKey }]) => [server, { [keyId]: toBase64(publicKey) }]),
    ),
    founder: founderOf(plan.seed, servers, keys),
    events: () =>
      weave(scriptOf(plan), {
        rules: plan.rules,
        seed: plan.seed,
        gapMsMax: Math.max(1, Math.min(gapMsMax, Math.floor(historyMs / eventCount))),
        keyOf: (server) => keyOf(keys, server),
      }),
  };
}

/**
 * Generates a room into files: its events as JSON lines, its servers' public keys as one JSON object.
 * Memory does not grow with the number of events.
 */
export async function writeRoom(
  options: GenerateOptions,
  files: { readonly out: string; readonly keys: string; readonly signingKey?: string | undefined },
  onProgress?: Progress,
): Promise<GeneratedRoom> {
  const room = generateRoom(options);
  await writeFile(files.keys, `${JSON.stringify(room.publicKeys, null, 1)}\n`);
  // Never over a key that is there: it may be the only one of its kind.
  if (files.signingKey !== undefined) {
    await writeFile(files.signingKey, `${room.founder.signingKeyLine}\n`, { mode: 0o600, flag: 'wx' });
  }
  await pipeline(Readable.from(chunksOf(room, onProgress)), createWriteStream(files.out));
  return room;
}

/** The script alone, without ids and signatures: the shape of a room at little cost. */
export function scriptOf(plan: RoomPlan): Generator<ScriptStep> {
  const random = new Random(plan.seed, 'script');
  const script = plan.shape === 'hq' ? hqScript : everydayScript;
  return script(plan, castOf(plan), random);
}

function castOf(plan: RoomPlan): Cast {
  const visitors = plan.shape === 'hq' ? 0 : visitorsOf(plan.members);
  return new Cast(plan.seed, plan.members + visitors, plan.servers);
}

function signingKeys(seed: string, servers: readonly string[]): ReadonlyMap<string, SigningKey> {
  const random = new Random(seed, 'key ids');
  return new Map(
    servers.map((server) => {
      const keyId = `ed25519:a_${random.token(4)}`;
      return [server, createSigningKey(keyId, keySeed(seed, server))];
    }),
  );
}

function keySeed(seed: string, server: string): Uint8Array {
  return seedBytes(seed, `signing key of ${server}`);
}

function founderOf(
  seed: string,
  [serverName = '']: readonly string[],
  keys: ReadonlyMap<string, SigningKey>,
): GeneratedRoom['founder'] {
  const version = keyOf(keys, serverName).keyId.replace('ed25519:', '');
  return { serverName, signingKeyLine: `ed25519 ${version} ${toBase64(keySeed(seed, serverName))}` };
}

function keyOf(keys: ReadonlyMap<string, SigningKey>, server: string): SigningKey {
  const key = keys.get(server);
  if (key === undefined) throw new Error(`invariant broken: ${server} is a server of the cast`);
  return key;
}

function* chunksOf(room: GeneratedRoom, onProgress: Progress | undefined): Generator<string> {
  let chunk = '';
  let written = 0;
  for (const { line } of room.events()) {
    chunk += `${line}\n`;
    written += 1;
    if (chunk.length < charsPerChunk) continue;
    yield chunk;
    chunk = '';
    onProgress?.(written, room.eventCount);
  }
  yield chunk;
  onProgress?.(written, room.eventCount);
}
