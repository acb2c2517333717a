// Those whom a room with neither name nor alias is named after: a server that gets no other members can name the
// room all the same.
//
// They are the first five other members, joined or invited, in the order in which their membership events came;
// where there is none, those who left or were banned. Of a large room the beginning of the timeline is looked
// at, where they usually are.
//
// Source: server-server API, PUT /v2/send_join, `omit_members`; client-server API, GET /sync, `RoomSummary`.

import type { Engine } from '../../../engine/engine.js';
import type { EventId } from '../../../event/ids.js';
import { stateTextAt } from '../../../reader/room-facts.js';
import type { StateView } from '../../../reader/state-view.js';
import { MEMBER_TYPE } from '../../../room/state/key.js';

const HEROES = 5;
/** Up to so many members, all are looked at. */
const FEW_MEMBERS = 500;
/** Events at the beginning of a larger room that are looked at. */
const BEGINNING_MAX = 300;

/** The membership events of a room's heroes, without that of the user who joins; none of a room that has a name. */
export async function heroEvents(engine: Engine, view: StateView, joining: string): Promise<EventId[]> {
  const { reader } = engine;
  const isNamed =
    stateTextAt(reader, view, 'm.room.name', 'name') !== undefined ||
    stateTextAt(reader, view, 'm.room.canonical_alias', 'alias') !== undefined;
  if (isNamed) return [];
  if (view.count(MEMBER_TYPE) <= FEW_MEMBERS) return firstMembers(engine, view, joining);
  const early = await earlyMembers(engine, view, joining);
  if (early.length === HEROES) return early;
  // A room whose beginning was not seen here, or whose first members are gone: any will do.
  return [...new Set([...early, ...firstMembers(engine, view, joining)])].slice(0, HEROES);
}

/** Of all members, or of so many as are looked at. */
function firstMembers({ store }: Engine, view: StateView, joining: string): EventId[] {
  const present: [seq: number, eventId: EventId][] = [];
  const gone: [seq: number, eventId: EventId][] = [];
  let lookedAt = 0;
  for (const { userId, membership, eventId } of view.members()) {
    if (++lookedAt > FEW_MEMBERS) break;
    const seq = store.seqOf(eventId);
    if (userId === joining || seq === undefined) continue;
    if (membership === 'join' || membership === 'invite') present.push([seq, eventId]);
    else if (membership === 'leave' || membership === 'ban') gone.push([seq, eventId]);
  }
  const first = (present.length > 0 ? present : gone).sort(([a], [b]) => a - b).slice(0, HEROES);
  return first.map(([, eventId]) => eventId);
}

/** Members whose events are at the room's beginning; none where that was not seen here. */
async function earlyMembers({ store, reader }: Engine, view: StateView, joining: string): Promise<EventId[]> {
  const room = store.room(view.roomId);
  const found: EventId[] = [];
  if (room === undefined) return found;
  let lookedAt = 0;
  for await (const [, seq] of store.timeline(room.number)) {
    const pdu = reader.events.at(seq)?.pdu;
    if (lookedAt++ === 0 && pdu?.type !== 'm.room.create') break;
    if (lookedAt > BEGINNING_MAX || found.length === HEROES) break;
    const { stateKey = '', eventId } = pdu ?? {};
    if (pdu?.type !== MEMBER_TYPE || eventId === undefined || stateKey === joining) continue;
    if (view.get(MEMBER_TYPE, stateKey) !== eventId) continue;
    const membership = view.membership(stateKey);
    if (membership === 'join' || membership === 'invite') found.push(eventId);
  }
  return found;
}
