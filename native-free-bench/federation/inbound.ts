// Events of many servers into many rooms, in transactions of 50 through `/send`: from the first byte until a
// client that syncs has seen the last event of every room.

import { assert } from '../../src/lib/errors.js';
import { receiveJson } from '../../src/event/receive.js';
import { toBase64 } from '../../src/lib/base64.js';
import { OriginServer, type Place, type SignedRequest } from '../../tools/peers/origin-server.js';
import { RunningServer } from '../../tools/peers/running-server.js';
import { ScriptedRoom } from '../../tools/peers/scripted-room.js';
import { freePort } from '../../tools/peers/wire.js';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchContext } from '../context.js';
import { signaturesOf, verifyOnAllCores } from '../import-rate.js';
import type { SignedMessage } from '../import-verify.js';
import { median } from '../measure.js';
import { type Findings, grouped } from '../report/report.js';
import { User } from '../synapse/user.js';
import { TestNetwork } from './test-network.js';

const PDUS = 50;
const MEMBERS = 30;
/** A room's share of a transaction stands whole in one timeline. */
const TIMELINE = 1_000;

interface Extent {
  readonly origins: number;
  readonly roomsOfEach: number;
  readonly transactionsOfEach: number;
  readonly rounds: number;
}

/** What one server sends in a round. */
interface Load {
  readonly origin: OriginServer;
  readonly requests: readonly SignedRequest[];
}

export async function measureInbound(
  context: BenchContext,
  folder: string,
): Promise<Pick<Findings, 'targets' | 'remarks'>> {
  const extent: Extent = context.isQuick
    ? { origins: 3, roomsOfEach: 2, transactionsOfEach: 4, rounds: 1 }
    : { origins: 10, roomsOfEach: 5, transactionsOfEach: 20, rounds: 4 };
  await mkdir(join(folder, 'receiver'));
  const network = await TestNetwork.make(folder);
  const port = await freePort();
  const place: Place = { serverName: `localhost:${port}`, port };
  const config = await network.config(place.serverName, port);
  const server = await RunningServer.start({ config, folder: join(folder, 'receiver') });
  const tls = { ...network.issue('localhost'), ca: network.ca };
  const origins = await Promise.all(
    Array.from({ length: extent.origins }, (_, i) => OriginServer.start(tls, `origin ${i}`)),
  );
  try {
    context.say(`joining ${extent.origins * extent.roomsOfEach} rooms of ${extent.origins} servers`);
    const reader = await User.register(server.address, 'reader');
    const rooms = await openRooms(origins, extent, reader);
    let since = await reader.sync(TIMELINE);
    const percents: number[] = [];
    const rates: number[] = [];
    for (let round = 0; round < extent.rounds; round++) {
      context.say(`sending transactions, round ${round + 1}`);
      const messages: SignedMessage[] = [];
      const last = new Map<string, string>();
      const loads = origins.map((origin): Load => {
        const ours = rooms.filter(({ roomId }) => roomId.endsWith(`:${origin.serverName}`));
        return { origin, requests: requestsOf(origin, ours, extent, place, messages, last) };
      });
      const verifying = await verifyOnAllCores(messages);
      const start = performance.now();
      const [answer] = await Promise.all([
        reader.syncUntil(since, TIMELINE, last),
        ...loads.map(({ origin, requests }) => inOrder(origin, requests, place)),
      ]);
      since = answer;
      const seconds = (performance.now() - start) / 1e3;
      rates.push(messages.length / seconds);
      percents.push((100 * verifying) / seconds);
    }
    assert(server.complaints().length === 0, `nothing is complained of: ${server.complaints().join('\n')}`);
    return {
      targets: [
        {
          name: `events of ${extent.origins} servers into ${rooms.length} rooms, against verifying alone`,
          unit: 'percent',
          bound: 'at least',
          limit: 15,
          reached: median(percents),
          remark: `${grouped(median(rates))}/s`,
        },
      ],
      remarks: [
        'Events of other servers: transactions of 50 over HTTPS, one at a time of each server; verified, ' +
          'authorised, on disk and seen by a client that syncs.',
      ],
    };
  } finally {
    await server.stop();
    await Promise.all(origins.map((origin) => origin.close()));
  }
}

async function openRooms(
  origins: readonly OriginServer[],
  { roomsOfEach }: Extent,
  reader: User,
): Promise<readonly ScriptedRoom[]> {
  const rooms: ScriptedRoom[] = [];
  for (const origin of origins) {
    const { serverName, key } = origin;
    for (let i = 0; i < roomsOfEach; i++) {
      const room = new ScriptedRoom({ serverName, key, name: `room${i}`, members: MEMBERS });
      origin.opens(room);
      await reader.join(room.roomId, serverName);
      rooms.push(room);
    }
  }
  return rooms;
}

/** Transactions over all rooms of a server. @param last the last event of each room is noted here */
function requestsOf(
  origin: OriginServer,
  rooms: readonly ScriptedRoom[],
  { transactionsOfEach }: Extent,
  place: Place,
  messages: SignedMessage[],
  last: Map<string, string>,
): SignedRequest[] {
  const keys = { [origin.serverName]: { [origin.key.keyId]: toBase64(origin.key.publicKey) } };
  return Array.from({ length: transactionsOfEach }, () => {
    const pdus = Array.from({ length: PDUS }, (_, i) => {
      const room = rooms[i % rooms.length];
      assert(room !== undefined, 'a server has rooms');
      const pdu = room.message();
      last.set(room.roomId, pdu.eventId);
      messages.push(...signaturesOf(receiveJson(pdu.json, pdu.rules), keys));
      return pdu.json;
    });
    return origin.transaction(pdus, place);
  });
}

/** One transaction at a time, as servers do. */
async function inOrder(
  origin: OriginServer,
  requests: readonly SignedRequest[],
  place: Place,
): Promise<void> {
  for (const request of requests) {
    const answer = (await origin.send(request, place)).toString();
    assert(!answer.includes('"error"'), `every event is taken: ${answer.slice(0, 500)}`);
  }
}
