// The handshake by which a server gets an event into a room that it is not in: a resident gives a template, we
// complete and sign it, a resident takes it.
//
// Of the template nothing is believed but where in the graph the event stands; all that it says is ours.
//
// Source: server-server API, "Joining Rooms", "Knocking upon a room", "Leaving Rooms".

import { randomBytes } from 'node:crypto';
import type { Engine } from '../../engine/engine.js';
import type { RoomId, ServerName, UserId } from '../../event/ids.js';
import { isArray, isObject, type JsonObject, own } from '../../event/json.js';
import { parsePdu } from '../../event/parse.js';
import type { Pdu } from '../../event/pdu.js';
import { INTERNAL_VERSION, type RoomVersionRules, rulesOf } from '../../event/rules.js';
import { toBase64Url } from '../../lib/base64.js';
import { toError } from '../../lib/errors.js';
import { BadAnswerError } from '../errors.js';
import type { EventTemplate } from '../requests.js';

/** The versions a room may have that is entered, in the words of `ver`. */
export const ROOM_VERSIONS: readonly string[] = [
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  '7',
  '8',
  '9',
  '10',
  '11',
  '12',
];

/** What is wished for. */
export interface MembershipWish {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly membership: 'join' | 'knock' | 'leave';
  /** What the event says beside the membership: names, a reason. */
  readonly content: JsonObject;
}

export interface Completing {
  readonly engine: Engine;
  readonly serverName: ServerName;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** An event that a resident can take. */
export interface CompletedEvent {
  readonly pdu: Pdu;
  readonly rules: RoomVersionRules;
}

/**
 * Completes and signs what a resident gave.
 * @throws FEDERATION_BAD_ANSWER when the template is not one for what was wished
 */
export function completeTemplate(
  { event: template, roomVersion }: EventTemplate,
  wish: MembershipWish,
  { engine, serverName, now }: Completing,
): CompletedEvent {
  // Residents from before room versions say nothing: theirs are version 1.
  const rules = rulesOf(roomVersion ?? '1');
  if (rules === undefined || rules.version === INTERNAL_VERSION) {
    throw new BadAnswerError(`the room has version ${roomVersion ?? '1'}, which is not known here`, {
      room_id: wish.roomId,
    });
  }
  assertMeant(template, wish);
  const content = own(template, 'content');
  const authorising = isObject(content) ? own(content, 'join_authorised_via_users_server') : undefined;
  const event: JsonObject = {
    ...(rules.eventIdFormat === 'field' ? { event_id: `$${randomName()}:${serverName}` } : {}),
    room_id: wish.roomId,
    type: 'm.room.member',
    sender: wish.userId,
    state_key: wish.userId,
    content: {
      ...wish.content,
      membership: wish.membership,
      ...(typeof authorising === 'string' && wish.membership === 'join'
        ? { join_authorised_via_users_server: authorising }
        : {}),
    },
    prev_events: listOf(template, 'prev_events'),
    auth_events: listOf(template, 'auth_events'),
    depth: own(template, 'depth') ?? 0,
    origin: serverName,
    origin_server_ts: now,
  };
  try {
    return { pdu: parsePdu(engine.sign(event, rules.version), rules), rules };
  } catch (error) {
    throw new BadAnswerError(
      `the template makes no event: ${toError(error).message}`,
      { room_id: wish.roomId },
      error,
    );
  }
}

function assertMeant(template: JsonObject, wish: MembershipWish): void {
  const content = own(template, 'content');
  const isMeant =
    own(template, 'type') === 'm.room.member' &&
    own(template, 'room_id') === wish.roomId &&
    own(template, 'sender') === wish.userId &&
    own(template, 'state_key') === wish.userId &&
    isObject(content) &&
    own(content, 'membership') === wish.membership;
  if (isMeant) return;
  throw new BadAnswerError('the template is one for something else', {
    room_id: wish.roomId,
    user_id: wish.userId,
  });
}

function listOf(template: JsonObject, name: string) {
  const list = own(template, name);
  return isArray(list) ? list : [];
}

function randomName(): string {
  return toBase64Url(randomBytes(13));
}
