// Those whom a room with neither name nor alias is named after: a server that gets no other members can name the
// room all the same.
//
// They are the first five other members, joined or invited, in the order in which their membership events came;
// where there is none, those who left or were banned. Of a large room the beginning of the timeline is looked
// at, where they usually are; where they are not, any who are there will do.
//
// Source: server-server API, PUT /v2/send_join, `omit_members`; client-server API, GET /sync, `RoomSummary`.

import type { Engine } from '../../../engine/engine.js';
import type { EventId } from '../../../event/ids.js';
import { stateTextAt } from '../../../reader/room-facts.js';
import type { StateView } from '../../../reader/state-view.js';
import { MEMBER_TYPE } from '../../../room/state/key.js';
import type { Membership } from '../../../room/state/value.js';
import { servingOf } from '../serving.js';

const HEROES = 5;

interface HeroLimits {
  /** Up to so many members, all are looked at; of more, only so many. */
  readonly membersMax: number;
  /** Events at the beginning of a larger room that are looked at. */
  readonly beginningMax: number;
}

const LIMITS: HeroLimits = { membersMax: 500, beginningMax: 300 };

/** The membership events of a room's heroes, without that of the user who joins; none of a room that has a name. */
export async function heroEvents(
  engine: Engine,
  view: StateView,
  joining: string,
  limits = LIMITS,
): Promise<EventId[]> {
  const { reader } = engine;
  const isNamed =
    stateTextAt(reader, view, 'm.room.name', 'name') !== undefined ||
    stateTextAt(reader, view, 'm.room.canonical_alias', 'alias') !== undefined;
  if (isNamed) return [];
  if (view.count(MEMBER_TYPE) > limits.membersMax) return heroesOfMany(engine, view, joining, limits);
  const { present, gone } = firstMembers(engine, view, joining, limits);
  return (present.length > 0 ? present : gone).slice(0, HEROES);
}

async function heroesOfMany(
  engine: Engine,
  view: StateView,
  joining: string,
  limits: HeroLimits,
): Promise<EventId[]> {
  const early = await earlyMembers(engine, view, joining, limits);
  if (early.length === HEROES) return early;
  const { present } = firstMembers(engine, view, joining, limits);
  const others = await membersOfServers(engine, view, joining);
  return [...new Set([...early, ...present, ...others])].slice(0, HEROES);
}

/** Of all members, or of so many as are looked at, those who are there and those who are not, as they came. */
function firstMembers(
  { store }: Engine,
  view: StateView,
  joining: string,
  { membersMax }: HeroLimits,
): { readonly present: readonly EventId[]; readonly gone: readonly EventId[] } {
  const present: Place[] = [];
  const gone: Place[] = [];
  let lookedAt = 0;
  for (const { userId, membership, eventId } of view.members()) {
    if (++lookedAt > membersMax) break;
    const seq = store.seqOf(eventId);
    if (userId === joining || seq === undefined) continue;
    if (isHere(membership)) present.push({ seq, eventId });
    else if (membership === 'leave' || membership === 'ban') gone.push({ seq, eventId });
  }
  return { present: inOrder(present), gone: inOrder(gone) };
}

interface Place {
  readonly seq: number;
  readonly eventId: EventId;
}

function inOrder(places: Place[]): EventId[] {
  return places.sort((a, b) => a.seq - b.seq).map(({ eventId }) => eventId);
}

/** Members who are there and whose events are at the room's beginning; none where that was not seen here. */
async function earlyMembers(
  { store, reader }: Engine,
  view: StateView,
  joining: string,
  { beginningMax }: HeroLimits,
): Promise<EventId[]> {
  const room = store.room(view.roomId);
  const found: EventId[] = [];
  if (room === undefined) return found;
  let lookedAt = 0;
  for await (const [, seq] of store.timeline(room.number)) {
    const pdu = reader.events.at(seq)?.pdu;
    if (lookedAt++ === 0 && pdu?.type !== 'm.room.create') break;
    if (lookedAt > beginningMax || found.length === HEROES) break;
    if (pdu?.type !== MEMBER_TYPE || pdu.stateKey === undefined || pdu.stateKey === joining) continue;
    const isCurrent = view.get(MEMBER_TYPE, pdu.stateKey) === pdu.eventId;
    if (isCurrent && isHere(view.membership(pdu.stateKey))) found.push(pdu.eventId);
  }
  return found;
}

/** Somebody who is joined of each of a few servers: where nearly all others are gone, they are hard to come by. */
async function membersOfServers(engine: Engine, view: StateView, joining: string): Promise<EventId[]> {
  const { members } = servingOf(engine);
  await members.prepare(view);
  const found: EventId[] = [];
  for (const [, user] of members.of(view).joinedUsers()) {
    if (found.length === HEROES) break;
    const eventId = user === joining ? undefined : view.get(MEMBER_TYPE, user);
    if (eventId !== undefined) found.push(eventId);
  }
  return found;
}

function isHere(membership: Membership | undefined): boolean {
  return membership === 'join' || membership === 'invite';
}
