// What servers are to hear of that were in a room, and not known to be, while its state was not all known.
//
//   join ── e1 ── e2 ── e3 ── completed          to the servers of the list that came with the join
//             └─────┴─────┴───▶ at `completed`   to those that were there all the same: all of it, in order
//
// An event of ours goes late to the servers in the whole state there that the list does not have and that were not
// seen to join. Who has one already may get it twice, which does no harm; nobody is left out. It goes out at the
// place of the record that says that the state is whole, so that it is known after a restart what was sent.
//
// Whoever knows us from the room may hold the devices of our users: those that changed meanwhile are told as well.
//
// Source: MSC3902; server-server API, "PDUs", "Device Management".

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Accounts } from '../../account/accounts.js';
import { PARTIAL_ROOM, type PartialState } from '../../core/partial-states.js';
import type { Engine } from '../../engine/engine.js';
import { type EventId, parseUserId, type RoomId, serverOf, type ServerName } from '../../event/ids.js';
import { own } from '../../event/json.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { EventRow } from '../../store/records.js';
import type { Outgoing } from './fan-out.js';
import type { RoomServers } from './room-servers.js';

export interface LateNewsParts {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly serverName: ServerName;
  readonly roomServers: RoomServers;
}

/** Events that are looked at before others get a turn. */
const TURN = 50;

export class LateNews {
  readonly #parts: LateNewsParts;
  /** Events that were handed out on the whole state before its record was reached: nobody was left out. */
  readonly #whole = new Map<RoomId, Set<EventId>>();

  constructor(parts: LateNewsParts) {
    this.#parts = parts;
  }

  /** Something goes out at its own place. */
  handedOut(outgoing: Outgoing): void {
    if (!('item' in outgoing) || outgoing.item.kind !== 'event' || outgoing.item.isPartial) return;
    const { roomId, seq, eventId } = outgoing.item;
    const completed = this.#parts.engine.partial.completedAfter(roomId, seq);
    if (completed === undefined) return;
    const whole = this.#whole.get(roomId) ?? new Set();
    this.#whole.set(roomId, whole.add(eventId));
  }

  /** What is to be sent late because of a committed row: nothing, unless it says that a state is whole now. */
  async outgoing(seq: number, row: EventRow): Promise<readonly Outgoing[]> {
    if (row.roomId !== PARTIAL_ROOM) return [];
    const { engine } = this.#parts;
    const eventId = engine.reader.events.at(seq)?.pdu.stateKey;
    const state = engine.partial.get(eventId as EventId);
    if (state?.kind !== 'join' || state.completed?.seq !== seq) return [];
    const told = new Set(state.servers);
    const events = await this.#events(state, seq, told);
    this.#whole.delete(state.roomId);
    return [...events, ...(await this.#devices(state, seq, told))];
  }

  /** @param told servers of the list; those that were seen to join are added, as they were then */
  async #events({ roomId, eventSeq }: PartialState, seq: number, told: Set<ServerName>): Promise<Outgoing[]> {
    const { engine, serverName } = this.#parts;
    const listed = new Set(told);
    const late: Outgoing[] = [];
    const room = engine.store.room(roomId);
    if (room === undefined) return late;
    let looked = 0;
    for await (const [, at] of engine.store.timeline(room.number, { from: eventSeq + 1, to: seq })) {
      if (++looked % TURN === 0) await nextTurn();
      const event = engine.reader.events.at(at);
      if (event === undefined) continue;
      const isOurs = event.receivedFrom === '' && serverOf(event.pdu.sender) === serverName;
      const outgoing = isOurs ? this.#event(event, seq, told) : undefined;
      if (outgoing !== undefined) late.push(outgoing);
      noteMember(event, listed, told);
    }
    return late;
  }

  #event(event: KnownEvent, seq: number, told: ReadonlySet<ServerName>): Outgoing | undefined {
    const { engine, roomServers } = this.#parts;
    const { roots, pdu } = event;
    const { roomId, eventId } = pdu;
    if (roots === undefined || this.#whole.get(roomId)?.has(eventId) === true) return undefined;
    const view = engine.reader.view(roomId, roots.before);
    const before = roomServers.memberServersAt(view);
    const end = roots.room ?? roots.after;
    const after = end === roots.before ? before : roomServers.memberServersAt(view.at(end));
    const to = new Set([...before, ...after].filter((server) => !told.has(server)));
    if (to.size === 0) return undefined;
    const leaving = new Set([...to].filter((server) => !after.has(server)));
    return { item: { kind: 'event', seq, eventId, roomId, leaving, isPartial: false }, to };
  }

  async #devices(
    { roomId, eventSeq }: PartialState,
    seq: number,
    told: ReadonlySet<ServerName>,
  ): Promise<Outgoing[]> {
    const { accounts, roomServers } = this.#parts;
    const to = new Set(roomServers.serversOf(roomId).filter((server) => !told.has(server)));
    if (to.size === 0) return [];
    await accounts.memberships.caughtUp();
    return [...accounts.memberships.ofRoom(roomId)].flatMap(([userId, { membership }]): Outgoing[] => {
      if (membership !== 'join' || accounts.deviceLists.newestChange(userId) <= eventSeq) return [];
      return [{ item: { kind: 'device', seq, userId, isNewest: true }, to }];
    });
  }
}

/**
 * Who was seen to join was told from then on, who was seen to leave no more. A join that was rejected at first was
 * not seen.
 */
function noteMember(
  { pdu, revisions }: KnownEvent,
  listed: ReadonlySet<ServerName>,
  told: Set<ServerName>,
): void {
  const userId = pdu.type === MEMBER_TYPE ? parseUserId(pdu.stateKey ?? '') : undefined;
  if (userId === undefined || revisions.length > 0) return;
  const server = serverOf(userId);
  if (own(pdu.content, 'membership') === 'join') told.add(server);
  else if (!listed.has(server)) told.delete(server);
}
