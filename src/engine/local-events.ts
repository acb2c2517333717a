// Building an event of this server on a room as it is: predecessors, auth events, depth.
//
// Source: server-server API, "PDUs", "Auth events selection".

import { randomBytes } from 'node:crypto';
import type { Core } from '../core/core.js';
import { type BuiltEvent, buildSigningEvent, type EventTemplate, unsignedEvent } from '../event/build.js';
import { referenceHash } from '../event/hash.js';
import { type EventId, type RoomId, type ServerName, serverOf, type UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { parsePdu } from '../event/parse.js';
import type { Pdu } from '../event/pdu.js';
import type { RoomVersionRules } from '../event/rules.js';
import type { SigningKey } from '../event/signing.js';
import { RoomUnknownError } from '../reader/errors.js';
import { authEventKeys } from '../room/auth/selection.js';
import { checkByState } from '../room/checks.js';
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

/** The event, which is being signed. @throws READER_ROOM_UNKNOWN, and what `buildEvent` throws for a malformed template */
export function buildLocalEvent(
  core: Core,
  roomId: RoomId | undefined,
  template: LocalTemplate,
  context: LocalContext,
): BuiltEvent {
  const room = roomId === undefined ? undefined : core.rooms.find(roomId);
  const rules = room?.rules ?? context.rules;
  if (rules === undefined) throw unknownRoom(roomId);
  const { serverName: server, key } = context;
  return buildSigningEvent(eventTemplate(core, room, rules, template, { server, now: context.now }), {
    rules,
    server,
    key,
    referenceHash: referenceHashes(core, rules),
  });
}

/** An event that somebody is to hash and sign, and whether it is allowed now. */
export interface DraftEvent {
  /** Without hashes and signatures. */
  readonly event: JsonObject;
  readonly rules: RoomVersionRules;
  readonly allowed:
    | { readonly ok: true }
    | { readonly ok: false; readonly rule: string; readonly reason: string };
}

/** An event of whatever server's user on the room as it is. @throws as `buildLocalEvent` */
export function draftEvent(core: Core, roomId: RoomId, template: LocalTemplate, now: number): DraftEvent {
  const room = core.rooms.find(roomId);
  if (room === undefined || room.forwardExtremities.size === 0) throw unknownRoom(roomId);
  const { rules } = room;
  const server = serverOf(template.sender as UserId);
  const event = unsignedEvent(eventTemplate(core, room, rules, template, { server, now }), {
    rules,
    referenceHash: referenceHashes(core, rules),
  });
  const pdu = parsePdu(event, rules, { trustedId: DRAFT_ID });
  const { verdict } = checkByState(
    'auth_by_current_state',
    pdu,
    room.states,
    room.current().root,
    core.known,
  );
  const { rule, reason } = verdict;
  return { event, rules, allowed: verdict.allowed ? { ok: true } : { ok: false, rule, reason } };
}

/** Stands for the id that the event will have. */
const DRAFT_ID = '$draft' as EventId;

function unknownRoom(roomId: RoomId | undefined): Error {
  return new RoomUnknownError(`no room ${roomId ?? ''} is known`, { room_id: roomId });
}

function eventTemplate(
  core: Core,
  room: Room | undefined,
  rules: RoomVersionRules,
  template: LocalTemplate,
  { server, now }: { readonly server: ServerName; readonly now: number },
): EventTemplate {
  const prevs = room === undefined ? [] : predecessors(core, room);
  const { stateKey } = template;
  return {
    type: template.type,
    sender: template.sender as UserId,
    content: template.content,
    ...(stateKey === undefined ? {} : { stateKey }),
    ...(template.redacts === undefined ? {} : { redacts: template.redacts as EventId }),
    ...roomIdFor(room, rules, server),
    ...(rules.eventIdFormat === 'field' ? { eventId: `$${randomName()}:${server}` as EventId } : {}),
    prevEvents: prevs.map(({ eventId }) => eventId),
    authEvents: room === undefined ? [] : authEventsOf(room, { ...template, rules, stateKey }),
    depth: Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, ...prevs.map(({ depth }) => depth)) + 1),
    originServerTs: now,
  };
}

function referenceHashes(core: Core, rules: RoomVersionRules): (id: EventId) => Uint8Array | undefined {
  return (id) => {
    const event = core.known.pdu(id);
    return event === undefined ? undefined : referenceHash(event.json, rules);
  };
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
