// Rooms whose state is not all known here: a join brought them without most of their members, who are fetched since.
//
// What needs all members waits for them, as long as the configuration says. A client that is not content with that is
// refused with 503, `retry_after_ms` and `Retry-After`: neither the specification nor MSC3902 names an answer (Synapse
// waits for as long as the client does), 5xx is what clients try again, and the code is the one that MSC3895 gives
// the same cause between servers. Everything else is answered at once from what is known.
//
// Whether somebody may look is asked before any waiting, and once more after it, of the whole state. In a room that
// was left for good nobody fetches what is missing: what is known is all that will be told.
//
// Source: MSC3902, "Client-server API"; MSC3895.

import type { Engine } from '../engine/engine.js';
import { parseUserId, type RoomId, serverOf, type UserId } from '../event/ids.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { citedMember } from './cited-member.js';
import { MatrixError } from './errors.js';
import type { Homeserver } from './homeserver.js';
import type { ClientRequest } from './route.js';
import type { RoomAccess } from './visibility.js';

/** When a client that was refused may try again. */
const RETRY_AFTER_MS = 5_000;
/** Events of a timeline that are looked at for somebody's membership. */
const LOOKED_AT_MAX = 500;

type Asking = Pick<ClientRequest, 'signal'>;

/**
 * What a user may read of a room, once all of its state is known.
 * @param look throws where they may not, which is told at once
 * @throws MatrixError 503 when the waiting takes too long; what `look` throws
 */
export async function inWholeRoom(
  home: Homeserver,
  { signal }: Asking,
  look: () => RoomAccess,
): Promise<RoomAccess> {
  const access = look();
  const { roomId } = access.room;
  if (!isAwaited(home.engine, roomId)) return access;
  const waiting = new AbortController();
  const stop = (): void => waiting.abort();
  const timer = setTimeout(stop, home.options.partialStateWaitMs);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    await home.engine.partial.whenFull(roomId, waiting.signal);
  } catch (error) {
    throw waiting.signal.aborted ? membersMissing() : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
  return look();
}

/**
 * The member event of a user of a room. Of a user of another server, whom the incomplete state lacks, the one that
 * their own events cite; where they said nothing of late it is waited for.
 * @param look see `inWholeRoom`
 */
export async function memberOf(
  home: Homeserver,
  request: Asking,
  look: () => RoomAccess,
  userId: string,
): Promise<{ readonly access: RoomAccess; readonly member: KnownEvent | undefined }> {
  const { engine, options } = home;
  const access = look();
  const known = memberIn(engine, access, userId);
  const isRemote = parseUserId(userId) !== undefined && serverOf(userId as UserId) !== options.serverName;
  if (known !== undefined || !isRemote || !isAwaited(engine, access.room.roomId)) {
    return { access, member: known };
  }
  const cited = await memberInTimeline(engine, access, userId);
  if (cited !== undefined) return { access, member: cited };
  const whole = await inWholeRoom(home, request, look);
  return { access: whole, member: memberIn(engine, whole, userId) };
}

/** Is the state of the room known in part, and the rest on its way? */
function isAwaited({ store, partial }: Engine, roomId: RoomId): boolean {
  if (store.room(roomId)?.isPartial !== true) return false;
  for (const state of partial.incomplete()) if (state.roomId === roomId) return true;
  return false;
}

function memberIn({ reader }: Engine, { view }: RoomAccess, userId: string): KnownEvent | undefined {
  const id = view.get(MEMBER_TYPE, userId);
  return id === undefined ? undefined : reader.events.get(id);
}

/** As the newest event of theirs says that the asker may see. */
async function memberInTimeline(
  engine: Engine,
  { room, viewer, until }: RoomAccess,
  userId: string,
): Promise<KnownEvent | undefined> {
  let lookedAt = 0;
  const range = { reverse: true, ...(Number.isFinite(until) ? { to: until + 1 } : {}) };
  for await (const [order, seq] of engine.store.timeline(room.number, range)) {
    if (lookedAt++ >= LOOKED_AT_MAX) return undefined;
    const event = engine.reader.events.at(seq);
    if (event?.pdu.sender !== userId || !viewer.canSee(event, order)) continue;
    return citedMember(engine, event);
  }
  return undefined;
}

function membersMissing(): MatrixError {
  return new MatrixError(
    503,
    'ORG.MATRIX.MSC3895_UNABLE_DUE_TO_PARTIAL_STATE',
    'Not all members of this room are known here yet; try again in a while.',
    { retry_after_ms: RETRY_AFTER_MS },
  );
}
