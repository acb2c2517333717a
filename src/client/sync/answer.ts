// One answer of /sync: everything up to a point that the client was not told yet.
//
// The point is fixed first; then every part looks only at what was committed up to it, or at what it repeats
// rather than misses. A room in which nothing happened since the token costs a few lookups in memory.
//
// Source: client-server API, GET /sync.

import { setImmediate } from 'node:timers/promises';
import { receiptsRoom } from '../../account/receipts.js';
import type { RoomId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import type { StateView } from '../../reader/state-view.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { Membership } from '../../room/state/value.js';
import type { RoomRow } from '../../store/records.js';
import { accountDataEvents, type AccountDataEvents } from './account-data.js';
import type { SyncContext } from './context.js';
import { bearsOnDevices, deviceNews } from './device-news.js';
import { joinedRoom } from './joined-room.js';
import { leftRoom } from './left-room.js';
import { addOutsideRooms } from './outside-rooms.js';
import { correctsMember, type Partiality, partialityOf } from './partiality.js';
import { presenceEvents } from './presence-events.js';
import type { RoomSections } from './sections.js';
import { strippedState } from './stripped-state.js';
import { formatToken } from './token.js';

/** How long rooms are gathered before others have their turn. */
const TURN_MS = 10;

export interface SyncAnswer {
  readonly body: JsonObject;
  /** There was nothing to tell: a client that waits may go on waiting. */
  readonly isEmpty: boolean;
}

/** A room that the user has to do with, as of the point of the answer. */
interface Place {
  readonly room: RoomRow;
  /** The state at the token; undefined for an initial sync. */
  readonly base: StateView | undefined;
  readonly end: StateView;
  readonly isQuiet: boolean;
  readonly partiality: Partiality;
}

/** What rooms are gathered into. */
interface Gathering {
  readonly context: SyncContext;
  readonly sections: RoomSections;
  readonly accountData: AccountDataEvents;
  hasMovedMembers: boolean;
}

export async function makeAnswer(context: SyncContext): Promise<SyncAnswer> {
  const { home, requester, since, to } = context;
  const { sentMembers } = home.notifier;
  if (since === undefined) sentMembers.restart(requester);
  else sentMembers.received(requester, since.seq);
  if (isStill(context)) {
    const { body, isEmpty, toDeviceSeq } = await deviceNews(context, false);
    return { body: { next_batch: formatToken({ ...to, toDeviceSeq }), ...body }, isEmpty };
  }
  const accountData = await accountDataEvents(context);
  const memberships = [...(await home.accounts.memberships.ofUser(requester.userId))];
  const sections: RoomSections = { join: {}, invite: {}, knock: {}, leave: {} };
  const gathering: Gathering = { context, sections, accountData, hasMovedMembers: false };
  let turnEnd = performance.now() + TURN_MS;
  for (const [roomId, { membership }] of memberships) {
    if (performance.now() > turnEnd) {
      await setImmediate();
      turnEnd = performance.now() + TURN_MS;
    }
    if (home.accounts.outside.get(requester.userId, roomId) !== undefined) continue;
    await addRoom(gathering, roomId, membership);
  }
  await addOutsideRooms(context, sections);
  const joined = memberships.filter(([, { membership }]) => membership === 'join').map(([roomId]) => roomId);
  const presence = presenceEvents(context, joined);
  const device = await deviceNews(context, gathering.hasMovedMembers);
  const rooms = Object.entries(sections).filter(([, section]) => Object.keys(section).length > 0);
  return {
    body: {
      next_batch: formatToken({ ...to, toDeviceSeq: device.toDeviceSeq }),
      ...(rooms.length === 0 ? {} : { rooms: Object.fromEntries(rooms) }),
      ...(presence.length === 0 ? {} : { presence: { events: presence } }),
      ...(accountData.global.length === 0 ? {} : { account_data: { events: accountData.global } }),
      ...device.body,
    },
    isEmpty: rooms.length === 0 && presence.length === 0 && accountData.global.length === 0 && device.isEmpty,
  };
}

/** Nothing at all was committed, and nothing in memory changed: no room need be looked at. */
function isStill({ since, to, positionSince, isFullState }: SyncContext): boolean {
  return since?.seq === to.seq && positionSince === to.position && !isFullState;
}

async function addRoom(gathering: Gathering, roomId: RoomId, hint: Membership): Promise<void> {
  const { context, sections, accountData } = gathering;
  const { since, isFullState, filter } = context;
  const isQuiet = since !== undefined && context.home.notifier.moments.newestSeq(roomId) <= since.seq;
  // The index speaks of a quiet room as it was at the token: only what is joined can have more to tell.
  if (isQuiet && !isFullState && (hint !== 'join' || !hasNews(context, roomId, accountData))) return;
  const place = await placeAt(context, roomId, isQuiet);
  if (place === undefined) return;
  if (place.base !== undefined && !isQuiet)
    gathering.hasMovedMembers ||= bearsOnDevices(place.base, place.end);
  // Whose devices one follows is no question of a filter on rooms.
  if (!filter.allowsRoom(roomId)) return;
  const { userId } = context.requester;
  const membership = place.end.membership(userId);
  const isNew =
    place.base?.get(MEMBER_TYPE, userId) !== place.end.get(MEMBER_TYPE, userId) ||
    correctsMember(place.partiality.correction, userId);
  const base = knowsRoom(context, place) ? place.base : undefined;
  switch (membership) {
    case 'join': {
      if (place.partiality.is && !filter.isLazy) return;
      const events = base === undefined ? accountData.allOfRoom(roomId) : accountData.ofRoom(roomId);
      const json = await joinedRoom(context, { ...place, base, accountData: events });
      if (json !== undefined) sections.join[roomId] = json;
      return;
    }
    case 'invite':
    case 'knock': {
      const json = isNew || isFullState ? await waitingRoom(context, place, membership) : undefined;
      if (json !== undefined) sections[membership][roomId] = json;
      return;
    }
    case 'leave':
    case 'ban': {
      const isOlder = since === undefined || (isFullState && !isNew);
      const isShown = isOlder ? filter.includeLeave && !isForgotten(context, roomId) : isNew;
      if (!isShown) return;
      sections.leave[roomId] = await leftRoom(context, {
        ...place,
        base,
        accountData: accountData.ofRoom(roomId),
      });
      return;
    }
    default:
  }
}

/** Was the client told at its token that the user is joined, and of the room as it was? */
function knowsRoom({ requester, filter }: SyncContext, { base, end, partiality }: Place): boolean {
  const { userId } = requester;
  const { isEntered, was, correction } = partiality;
  if (base?.membership(userId) !== 'join' || isEntered || (was && !filter.isLazy)) return false;
  // Who is in the room and was told otherwise was told of it as one that was left.
  const isBack = end.membership(userId) === 'join' && correctsMember(correction, userId);
  return correction !== 'everything' && !isBack;
}

/** May a quiet joined room have something to tell? Lookups in memory. */
function hasNews(context: SyncContext, roomId: RoomId, accountData: AccountDataEvents): boolean {
  if (accountData.ofRoom(roomId).length > 0) return true;
  const { home, since, positionSince } = context;
  if (home.ephemeral.typing(roomId).position > positionSince) return true;
  return home.notifier.moments.newestSeq(receiptsRoom(roomId)) > (since?.seq ?? 0);
}

async function placeAt(context: SyncContext, roomId: RoomId, isQuiet: boolean): Promise<Place | undefined> {
  const { home, since, to } = context;
  const { moments } = home.notifier;
  const room = home.engine.store.room(roomId);
  if (room === undefined) return undefined;
  const end = await moments.stateAt(room, to.seq);
  const base = since === undefined ? undefined : isQuiet ? end : await moments.stateAt(room, since.seq);
  return { room, base, end, isQuiet, partiality: await partialityOf(context, roomId) };
}

/** An invitation or a knock; none from somebody ignored. */
async function waitingRoom(
  { home, requester, ignored }: SyncContext,
  { end }: Place,
  membership: 'invite' | 'knock',
): Promise<JsonObject | undefined> {
  const id = end.get(MEMBER_TYPE, requester.userId);
  const member = id === undefined ? undefined : home.engine.reader.events.get(id);
  if (member === undefined) return undefined;
  if (membership === 'invite' && ignored.has(member.pdu.sender)) return undefined;
  return { [`${membership}_state`]: { events: await strippedState(home, end, member) } };
}

function isForgotten({ home, requester }: SyncContext, roomId: RoomId): boolean {
  return home.accounts.memberships.isForgotten(requester.userId, roomId);
}
