// A full join of a large public room by way of another stateroom: from the client's request to its answer, with
// both handshakes, the resident's answer over TLS, every signature verified, and all of it on disk.
//
// The keys of the room's servers are with the joining server already: fetching them from thousands of servers
// would measure those.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { type EventId, serverOf, type ServerName, type UserId } from '../../src/event/ids.js';
import { isArray, isObject, type JsonObject, own, parseJson } from '../../src/event/json.js';
import { receiveJson } from '../../src/event/receive.js';
import { type RoomVersionRules, rulesOf } from '../../src/event/rules.js';
import { signEvent } from '../../src/event/signing.js';
import { KeyStore } from '../../src/federation/identity/key-store.js';
import { SERVERS_ROOM } from '../../src/federation/parts.js';
import { fromBase64 } from '../../src/lib/base64.js';
import { assert } from '../../src/lib/errors.js';
import { generateRoom, type GeneratedRoom } from '../../tools/generate/generate-room.js';
import { OriginServer, type Place } from '../../tools/peers/origin-server.js';
import { RunningServer } from '../../tools/peers/running-server.js';
import { freePort } from '../../tools/peers/wire.js';
import type { BenchContext } from '../context.js';
import { signaturesOf, verifyOnAllCores } from '../import-rate.js';
import type { SignedMessage } from '../import-verify.js';
import { median } from '../measure.js';
import { type Findings, grouped } from '../report/report.js';
import { User } from '../synapse/user.js';
import { TestNetwork } from './test-network.js';

const ROUNDS = 3;
const AT_ONCE = 200;
const DAY_MS = 86_400_000;

/** The room on disk, in the folder of a server that is in it. */
interface Resident {
  readonly serverName: string;
  readonly roomId: string;
  readonly folder: string;
}

export async function measureFullJoin(
  context: BenchContext,
  folder: string,
): Promise<Pick<Findings, 'targets' | 'remarks'>> {
  const room = generateRoom(
    context.isQuick ? { members: 300, servers: 60, roomVersion: '10' } : { preset: 'hq' },
  );
  context.say(`importing a room of ${grouped(room.eventCount)} events`);
  const resident = await importRoom(room, join(folder, 'resident'));
  const network = await TestNetwork.make(folder);
  const port = await freePort();
  const config = await network.config(resident.serverName, port);
  const server = await RunningServer.start({ config, folder: resident.folder });
  try {
    const place = { serverName: resident.serverName, port };
    context.say('asking the resident for the room');
    const { messages, answerMs, bytes } = await askResident(room, resident, place, network);
    const verifySeconds: number[] = [];
    const joins: { readonly seconds: number; readonly rssBytesMax: number }[] = [];
    for (let round = 0; round < (context.isQuick ? 1 : ROUNDS); round++) {
      context.say(`joining the room, round ${round + 1}`);
      verifySeconds.push(await verifyOnAllCores(messages));
      joins.push(await joinOnce(room, resident, place, network, join(folder, `joiner-${round}`)));
    }
    const complaints = server.complaints();
    assert(complaints.length === 0, `the resident has nothing to complain of: ${complaints.join('\n')}`);
    const seconds = median(joins.map((one) => one.seconds));
    const verifying = median(verifySeconds);
    return {
      targets: [
        {
          name: `full join over HTTPS against verifying ${grouped(messages.length)} signatures`,
          unit: 'ratio',
          bound: 'at most',
          limit: 4,
          reached: seconds / verifying,
          remark: `${seconds.toFixed(2)} s against ${verifying.toFixed(2)} s`,
        },
        {
          name: 'peak memory of the joining server',
          unit: 'bytes',
          bound: 'below',
          limit: 600e6,
          reached: Math.max(...joins.map(({ rssBytesMax }) => rssBytesMax)),
        },
        {
          name: "a resident's answer to a join",
          unit: 'us',
          bound: 'none',
          limit: 0,
          reached: answerMs * 1e3,
          remark: `${(bytes / 1e6).toFixed(1)} MB`,
        },
      ],
      remarks: [
        'Full join: resident and joining server are processes of their own on the same cores, durability sync; ' +
          'from the request of a client to its answer.',
      ],
    };
  } catch (error) {
    context.say(`the resident: ${server.complaints().join('\n')}`);
    throw error;
  } finally {
    await server.stop();
  }
}

/** Takes the room into the data folder of a server that has a member in it. */
async function importRoom(room: GeneratedRoom, folder: string): Promise<Resident> {
  await mkdir(folder, { recursive: true });
  const engine = await openEngine({ path: join(folder, 'data'), durability: 'os' });
  let serverName = '';
  let roomId = '';
  try {
    let batch: Promise<unknown>[] = [];
    for (const { line } of room.events()) {
      const event = parseJson(Buffer.from(line)) as JsonObject;
      // Nothing can be taken in of a room whose version is not known.
      if (roomId === '') {
        roomId = own(event, 'room_id') as string;
        await engine.receive(event);
        continue;
      }
      // The creator's own join comes first.
      if (serverName === '') serverName = serverOf(own(event, 'sender') as UserId);
      batch.push(engine.receive(event));
      if (batch.length < AT_ONCE) continue;
      await Promise.all(batch);
      batch = [];
    }
    await Promise.all(batch);
    await leaveAlone(engine, Object.keys(room.publicKeys));
  } finally {
    await engine.close();
  }
  return { serverName, roomId, folder };
}

/** The room's other servers are none: the resident knows that they fail, and does not try to tell them of a join. */
async function leaveAlone(engine: Engine, servers: readonly string[]): Promise<void> {
  const now = Date.now();
  const content = { failing_since: now - DAY_MS, failures: 16, retry_at: now + DAY_MS };
  const type = 'stateroom.destination';
  await engine.internal.write(servers.map((stateKey) => ({ roomId: SERVERS_ROOM, type, stateKey, content })));
}

/** Joins by hand, to see what the answer holds and how long it takes. */
async function askResident(
  room: GeneratedRoom,
  { roomId }: Resident,
  place: Place,
  network: TestNetwork,
): Promise<{
  readonly messages: readonly SignedMessage[];
  readonly answerMs: number;
  readonly bytes: number;
}> {
  const rules = rulesOf(room.roomVersion);
  assert(rules !== undefined, 'the room is of a known version');
  const origin = await OriginServer.start({ ...network.issue('localhost'), ca: network.ca }, 'joiner');
  try {
    const userId = `@visitor:${origin.serverName}`;
    const path = `${encodeURIComponent(roomId)}/${encodeURIComponent(userId)}?ver=${room.roomVersion}`;
    const made = await origin.send(
      origin.signed('GET', `/_matrix/federation/v1/make_join/${path}`, place),
      place,
    );
    const { event } = parseJson(made) as { readonly event: JsonObject };
    const signed = signEvent(
      { ...event, origin_server_ts: Date.now() },
      rules,
      origin.serverName,
      origin.key,
    );
    const { eventId } = receiveJson(signed, rules).pdu;
    const uri = `/_matrix/federation/v2/send_join/${encodeURIComponent(roomId)}/${encodeURIComponent(eventId)}`;
    const start = performance.now();
    const bytes = await origin.send(origin.signed('PUT', uri, place, signed), place);
    const answerMs = performance.now() - start;
    return { messages: messagesIn(bytes, room, rules), answerMs, bytes: bytes.length };
  } finally {
    await origin.close();
  }
}

/** Every signature that the answer's events must have, each event once. */
function messagesIn(bytes: Uint8Array, room: GeneratedRoom, rules: RoomVersionRules): SignedMessage[] {
  const answer = parseJson(bytes) as JsonObject;
  const seen = new Set<EventId>();
  return ['state', 'auth_chain'].flatMap((name) => {
    const list = own(answer, name);
    assert(isArray(list), `the answer has a list ${name}`);
    return list.filter(isObject).flatMap((event) => {
      const received = receiveJson(event, rules);
      if (seen.has(received.pdu.eventId)) return [];
      seen.add(received.pdu.eventId);
      return signaturesOf(received, room.publicKeys);
    });
  });
}

/** One join by a new server. */
async function joinOnce(
  room: GeneratedRoom,
  { roomId }: Resident,
  { serverName, port }: Place,
  network: TestNetwork,
  folder: string,
): Promise<{ readonly seconds: number; readonly rssBytesMax: number }> {
  await mkdir(folder, { recursive: true });
  await keepKeys(room, join(folder, 'data'));
  const tlsPort = await freePort();
  const config = await network.config(`localhost:${tlsPort}`, tlsPort, [`${serverName}=localhost:${port}`]);
  const server = await RunningServer.start({ config, folder });
  try {
    const user = await User.register(server.address, 'joiner');
    const start = performance.now();
    await user.join(roomId, serverName);
    const seconds = (performance.now() - start) / 1e3;
    const rssBytesMax = await server.rssBytesMax();
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/joined_members`;
    const { joined } = await user.call('GET', path);
    assert(
      isObject(joined as JsonObject) && Object.keys(joined as object).length > 100,
      'the members are here',
    );
    return { seconds, rssBytesMax };
  } finally {
    await server.stop();
  }
}

/** Gives a server that has not run yet the keys of others. */
async function keepKeys(room: GeneratedRoom, path: string): Promise<void> {
  const engine = await openEngine({ path, durability: 'os' });
  try {
    const store = new KeyStore(engine);
    const now = Date.now();
    const kept = Object.entries(room.publicKeys).map(([serverName, keys]) => {
      const told = Object.entries(keys).flatMap(([keyId, text]) => {
        const publicKey = fromBase64(text);
        return publicKey === undefined ? [] : [{ keyId, publicKey, expiredTs: undefined }];
      });
      const answer = {
        serverName: serverName as ServerName,
        keys: told,
        validUntilTs: now + DAY_MS,
        json: {},
      };
      return store.keep(answer, now, true);
    });
    await Promise.all(kept);
  } finally {
    await engine.close();
  }
}
