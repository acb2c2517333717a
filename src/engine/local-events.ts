// Building an event of this server on a room as it is: predecessors, auth events, depth.
//
// Source: server-server API, "PDUs", "Auth events selection".

import { randomBytes } from 'node:crypto';
import type { Core } from '../core/core.js';
import { buildEvent } from '../event/build.js';
import { referenceHash } from '../event/hash.js';
import type { EventId, RoomId, ServerName, UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import type { RoomVersionRules } from '../event/rules.js';
import type { SigningKey } from '../event/signing.js';
import { RoomUnknownError } from '../reader/errors.js';
import { authEventKeys } from '../room/auth/selection.js';
import type { Room } from '../room/graph/room.js';

/** What a user sends. */
export interface LocalTemplate {
  readonly type: string;
  readonly sender: string;
  /** Present, perhaps empty, for a state event. */
  readonly stateKey?: string;
  readonly content: JsonObject;
  /** The event that a redaction names. */
  readonly redacts?: string;
}

export interface LocalContext {
  readonly serverName: ServerName;
  readonly key: SigningKey;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The version of a room that is about to begin. */
  readonly rules?: RoomVersionRules;
}

/** At most this many forward extremities become predecessors: those of the greatest depth. */
const PREV_EVENTS_MAX = 20;

/** The signed event. @throws READER_ROOM_UNKNOWN, and what `buildEvent` throws for a malformed template */
export function buildLocalEvent(
  core: Core,
  roomId: RoomId | undefined,
  template: LocalTemplate,
  context: LocalContext,
): Pdu {
  const room = roomId === undefined ? undefined : core.rooms.find(roomId);
  const rules = room?.rules ?? context.rules;
  if (rules === undefined)
    throw new RoomUnknownError(`no room ${roomId ?? ''} is known`, { room_id: roomId });
  const prevs = room === undefined ? [] : predecessors(core, room);
  const { stateKey } = template;
  return buildEvent(
    {
      type: template.type,
      sender: template.sender as UserId,
      content: template.content,
      ...(stateKey === undefined ? {} : { stateKey }),
      ...(template.redacts === undefined ? {} : { redacts: template.redacts as EventId }),
      ...roomIdFor(room, rules, context.serverName),
      ...(rules.eventIdFormat === 'field'
        ? { eventId: `$${randomName()}:${context.serverName}` as EventId }
        : {}),
      prevEvents: prevs.map(({ eventId }) => eventId),
      authEvents: room === undefined ? [] : authEventsOf(room, { ...template, rules, stateKey }),
      depth: Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, ...prevs.map(({ depth }) => depth)) + 1),
      originServerTs: context.now,
    },
    {
      rules,
      server: context.serverName,
      key: context.key,
      referenceHash: (id) => {
        const event = core.known.pdu(id);
        return event === undefined ? undefined : referenceHash(event.json, rules);
      },
    },
  );
}

function predecessors(core: Core, room: Room): Pdu[] {
  return [...room.forwardExtremities]
    .flatMap((id) => core.known.pdu(id) ?? [])
    .sort((a, b) => b.depth - a.depth)
    .slice(0, PREV_EVENTS_MAX);
}

function authEventsOf(room: Room, template: Parameters<typeof authEventKeys>[0]): EventId[] {
  const { root } = room.current();
  return authEventKeys(template).flatMap(([type, stateKey]) => room.states.get(root, type, stateKey) ?? []);
}

function roomIdFor(
  room: Room | undefined,
  rules: RoomVersionRules,
  server: ServerName,
): { readonly roomId?: RoomId } {
  if (room !== undefined) return { roomId: room.roomId };
  return rules.roomIdIsCreateHash ? {} : { roomId: `!${randomName()}:${server}` as RoomId };
}

function randomName(): string {
  return randomBytes(13).toString('base64url').replaceAll(/[-_]/g, 'x');
}
