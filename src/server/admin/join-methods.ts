// What `stateroom join` and `stateroom room` ask: joins by users of the server, and rooms whose state is not all known.

import type { Homeserver } from '../../client/homeserver.js';
import { joinRoom } from '../../client/join-room.js';
import { namedRoom } from '../../client/remote-rooms.js';
import type { RoomId, ServerName, UserId } from '../../event/ids.js';
import type { ResyncProgress } from '../../federation/resync/resyncs.js';
import { AdminRequestError } from '../errors.js';
import { type Params, textOf } from './params.js';

/** How the completing of a room's state goes on. Times are milliseconds since 1970. */
export interface ResyncReport {
  readonly room_id: RoomId;
  readonly kind: 'join' | 'history';
  readonly state: ResyncProgress['state'];
  /** Who is asked, or was asked last; null before anybody is. */
  readonly server: ServerName | null;
  /** Events of the state and what it rests on, and how many of them are here; 0 until a server says so. */
  readonly needed: number;
  readonly known: number;
  readonly attempts: number;
  readonly last_error: string | null;
  /** Null while somebody is asked. */
  readonly next_try_ts: number | null;
  readonly since_ts: number;
}

/** A join that is done. */
export interface Joined {
  readonly room_id: RoomId;
  readonly user_id: UserId;
  /** Members are still missing, and are fetched. */
  readonly partial: boolean;
}

const VIA_MAX = 50;

/** Joins a user of this server. @throws SERVER_ADMIN_REQUEST; what a client would be told */
export async function joinAs(home: Homeserver, params: Params): Promise<Joined> {
  const user = home.accounts.users.find(textOf(params, 'user_id'));
  if (user === undefined || user.isDeactivated) {
    throw new AdminRequestError(`there is no active user ${textOf(params, 'user_id')}`);
  }
  const via = Array.isArray(params['via']) ? params['via'].filter((name) => typeof name === 'string') : [];
  const room = await namedRoom(home, { query: { via: via.slice(0, VIA_MAX) } }, textOf(params, 'room'));
  const { userId, isAdmin } = user;
  await joinRoom(home, { userId, deviceId: '', tokenHash: '', isAdmin }, room, {});
  const { roomId } = room;
  return { room_id: roomId, user_id: userId, partial: home.engine.partial.isPartial(roomId) };
}

/** How a room's state is completed; null where all of it is known, or nobody completes it. */
export function progressOfRoom({ federation }: Homeserver, params: Params): ResyncReport | null {
  const progress = federation?.resyncs.progressOf(textOf(params, 'room_id') as RoomId);
  return progress === undefined ? null : reportOf(progress);
}

/** Every room whose state is not all known, the oldest first. */
export function listPartial({ federation }: Homeserver): ResyncReport[] {
  return Array.from(federation?.resyncs.all() ?? [], reportOf);
}

/** Asks other servers for a room's state again now. @throws SERVER_ADMIN_REQUEST */
export function resyncRoom({ federation }: Homeserver, params: Params): { readonly room_id: string } {
  const roomId = textOf(params, 'room_id');
  if (federation?.resyncs.retryNow(roomId as RoomId) !== true) {
    throw new AdminRequestError(`nothing is missing of the state of ${roomId}`);
  }
  return { room_id: roomId };
}

function reportOf(progress: ResyncProgress): ResyncReport {
  const { roomId, kind, state, server, needed, known, attempts, lastError, nextTryAt, sinceTs } = progress;
  return {
    room_id: roomId,
    kind,
    state,
    server: server ?? null,
    needed,
    known,
    attempts,
    last_error: lastError ?? null,
    next_try_ts: nextTryAt ?? null,
    since_ts: sinceTs,
  };
}
