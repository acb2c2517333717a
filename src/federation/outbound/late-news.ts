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
import { isArray, isObject, JsonNumber, type JsonObject, own } from '../../event/json.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { EventRow } from '../../store/records.js';
import type { RootRef } from '../../tree/types.js';
import { listedServers } from '../said-servers.js';
import type { Outgoing } from './fan-out.js';
import type { RoomServers } from './room-servers.js';

export interface LateNewsParts {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly serverName: ServerName;
  readonly roomServers: RoomServers;
}

type MissedAt = (root: RootRef) => ReadonlySet<ServerName>;

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
    const record = engine.reader.events.at(seq)?.pdu;
    const state = engine.partial.get(record?.stateKey as EventId);
    if (record === undefined || state?.kind !== 'join' || state.completed?.seq !== seq) return [];
    const seen = new SeenServers(listedServers(state), this.#doubtful(state, record.content));
    const events = await this.#events(state, seq, seen);
    this.#whole.delete(state.roomId);
    return [...events, ...(await this.#devices(state, seq, seen))];
  }

  /** Servers of users whose membership was told wrong for a while; undefined where they are very many. */
  #doubtful({ completed }: PartialState, record: JsonObject): ReadonlySet<ServerName> | undefined {
    const { events } = this.#parts.engine.reader;
    const revised = own(record, 'revised');
    if (completed?.corrected === undefined || !isArray(revised)) return undefined;
    if (numberAt(record, 'revised_count') > revised.length) return undefined;
    const members = completed.corrected.flatMap(([type, stateKey]) => (type === MEMBER_TYPE ? stateKey : []));
    for (const entry of revised) {
      const id = isObject(entry) ? own(entry, 'event_id') : undefined;
      const pdu = typeof id === 'string' ? events.get(id as EventId)?.pdu : undefined;
      if (pdu?.type === MEMBER_TYPE && pdu.stateKey !== undefined) members.push(pdu.stateKey);
    }
    const userIds = members.flatMap((text) => parseUserId(text) ?? []);
    return new Set(userIds.map((userId) => serverOf(userId)));
  }

  async #events({ roomId, eventSeq }: PartialState, seq: number, seen: SeenServers): Promise<Outgoing[]> {
    const { engine, serverName } = this.#parts;
    const late: Outgoing[] = [];
    const room = engine.store.room(roomId);
    if (room === undefined) return late;
    const missedAt = this.#missedAt(roomId, seen);
    let looked = 0;
    for await (const [, at] of engine.store.timeline(room.number, { from: eventSeq + 1, to: seq })) {
      if (++looked % TURN === 0) await nextTurn();
      const event = engine.reader.events.at(at);
      if (event === undefined) continue;
      const isOurs = event.receivedFrom === '' && serverOf(event.pdu.sender) === serverName;
      const outgoing = isOurs ? this.#event(event, seq, missedAt) : undefined;
      if (outgoing !== undefined) late.push(outgoing);
      seen.follow(event);
    }
    return late;
  }

  /** Servers with members in a state of the room that were not told; many events in a row have the same. */
  #missedAt(roomId: RoomId, seen: SeenServers): MissedAt {
    const { engine, roomServers } = this.#parts;
    let last: { readonly key: string; readonly missed: ReadonlySet<ServerName> } | undefined;
    return (root) => {
      const view = engine.reader.view(roomId, root);
      const key = `${view.root} ${seen.changes}`;
      if (last?.key !== key) {
        const servers = [...roomServers.memberServersAt(view)];
        last = { key, missed: new Set(servers.filter((server) => !seen.wasTold(server))) };
      }
      return last.missed;
    };
  }

  #event(
    { roots, pdu: { roomId, eventId } }: KnownEvent,
    seq: number,
    missedAt: MissedAt,
  ): Outgoing | undefined {
    if (roots === undefined || this.#whole.get(roomId)?.has(eventId) === true) return undefined;
    const before = missedAt(roots.before);
    const after = missedAt(roots.room ?? roots.after);
    const to = new Set([...before, ...after]);
    if (to.size === 0) return undefined;
    const leaving = new Set([...to].filter((server) => !after.has(server)));
    return { item: { kind: 'event', seq, eventId, roomId, leaving, isPartial: false }, to };
  }

  async #devices({ roomId, eventSeq }: PartialState, seq: number, seen: SeenServers): Promise<Outgoing[]> {
    const { accounts, roomServers } = this.#parts;
    const to = new Set(roomServers.serversOf(roomId).filter((server) => !seen.wasTold(server)));
    if (to.size === 0) return [];
    await accounts.memberships.caughtUp();
    return [...accounts.memberships.ofRoom(roomId)].flatMap(([userId, { membership }]): Outgoing[] => {
      if (membership !== 'join' || accounts.deviceLists.newestChange(userId) <= eventSeq) return [];
      return [{ item: { kind: 'device', seq, userId, isNewest: true }, to }];
    });
  }
}

/**
 * Who was told of what went out at its own place: the servers of the list, and of others those that were seen to
 * join, until they were seen to leave. Where it is in doubt what was seen they were not.
 */
class SeenServers {
  readonly #listed: ReadonlySet<ServerName>;
  readonly #doubtful: ReadonlySet<ServerName> | undefined;
  readonly #joined = new Set<ServerName>();
  /** So often it may have changed. */
  changes = 0;

  /** @param doubtful undefined: all of them */
  constructor(listed: ReadonlySet<ServerName>, doubtful: ReadonlySet<ServerName> | undefined) {
    this.#listed = listed;
    this.#doubtful = doubtful;
  }

  wasTold(server: ServerName): boolean {
    return this.#listed.has(server) || this.#joined.has(server);
  }

  /** The next event of the timeline. */
  follow({ pdu, revisions }: KnownEvent): void {
    const userId = pdu.type === MEMBER_TYPE ? parseUserId(pdu.stateKey ?? '') : undefined;
    if (userId === undefined || revisions.length > 0) return;
    const server = serverOf(userId);
    const membership = own(pdu.content, 'membership');
    this.changes++;
    if (membership === 'leave' || membership === 'ban') this.#joined.delete(server);
    else if (membership === 'join' && this.#doubtful?.has(server) === false) this.#joined.add(server);
  }
}

function numberAt(content: JsonObject, key: string): number {
  const value = own(content, key);
  const number = value instanceof JsonNumber ? value.value : value;
  return typeof number === 'number' ? number : 0;
}
