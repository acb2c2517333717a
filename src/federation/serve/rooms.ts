// The rooms that other servers may name, and who of them may ask.
//
// Default deny: a server that is not in a room and never was gets 403, whether the room is there or not.
//
// Of a room that was joined without its members, few of these are known: a server counts as in it, too, where the
// list that came with the join names it. Whom neither names cannot be judged, and is told so.
//
// Source: server-server API, "Server Access Control Lists (ACLs)"; MSC3895.

import type { Engine } from '../../engine/engine.js';
import { type EventId, parseHashRoomId, parseRoomId, type ServerName } from '../../event/ids.js';
import { INTERNAL_VERSION } from '../../event/rules.js';
import type { StateView } from '../../reader/state-view.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import type { RoomRow } from '../../store/records.js';
import { FederationError, forbidden, notFound } from '../errors.js';
import type { Federation } from '../federation.js';
import { ServerSight } from './server-sight.js';
import { servingOf } from './serving.js';

const NOT_IN_ROOM = 'Your server is not in this room, or there is no such room.';

/** Told by servers that know only part of a room's state, as Synapse does. */
const PARTIAL = 'ORG.MATRIX.MSC3895_UNABLE_DUE_TO_PARTIAL_STATE';

/** A room, and what the server that asks may see of it. */
export interface ServedRoom {
  readonly row: RoomRow;
  /** The current state. */
  readonly view: StateView;
  readonly sight: ServerSight;
}

/** A room of the store that others may name; internal rooms and malformed ids are none. */
export function namedRoom(engine: Engine, roomId: string): RoomRow | undefined {
  const parsed = parseRoomId(roomId) ?? parseHashRoomId(roomId);
  const row = parsed === undefined ? undefined : engine.store.room(parsed);
  return row === undefined || row.version === INTERNAL_VERSION ? undefined : row;
}

/** A room's members by server, made before anybody asks in one turn. */
async function prepared(engine: Engine, roomId: string): Promise<void> {
  const row = namedRoom(engine, roomId);
  if (row !== undefined) await servingOf(engine).members.prepare(engine.currentState(row.roomId));
}

/** The eyes of a server on a room. */
function sightOf(federation: Federation, row: RoomRow, view: StateView, server: ServerName): ServerSight {
  const { engine } = federation.parts;
  const members = servingOf(engine).members.of(view);
  return new ServerSight(engine.reader, view, server, {
    isInRoom: members.has(server),
    wasAtPartialJoin: engine.partial.serversIn(row.roomId)?.includes(server) === true,
    users: members.users(server),
  });
}

/**
 * A room that is asked about by a server that its access list allows.
 * @throws FederationError 403 where there is no such room, or the server is denied
 */
export async function roomAskedBy(
  federation: Federation,
  roomId: string,
  origin: ServerName,
): Promise<ServedRoom> {
  const { engine } = federation.parts;
  await prepared(engine, roomId);
  const row = namedRoom(engine, roomId);
  if (row === undefined) throw forbidden(NOT_IN_ROOM);
  assertAllowed(engine, row, origin);
  const view = engine.currentState(row.roomId);
  return { row, view, sight: sightOf(federation, row, view, origin) };
}

/**
 * A room for which this server may speak to servers that are not in it: somebody of ours is, and all of its
 * state is known.
 * @throws FederationError 404 where that is not so, 403 where the access list denies the server
 */
export async function residentRoom(
  federation: Federation,
  roomId: string,
  origin: ServerName,
): Promise<ServedRoom> {
  const { engine, serverName } = federation.parts;
  await prepared(engine, roomId);
  const row = namedRoom(engine, roomId);
  if (row === undefined) throw notFound('The room is not known here.');
  assertAllowed(engine, row, origin);
  const view = engine.currentState(row.roomId);
  if (row.isPartial || !servingOf(engine).members.of(view).has(serverName)) {
    throw notFound('This server is not in the room, or does not know all of it yet.');
  }
  return { row, view, sight: sightOf(federation, row, view, origin) };
}

/**
 * An event of the room at which the server may ask.
 * @throws FederationError 404 for an event that is not known, 403
 */
export function eventAsked({ parts: { engine } }: Federation, room: ServedRoom, eventId: string): KnownEvent {
  const event = engine.reader.events.get(eventId as EventId);
  if (event === undefined || event.pdu.roomId !== room.row.roomId) {
    // Who is not in the room does not learn which events there are.
    assertInRoom(room);
    throw notFound('The event is not known here.');
  }
  if (!room.sight.mayAskAt(event)) throw outside(room);
  return event;
}

/** @throws FederationError 403 for a server that is not in the room */
export function assertInRoom(room: ServedRoom): void {
  if (!room.sight.isInRoom) throw outside(room);
}

/** Why a server is told nothing that is not known to be in the room. */
function outside({ row }: ServedRoom): FederationError {
  if (!row.isPartial) return forbidden(NOT_IN_ROOM);
  return new FederationError(
    403,
    PARTIAL,
    'Not all members are known yet: your server may be in the room or not.',
  );
}

/** @throws FederationError 403 where the state at the event is not all known */
export function assertWhole(event: KnownEvent): void {
  if (event.isPartial) throw new FederationError(403, PARTIAL, 'The state there is not all known yet.');
}

function assertAllowed(engine: Engine, { roomId }: RoomRow, server: ServerName): void {
  if (!servingOf(engine).acls.allows(server, roomId)) {
    throw forbidden("The room's access list denies your server.");
  }
}
