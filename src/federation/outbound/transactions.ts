// Makes transactions of what waits for a destination: at most 50 events and 100 EDUs, in order.
//
// Among the EDUs device changes come first, then messages to devices, which are read with the keys that those
// tell of; then what is only for show.
//
// Source: server-server API, "Transactions".

import { randomBytes } from 'node:crypto';
import type { Accounts } from '../../account/accounts.js';
import type { Engine } from '../../engine/engine.js';
import { type EventId, type RoomId, serverOf, type ServerName, type UserId } from '../../event/ids.js';
import { isObject, type JsonObject, parseJson } from '../../event/json.js';
import { toBase64Url } from '../../lib/base64.js';
import { utf8 } from '../../lib/bytes.js';
import type { Destination, MissedRoom, Transaction } from './destination.js';
import { deviceEdus, newestDeviceEdus, presenceEdu, receiptEdus, typingEdu } from './edus.js';
import type { SenderOptions } from './options.js';
import type { RoomServers } from './room-servers.js';
import type { ToDeviceOutbox } from './to-device-outbox.js';

const ID_BYTES = 16;
/** Presences in one EDU. */
const PRESENCES_MAX = 50;
/** Of the EDUs of a transaction, those that device changes may take. */
const DEVICE_SHARE = 0.5;
const TO_DEVICE_SHARE = 0.8;

export interface TransactionParts {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly serverName: ServerName;
  readonly roomServers: RoomServers;
  readonly outbox: ToDeviceOutbox;
  readonly options: SenderOptions;
  readonly now: () => number;
}

/** What a transaction is made of, as it fills. */
interface Filling {
  pdus: EventId[];
  edus: JsonObject[];
  rooms: (readonly [RoomId, number])[];
  users: (readonly [UserId, number])[];
  last: number;
}

export class Transactions {
  readonly #parts: TransactionParts;

  constructor(parts: TransactionParts) {
    this.#parts = parts;
  }

  /**
   * Takes what goes next to a destination out of what waits for it; undefined where nothing does.
   * @param position everything up to this seq was handed to the destination
   */
  next(destination: Destination, position: number): Transaction | undefined {
    const { outbox, options } = this.#parts;
    const filling: Filling = { pdus: [], edus: [], rooms: [], users: [], last: 0 };
    if (destination.isBehind) this.#makeUp(destination, filling);
    else this.#takeQueued(destination, filling);
    const room = Math.floor(options.edusMax * TO_DEVICE_SHARE) - filling.edus.length;
    const toDevice = outbox
      .first(destination.server, Math.max(0, room), options.toDeviceBytesMax)
      .map(([place]) => place);
    const left = options.edusMax - filling.edus.length - toDevice.length;
    filling.edus.push(...this.#takeReceipts(destination, Math.floor(left / 2)));
    const typing = takeFirst(destination.typing, options.edusMax - filling.edus.length - toDevice.length - 1);
    const presence = takeFirst(destination.presence, PRESENCES_MAX);
    const { pdus, edus, rooms, users, last } = filling;
    if (pdus.length + edus.length + toDevice.length + typing.length + presence.length === 0) return undefined;
    return {
      id: toBase64Url(randomBytes(ID_BYTES)),
      upTo: destination.isBehind ? position : (destination.waitingFrom ?? Math.max(position, last)),
      pdus,
      edus: edus.map((edu) => JSON.stringify(edu)),
      toDevice,
      rooms,
      users,
      typing,
      presence,
    };
  }

  /**
   * The transaction as it goes over the wire. Events that are stored no more are left out, and those that a completed
   * state has rejected since.
   */
  body({ pdus, edus, toDevice, typing, presence }: Transaction): JsonObject {
    const { engine, outbox, serverName, now } = this.#parts;
    return {
      origin: serverName,
      origin_server_ts: now(),
      pdus: pdus.flatMap((id) => {
        const event = engine.reader.events.get(id);
        return event === undefined || event.verdict === 'rejected' ? [] : event.pdu.json;
      }),
      edus: [
        ...edus.flatMap(parsedEdu),
        ...toDevice.flatMap((place) => {
          const text = outbox.text(place);
          return text === undefined ? [] : parsedEdu(text);
        }),
        ...typing.map(typingEdu),
        ...(presence.length === 0 ? [] : [presenceEdu(presence)]),
      ],
    };
  }

  #takeQueued({ queued }: Destination, filling: Filling): void {
    const { accounts, options } = this.#parts;
    const devicesMax = options.edusMax * DEVICE_SHARE;
    let taken = 0;
    for (const item of queued) {
      if (item.kind === 'event') {
        if (filling.pdus.length >= options.pdusMax) break;
        filling.pdus.push(item.eventId);
      } else {
        if (filling.edus.length >= devicesMax) break;
        filling.edus.push(
          ...(item.isNewest
            ? newestDeviceEdus(accounts, item.userId)
            : deviceEdus(accounts, item.userId, item.seq)),
        );
      }
      filling.last = item.seq;
      taken++;
    }
    queued.splice(0, taken);
  }

  /** The newest of what a destination missed. It is taken off the list when the destination has it. */
  #makeUp({ server, missedRooms, missedUsers }: Destination, filling: Filling): void {
    const { accounts, options } = this.#parts;
    for (const [roomId, missed] of missedRooms) {
      const newest = this.#newest(server, roomId, missed);
      if (filling.pdus.length > 0 && filling.pdus.length + newest.length > options.pdusMax) break;
      filling.pdus.push(...newest);
      filling.rooms.push([roomId, missed.seq]);
    }
    for (const [userId, seq] of missedUsers) {
      if (filling.edus.length + 2 > options.edusMax * DEVICE_SHARE) break;
      filling.edus.push(...newestDeviceEdus(accounts, userId));
      filling.users.push([userId, seq]);
    }
  }

  /** The forward extremities that the server may see; for one that left, the event with which it did. */
  #newest(server: ServerName, roomId: RoomId, missed: MissedRoom): readonly EventId[] {
    const { engine, roomServers, options } = this.#parts;
    const extremities = engine.store.room(roomId)?.forwardExtremities ?? [];
    const seen = extremities.slice(-options.extremitiesMax).filter((id) => {
      const event = engine.reader.events.get(id);
      if (event?.roots === undefined || serverOf(event.pdu.sender) === server) return false;
      return roomServers.serversAt(engine.reader.view(roomId, event.roots.before)).has(server);
    });
    return seen.length > 0 ? seen.slice(0, options.pdusMax) : [missed.eventId];
  }

  #takeReceipts({ receipts }: Destination, edusMax: number): JsonObject[] {
    if (receipts.size === 0) return [];
    const edus = receiptEdus(receipts.values());
    // More layers than there is room for come of one user's many threads: the newest word of each is enough.
    receipts.clear();
    return edus.slice(-edusMax);
  }
}

function takeFirst<K, V>(map: Map<K, V>, max: number): V[] {
  const taken: V[] = [];
  for (const [key, value] of map) {
    if (taken.length >= max) break;
    taken.push(value);
    map.delete(key);
  }
  return taken;
}

function parsedEdu(text: string): JsonObject[] {
  const edu = parseJson(utf8(text));
  return isObject(edu) ? [edu] : [];
}
