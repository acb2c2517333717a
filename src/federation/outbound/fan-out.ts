// What is committed, seen by what other servers are to hear of it: events of ours, events that we pass on, receipts
// and device changes of our users; and who they are.
//
// An event goes to the servers in the room before it and after it, so to those of users that it throws out too.
// One that takes an invitation or a knock back goes to the server of who it concerns.
//
// Source: server-server API, "PDUs", "EDUs".

import type { Accounts } from '../../account/accounts.js';
import { DEVICE_LIST, DEVICE_LISTS_ROOM } from '../../account/device-lists.js';
import { RECEIPT, receiptOf, roomOfReceipts } from '../../account/receipts.js';
import type { InternalRecord } from '../../core/internal.js';
import type { Engine } from '../../engine/engine.js';
import {
  type EventId,
  parseUserId,
  type RoomId,
  serverOf,
  type ServerName,
  type UserId,
} from '../../event/ids.js';
import { internalRoomId, isRemoval } from '../../event/internal.js';
import { isArray, type JsonObject, own } from '../../event/json.js';
import { INTERNAL_VERSION } from '../../event/rules.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import type { EventRow } from '../../store/records.js';
import type { QueuedItem, ReceiptItem } from './items.js';
import type { RoomServers } from './room-servers.js';

/** The internal room of the wishes to pass an event on; their place in it is that of the event's going out. */
const OUTBOUND_ROOM = internalRoomId('outbound');
const RELAY = 'stateroom.relay';

/** The wish that an event of others be passed on, but not to some: to be written with the event. */
export function relayRecord(eventId: EventId, except: readonly ServerName[]): InternalRecord {
  // Without a key it is history from the start, and collected with that: long after it was looked at.
  return { roomId: OUTBOUND_ROOM, type: RELAY, content: { event_id: eventId, except } };
}

/** What is to be sent, and where to. */
export type Outgoing =
  | { readonly item: QueuedItem; readonly to: ReadonlySet<ServerName> }
  | { readonly receipt: ReceiptItem; readonly to: ReadonlySet<ServerName> };

export interface FanOutParts {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly serverName: ServerName;
  readonly roomServers: RoomServers;
}

export class FanOut {
  readonly #parts: FanOutParts;

  constructor(parts: FanOutParts) {
    this.#parts = parts;
  }

  /** What a committed row is to others; undefined for what is none of their business. */
  async outgoing(seq: number, row: EventRow): Promise<Outgoing | undefined> {
    if (row.verdict !== 'accepted' || row.isOutlier) return undefined;
    if (row.roomVersion !== INTERNAL_VERSION) return this.#ownEvent(seq, row);
    if (row.roomId === OUTBOUND_ROOM) return this.#relayed(seq);
    if (row.roomId === DEVICE_LISTS_ROOM) return this.#deviceChange(seq);
    const roomId = roomOfReceipts(row.roomId);
    return roomId === undefined ? undefined : this.#receipt(seq, roomId);
  }

  #ownEvent(seq: number, { receivedFrom }: EventRow): Outgoing | undefined {
    if (receivedFrom !== '') return undefined;
    const event = this.#parts.engine.reader.events.at(seq);
    // A completed state may have it rejected since the row was written.
    if (event?.verdict !== 'accepted' || !this.#isLocal(event.pdu.sender)) return undefined;
    return this.#event(seq, event, []);
  }

  #relayed(seq: number): Outgoing | undefined {
    const { events } = this.#parts.engine.reader;
    const wish = events.at(seq)?.pdu;
    if (wish?.type !== RELAY) return undefined;
    const event = events.get(textAt(wish.content, 'event_id') as EventId);
    const except = own(wish.content, 'except');
    if (event === undefined || event.verdict !== 'accepted') return undefined;
    return this.#event(seq, event, isArray(except) ? (except as ServerName[]) : []);
  }

  #event(seq: number, event: KnownEvent, except: readonly ServerName[]): Outgoing | undefined {
    const { engine, roomServers } = this.#parts;
    const { roots, pdu } = event;
    if (roots === undefined) return undefined;
    const { roomId, eventId } = pdu;
    const view = engine.reader.view(roomId, roots.before);
    const before = roomServers.serversAt(view);
    const end = roots.room ?? roots.after;
    const after = end === roots.before ? before : roomServers.serversAt(view.at(end));
    const to = new Set([...before, ...after]);
    const concerned = this.#takenBack(event);
    if (concerned !== undefined) to.add(concerned);
    for (const server of except) to.delete(server);
    // Whoever made it has it, and is to be told only as a server of the room.
    const maker = serverOf(pdu.sender);
    if (!after.has(maker)) to.delete(maker);
    if (to.size === 0) return undefined;
    const leaving = new Set([...to].filter((server) => !after.has(server)));
    return { item: { kind: 'event', seq, eventId, roomId, leaving, isPartial: event.isPartial }, to };
  }

  /** The server of who is thrown out, whose membership may not have been that of somebody in the room. */
  #takenBack({ pdu, roots }: KnownEvent): ServerName | undefined {
    const { type, stateKey, content, roomId } = pdu;
    if (type !== MEMBER_TYPE || stateKey === undefined || roots === undefined) return undefined;
    const membership = own(content, 'membership');
    const userId = parseUserId(stateKey);
    if ((membership !== 'leave' && membership !== 'ban') || userId === undefined) return undefined;
    if (this.#isLocal(userId)) return undefined;
    const before = this.#parts.engine.reader.view(roomId, roots.before).membership(stateKey);
    return before === undefined || before === 'leave' || before === 'ban' ? undefined : serverOf(userId);
  }

  #receipt(seq: number, roomId: RoomId): Outgoing | undefined {
    const { engine, roomServers } = this.#parts;
    const pdu = engine.reader.events.at(seq)?.pdu;
    if (pdu?.type !== RECEIPT || pdu.stateKey === undefined || isRemoval(pdu)) return undefined;
    const receipt = receiptOf(pdu.stateKey, pdu.content);
    if (receipt.type !== 'm.read' || !this.#isLocal(receipt.userId)) return undefined;
    const to = new Set(roomServers.serversOf(roomId));
    return to.size === 0 ? undefined : { receipt: { seq, roomId, receipt }, to };
  }

  async #deviceChange(seq: number): Promise<Outgoing | undefined> {
    const pdu = this.#parts.engine.reader.events.at(seq)?.pdu;
    if (pdu?.type !== DEVICE_LIST || pdu.stateKey === undefined) return undefined;
    const userId = pdu.stateKey as UserId;
    if (!this.#isLocal(userId)) return undefined;
    const to = await this.sharing(userId);
    return to.size === 0 ? undefined : { item: { kind: 'device', seq, userId, isNewest: false }, to };
  }

  /**
   * Other servers in the rooms of a user of ours.
   * @param serversMax rooms with more of them do not count
   */
  async sharing(userId: UserId, serversMax = Number.POSITIVE_INFINITY): Promise<ReadonlySet<ServerName>> {
    const { accounts, roomServers } = this.#parts;
    const rooms = await accounts.memberships.rooms(userId, 'join');
    const servers = new Set<ServerName>();
    for (const roomId of rooms) {
      const inRoom = roomServers.serversOf(roomId);
      if (inRoom.length <= serversMax) for (const server of inRoom) servers.add(server);
    }
    return servers;
  }

  #isLocal(userId: UserId): boolean {
    return serverOf(userId) === this.#parts.serverName;
  }
}

function textAt(content: JsonObject, key: string): string {
  const value = own(content, key);
  return typeof value === 'string' ? value : '';
}
