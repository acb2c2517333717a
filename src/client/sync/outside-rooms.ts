// Rooms that this server is not in, in an answer: invitations from elsewhere, knocks elsewhere, and their end.
//
// Source: client-server API, GET /sync, "Invited Room", "Knocked Room", "Left Room".

import { OUTSIDE, type OutsideMembership, outsideOf } from '../../account/outside.js';
import { userRoom } from '../../account/parts.js';
import type { RoomId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import type { SyncContext } from './context.js';
import type { RoomSections } from './sections.js';
import { prunedState, strippedEvent } from './stripped-state.js';

/** Puts the rooms into their sections: all of them, or those whose record is another than at the token. */
export async function addOutsideRooms(context: SyncContext, sections: RoomSections): Promise<void> {
  const { since, isFullState, filter, ignored } = context;
  const isWhole = since === undefined || isFullState;
  for (const [roomId, place, isNew] of isWhole ? all(context) : await changed(context, since.seq)) {
    if (!filter.allowsRoom(roomId)) continue;
    if (place.membership === 'leave') {
      if (isNew || filter.includeLeave) sections.leave[roomId] = left(place);
    } else if (place.membership === 'knock' || !ignored.has(place.event.sender)) {
      const events = [...prunedState(place.state), strippedEvent(place.event)];
      sections[place.membership][roomId] = { [`${place.membership}_state`]: { events } };
    }
  }
}

type Placed = readonly [roomId: RoomId, place: OutsideMembership, isNew: boolean];

function all({ home, requester }: SyncContext): Placed[] {
  return [...home.accounts.outside.ofUser(requester.userId)].map(([roomId, place]) => [roomId, place, false]);
}

async function changed({ home, requester, to }: SyncContext, since: number): Promise<Placed[]> {
  const { engine, notifier } = home;
  const internalId = userRoom(requester.userId);
  const room = notifier.moments.newestSeq(internalId) > since ? engine.store.room(internalId) : undefined;
  if (room === undefined) return [];
  const before = await notifier.moments.stateAt(room, since);
  const now = await notifier.moments.stateAt(room, to.seq);
  const places: Placed[] = [];
  for (const { type, stateKey, after } of before.diff(now)) {
    const record = type === OUTSIDE && after !== undefined ? engine.reader.events.pdu(after) : undefined;
    if (record !== undefined) places.push([stateKey as RoomId, outsideOf(record.content), true]);
  }
  return places;
}

/** Of a room that nobody here was in there is nothing to see but the end of it. */
function left({ event }: OutsideMembership): JsonObject {
  const { type, stateKey = '', sender, content, eventId, originServerTs } = event;
  const served = {
    type,
    state_key: stateKey,
    sender,
    content,
    event_id: eventId,
    origin_server_ts: originServerTs,
  };
  return {
    timeline: { events: [served], limited: false },
    state: { events: [] },
    account_data: { events: [] },
  };
}
