// What is asked of both servers: each measure does the same on either side, in turns, and gives its samples.

import type { Pdu } from '../../src/event/pdu.js';
import { assert } from '../../src/lib/errors.js';
import { median } from '../measure.js';
import { Connection, requestBytes } from '../homeserver/connection.js';
import type { OriginServer } from '../../tools/peers/origin-server.js';
import { ScriptedRoom } from '../../tools/peers/scripted-room.js';
import type { Side, SideName, Sides } from './sides.js';
import { User } from './user.js';

/** How much of it is done. */
export interface Extent {
  readonly members: number;
  readonly rounds: number;
  readonly senders: number;
  readonly sendMs: number;
  /** Transactions of a round. */
  readonly transactions: number;
  /** Transactions of state events in the large room. */
  readonly stateTransactions: number;
  /** Old events that are asked about. */
  readonly oldEvents: number;
}

/** Samples of either side. */
export type Samples = Readonly<Record<SideName, readonly number[]>>;

const PDUS = 50;
const CONTENT = { msgtype: 'm.text', body: 'Is anybody there? It has been very quiet here today.' };

/** A room on one side, joined from the scripted server. */
interface Joined {
  readonly side: Side;
  readonly room: ScriptedRoom;
  readonly user: User;
}

/** Runs on either side in turns, each round beginning with the other. */
async function inTurns(
  sides: readonly Joined[],
  rounds: number,
  sample: (joined: Joined, round: number) => Promise<number>,
): Promise<Samples> {
  const samples: Record<SideName, number[]> = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round++) {
    const ordered = round % 2 === 0 ? sides : [...sides].reverse();
    for (const joined of ordered) samples[joined.side.name].push(await sample(joined, round));
  }
  return samples;
}

/** Both servers join rooms of one shape, each its own. */
async function joinBoth(
  { ours, theirs, origin }: Sides,
  name: string,
  members: number,
): Promise<readonly Joined[]> {
  const joined: Joined[] = [];
  for (const side of [ours, theirs]) {
    const parts = { serverName: origin.serverName, key: origin.key, name: `${name}-${side.name}`, members };
    const room = new ScriptedRoom(parts);
    origin.opens(room);
    const user = await User.register(side.address, `reader-${name}`);
    await user.join(room.roomId, origin.serverName);
    joined.push({ side, room, user });
  }
  return joined;
}

/** Messages a second that clients send to a room of their own, each waiting for its answer. */
export async function sendingRates({ ours, theirs }: Sides, extent: Extent): Promise<Samples> {
  const clients: Record<SideName, { token: string; roomId: string; connection: Connection }[]> = {
    ours: [],
    theirs: [],
  };
  for (const { name, address } of [ours, theirs]) {
    const users = [];
    for (let i = 0; i < extent.senders; i++) users.push(await User.register(address, `sender${i}`));
    const roomId = (await users[0]?.createRoom()) ?? '';
    for (const [i, user] of users.entries()) {
      if (i > 0) await user.join(roomId);
      clients[name].push({ token: user.token, roomId, connection: await Connection.open(address) });
    }
  }
  let sent = 0;
  const rate = async (side: SideName): Promise<number> => {
    const start = performance.now();
    const counts = clients[side].map(async ({ token, roomId, connection }) => {
      let count = 0;
      for (; performance.now() - start < extent.sendMs; count++) {
        const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${++sent}`;
        const { status, body } = await connection.ask(requestBytes('PUT', path, token, CONTENT));
        assert(status === 200, `what is sent is taken: ${body.toString()}`);
      }
      return count;
    });
    const total = (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    return (1e3 * total) / (performance.now() - start);
  };
  const rates: Record<SideName, number[]> = { ours: [], theirs: [] };
  for (let round = 0; round < extent.rounds; round++) {
    const order: readonly SideName[] = round % 2 === 0 ? ['ours', 'theirs'] : ['theirs', 'ours'];
    for (const side of order) rates[side].push(await rate(side));
  }
  for (const { connection } of [...clients.ours, ...clients.theirs]) connection.close();
  return rates;
}

/** Events a second of transactions of 50, from the first byte until a client can read the last event. */
export async function inboundRates(sides: Sides, extent: Extent): Promise<Samples> {
  const joined = await joinBoth(sides, 'small', 20);
  return inTurns(joined, extent.rounds + 1, async (one) => {
    const seconds = await receive(sides.origin, one, extent.transactions, (room) => room.message());
    return (extent.transactions * PDUS) / seconds;
  }).then(withoutFirst);
}

/** The first round finds everything cold on one side and warm on the other. */
function withoutFirst({ ours, theirs }: Samples): Samples {
  return { ours: ours.slice(1), theirs: theirs.slice(1) };
}

/**
 * Seconds for transactions, each sent when a client sees the last event of the one before. Were they sent faster,
 * Synapse would throw away what it has not worked off yet, and fetch it again.
 */
async function receive(
  origin: OriginServer,
  { side, room, user }: Joined,
  transactions: number,
  next: (room: ScriptedRoom) => Pdu,
  seen: string[] = [],
): Promise<number> {
  const requests = Array.from({ length: transactions }, () => {
    const pdus = Array.from({ length: PDUS }, () => next(room));
    seen.push(...pdus.map(({ eventId }) => eventId));
    const request = origin.transaction(
      pdus.map(({ json }) => json),
      side,
    );
    return { request, last: seen.at(-1) ?? '' };
  });
  const start = performance.now();
  for (const { request, last } of requests) {
    await origin.send(request, side);
    await user.sees(room.roomId, last);
  }
  return (performance.now() - start) / 1e3;
}

/** What the large room tells. */
export interface LargeRoom {
  readonly joinSeconds: Samples;
  readonly bytesOfStateEvent: Samples;
  readonly stateIdsMs: Samples;
  readonly stateMs: Samples;
  readonly syncMs: Samples;
}

/** A room of many members: joined, changed, and asked about. */
export async function largeRoom(
  sides: Sides,
  extent: Extent,
  say: (text: string) => void,
): Promise<LargeRoom> {
  const { ours, theirs, origin } = sides;
  const joinSeconds: Record<SideName, number[]> = { ours: [], theirs: [] };
  const joined: Joined[] = [];
  for (const side of [ours, theirs]) {
    const name = `large-${side.name}`;
    const parts = { serverName: origin.serverName, key: origin.key, name, members: extent.members };
    const room = new ScriptedRoom(parts);
    origin.opens(room);
    const user = await User.register(side.address, 'reader');
    const start = performance.now();
    await user.join(room.roomId, origin.serverName);
    joinSeconds[side.name].push((performance.now() - start) / 1e3);
    joined.push({ side, room, user });
  }
  say('sending state events');
  const events: Record<SideName, string[]> = { ours: [], theirs: [] };
  const bytesOfStateEvent = await inTurns(joined, 1, async (one) => {
    const { side } = one;
    const before = await side.bytesOnDisk();
    await receive(origin, one, extent.stateTransactions, (room) => room.profile(), events[side.name]);
    return ((await side.bytesOnDisk()) - before) / events[side.name].length;
  });
  say('asking for state');
  const ask = async (what: 'state' | 'state_ids', { side, room }: Joined, round: number): Promise<number> => {
    const list = events[side.name];
    const eventId = list[Math.floor(((round + 0.5) * list.length) / (extent.oldEvents + 2))] ?? '';
    const uri = `/_matrix/federation/v1/${what}/${encodeURIComponent(room.roomId)}`;
    const request = origin.signed('GET', `${uri}?event_id=${encodeURIComponent(eventId)}`, side);
    const start = performance.now();
    const bytes = await origin.send(request, side);
    const ms = performance.now() - start;
    assert(bytes.length > 40 * extent.members, 'the answer holds all of the state');
    return ms;
  };
  const stateIdsMs = withoutFirst(
    await inTurns(joined, extent.oldEvents + 1, (one, round) => ask('state_ids', one, round)),
  );
  const stateMs = withoutFirst(
    await inTurns(joined, extent.oldEvents + 1, (one, round) => ask('state', one, round)),
  );
  say('syncing');
  const syncMs = await inTurns(joined, extent.rounds + 1, async ({ user }, round) => {
    const start = performance.now();
    const bytes = await user.initialSync(20 + round);
    assert(bytes > 100 * extent.members, 'the answer holds all members');
    return performance.now() - start;
  }).then(withoutFirst);
  return { joinSeconds, bytesOfStateEvent, stateIdsMs, stateMs, syncMs };
}

/** How many times better ours is: the ratio of medians. */
export function advantage({ ours, theirs }: Samples, isRate: boolean): number {
  return isRate ? median(ours) / median(theirs) : median(theirs) / median(ours);
}
