// One join of a large room by a server that never ran before, as its user and those beside them live through it: the
// room in their client, the first thing that they say, the rest of the members, and how the server is to others
// meanwhile.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../../src/event/json.js';
import { KeptSigningKeys } from '../../src/server/signing-key-file.js';
import { toBase64 } from '../../src/lib/base64.js';
import { assert } from '../../src/lib/errors.js';
import type { PublicKeyFile } from '../../tools/generate/generate-room.js';
import type { Place } from '../../tools/peers/origin-server.js';
import { RunningServer } from '../../tools/peers/running-server.js';
import { freePort } from '../../tools/peers/wire.js';
import { User } from '../synapse/user.js';
import { CountedRelay } from './counted-relay.js';
import { keepKeys } from './large-room.js';
import type { TestNetwork } from './test-network.js';

export type JoinKind = 'full' | 'partial';

/** What a join took. */
export interface JoinTimes {
  /** From the request to join, in seconds: to its answer, to a message that was sent from a client that sees the room. */
  readonly answered: number;
  readonly usable: number;
  /** And to the whole state; no sooner than `answered`. */
  readonly whole: number;
  /** Bytes that the resident had sent when the join was answered, when the room was usable, and in the end. */
  readonly bytesAnswered: number;
  readonly bytesUsable: number;
  readonly bytes: number;
  /** Of requests to the server while it joined, and before that when it did nothing, in milliseconds. */
  readonly latenciesMs: readonly number[];
  readonly idleLatenciesMs: readonly number[];
  readonly rssBytesMax: number;
}

/** Where the room is, and how it is joined. */
export interface JoinPlan {
  readonly kind: JoinKind;
  readonly roomId: string;
  readonly resident: Place;
  readonly network: TestNetwork;
  /** Keys of all servers in the room. */
  readonly publicKeys: PublicKeyFile;
  /** Of the new server; it stays. */
  readonly folder: string;
}

/** What is left of a joiner that has ended. */
export interface JoinDone {
  readonly userId: string;
  readonly times: JoinTimes;
  readonly publicKeys: PublicKeyFile;
}

const COMPLETED = 'the state of a room is whole';
/** Requests to see how the server is come so long after the one before. */
const PROBE_MS = 5;
/** How long a server that does nothing is looked at, for comparison. */
const IDLE_MS = 500;
const TIMELINE_LIMIT = 10;

/** Joins, and waits until all is there. */
export async function joinOnce(plan: JoinPlan): Promise<JoinDone> {
  const { kind, resident, network, publicKeys, folder } = plan;
  await keepKeys(publicKeys, resident.serverName, folder);
  const relay = await CountedRelay.to(resident.port);
  const tlsPort = await freePort();
  const serverName = `localhost:${tlsPort}`;
  const resolve = [`${resident.serverName}=localhost:${relay.port}`];
  const config = await network.config(serverName, tlsPort, { resolve, partial_joins: kind === 'partial' });
  const server = await RunningServer.start({ config, folder });
  try {
    const user = await User.register(server.address, 'joiner');
    const times = await timesOf(plan, user, server, relay);
    const complaints = server.complaints();
    assert(complaints.length === 0, `who joins has nothing to complain of: ${complaints.join('\n')}`);
    const keys = await KeptSigningKeys.open(join(folder, 'data', 'signing.key'));
    const { keyId, publicKey } = keys.signingKey;
    const { userId } = user;
    return { userId, times, publicKeys: { [serverName]: { [keyId]: toBase64(publicKey) } } };
  } finally {
    await server.stop();
    await relay.close();
  }
}

async function timesOf(
  { kind, roomId, resident }: JoinPlan,
  user: User,
  server: RunningServer,
  relay: CountedRelay,
): Promise<JoinTimes> {
  const completed = kind === 'partial' ? server.logs(COMPLETED) : Promise.resolve();
  // Its fault is met where it is waited for.
  completed.catch(() => undefined);
  const idle = new Probes(server.address);
  await sleep(IDLE_MS);
  const idleLatenciesMs = await idle.end();
  const probes = new Probes(server.address);
  const start = performance.now();
  const since = (): number => (performance.now() - start) / 1e3;
  await user.join(roomId, resident.serverName);
  const [answered, bytesAnswered] = [since(), relay.bytes];
  await assertShown(user, roomId);
  await say(user, roomId);
  const [usable, bytesUsable] = [since(), relay.bytes];
  await completed;
  const whole = kind === 'partial' ? since() : answered;
  const latenciesMs = await probes.end();
  const rssBytesMax = await server.rssBytesMax();
  const bytes = relay.bytes;
  await assertWhole(user, roomId);
  return {
    answered,
    usable,
    whole,
    bytesAnswered,
    bytesUsable,
    bytes,
    latenciesMs,
    idleLatenciesMs,
    rssBytesMax,
  };
}

/** A client's first sync has the room, with what it needs to show it. */
async function assertShown(user: User, roomId: string): Promise<void> {
  const filter = { room: { state: { lazy_load_members: true }, timeline: { limit: TIMELINE_LIMIT } } };
  const query = `timeout=0&filter=${encodeURIComponent(JSON.stringify(filter))}`;
  const answer = (await user.call('GET', `/v3/sync?${query}`)) as JsonObject;
  const room = at(answer, 'rooms', 'join', roomId);
  const events = [at(room, 'state', 'events'), at(room, 'timeline', 'events')]
    .flatMap((list) => (isArray(list) ? list : []))
    .filter(isObject);
  const has = (type: string, stateKey: string): boolean =>
    events.some((event) => own(event, 'type') === type && own(event, 'state_key') === stateKey);
  assert(has('m.room.create', ''), 'a first sync has the state of the room');
  assert(has('m.room.name', ''), 'a first sync names the room');
  assert(has('m.room.member', user.userId), 'a first sync has the membership of the user');
}

async function say(user: User, roomId: string): Promise<void> {
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/first`;
  await user.call('PUT', path, { msgtype: 'm.text', body: 'Good morning, everybody.' });
}

async function assertWhole(user: User, roomId: string): Promise<void> {
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/joined_members`;
  const { joined } = await user.call('GET', path);
  assert(isObject(joined as JsonValue), 'the members are listed');
  assert(Object.keys(joined as JsonObject).length > 100, 'the members are here');
}

function at(value: JsonValue | undefined, ...names: readonly string[]): JsonValue | undefined {
  return names.reduce((inner, name) => (isObject(inner) ? own(inner, name) : undefined), value);
}

/** Requests for something small, one after the other. */
class Probes {
  readonly #latenciesMs: number[] = [];
  readonly #done: Promise<void>;
  #isOver = false;

  constructor(address: string) {
    this.#done = this.#ask(`${address}/_matrix/client/versions`);
  }

  async end(): Promise<readonly number[]> {
    this.#isOver = true;
    await this.#done;
    return this.#latenciesMs;
  }

  async #ask(url: string): Promise<void> {
    while (!this.#isOver) {
      const start = performance.now();
      const answer = await fetch(url);
      await answer.arrayBuffer();
      this.#latenciesMs.push(performance.now() - start);
      await sleep(PROBE_MS);
    }
  }
}
