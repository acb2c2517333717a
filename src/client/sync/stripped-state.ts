// Stripped state: the little of a room that somebody sees who is invited or has knocked.
//
// Made here from the room's state, never passed on as it came: type, state key, sender and content, nothing else.
//
// Source: client-server API, "Stripped state".

import type { Engine } from '../../engine/engine.js';
import type { UserId } from '../../event/ids.js';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import type { StateView } from '../../reader/state-view.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import type { Homeserver } from '../homeserver.js';
import { shownContent } from '../client-event.js';
import { RoomViewer } from '../visibility.js';

const TYPES = [
  'm.room.create',
  'm.room.join_rules',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.canonical_alias',
  'm.room.encryption',
] as const;
const FOREIGN_EVENTS_MAX = 100;

/**
 * The stripped state for the user whose member event this is: the room's own, that event, and its sender's
 * membership. Of a room that this server is not in: what the member event brought along, pruned.
 */
export async function strippedState(
  home: Homeserver,
  view: StateView,
  member: KnownEvent,
): Promise<JsonObject[]> {
  const { engine } = home;
  const keys: ReadonlyArray<readonly [type: string, stateKey: string]> = [
    ...TYPES.map((type) => [type, ''] as const),
    ...(member.pdu.sender === member.pdu.stateKey ? [] : [[MEMBER_TYPE, member.pdu.sender] as const]),
  ];
  const events = keys.flatMap(([type, stateKey]) => stateEvent(engine, view, type, stateKey) ?? []);
  const viewer = new RoomViewer(engine, view, (member.pdu.stateKey ?? '') as UserId);
  const stripped = await Promise.all([...events, member].map((event) => strip(home, event, viewer)));
  return events.length > 0 ? stripped : [...foreignState(member), ...stripped];
}

function stateEvent(engine: Engine, view: StateView, type: string, stateKey: string): KnownEvent | undefined {
  const id = view.get(type, stateKey);
  return id === undefined ? undefined : engine.reader.events.get(id);
}

async function strip(home: Homeserver, event: KnownEvent, viewer: RoomViewer): Promise<JsonObject> {
  const { type, stateKey = '', sender } = event.pdu;
  return { type, state_key: stateKey, sender, content: await shownContent(home, event, viewer) };
}

function foreignState({ pdu }: KnownEvent): JsonObject[] {
  const unsigned = own(pdu.json, 'unsigned');
  if (!isObject(unsigned)) return [];
  const given = own(unsigned, 'invite_room_state') ?? own(unsigned, 'knock_room_state');
  return isArray(given) ? prunedState(given) : [];
}

/** Stripped state that came from elsewhere: what has the right shape, and nothing beside that. */
export function prunedState(given: readonly JsonValue[]): JsonObject[] {
  return given.slice(0, FOREIGN_EVENTS_MAX).flatMap((event) => {
    if (!isObject(event)) return [];
    const [type, stateKey, sender, content] = ['type', 'state_key', 'sender', 'content'].map((key) =>
      own(event, key),
    );
    const isText = typeof type === 'string' && typeof stateKey === 'string' && typeof sender === 'string';
    return isText && isObject(content) ? [{ type, state_key: stateKey, sender, content }] : [];
  });
}

/** An event in stripped form. */
export function strippedEvent({ type, stateKey = '', sender, content }: Pdu): JsonObject {
  return { type, state_key: stateKey, sender, content };
}
