// Looks at the events of a transaction before they are queued: which room, which id, and may they come in.
//
// What is said here is told to the sender; what is found out later (signatures, gaps, authorisation) is not, for
// it would have to wait for that. Nothing is computed twice on purpose but the event's id.

import type { Accounts } from '../../account/accounts.js';
import type { Engine } from '../../engine/engine.js';
import { canonicalJson } from '../../event/canonical.js';
import { eventIdOf } from '../../event/hash.js';
import {
  type EventId,
  fitsBytes,
  MAX_ID_BYTES,
  type RoomId,
  serverOf,
  type ServerName,
  type UserId,
} from '../../event/ids.js';
import { isObject, type JsonObject, type JsonValue, own } from '../../event/json.js';
import { parsePdu } from '../../event/parse.js';
import type { Pdu } from '../../event/pdu.js';
import { type RoomVersion, type RoomVersionRules, storedRulesOf } from '../../event/rules.js';
import { StateroomError } from '../../lib/errors.js';
import { utf8 } from '../../lib/bytes.js';
import type { ServerAcls } from './server-acl.js';

/** An event on its way in, as it lies in the queue. */
export interface InputRow {
  readonly origin: ServerName;
  readonly roomId: RoomId;
  /** Undefined while a join of the room is under way, whose version is not known here yet. */
  readonly roomVersion: RoomVersion | undefined;
  readonly eventId: EventId | undefined;
  /** Nobody here is in the room: it is taken only for what it says of an invitation or a knock of ours. */
  readonly isOutside: boolean;
  /** Without `unsigned`, which no signature covers. */
  readonly bytes: Uint8Array;
  /** How often it was begun with since a start that found it in the queue, and not ended. */
  readonly attempts?: number;
}

/** What is said of one event of a transaction. */
export interface Intake {
  /** Undefined where it has none that could be told. */
  readonly eventId: EventId | undefined;
  /** Why it is not taken, told to the sender. */
  readonly error?: string;
  /** To be queued; without it the event is known already, or none of our concern. */
  readonly row?: InputRow;
}

export interface IntakeContext {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly serverName: ServerName;
  readonly acls: ServerAcls;
  /** Is a join of the room under way? */
  readonly isJoining: (roomId: RoomId) => boolean;
  /**
   * Is the same row queued already? Not only the same event: a copy with a bad signature must not keep the true
   * one out.
   */
  readonly isQueued: (row: InputRow) => boolean;
}

const ERROR_LENGTH_MAX = 200;

/** Looks at one event. Never throws for what it holds. */
export function intake(json: JsonValue, origin: ServerName, context: IntakeContext): Intake {
  if (!isObject(json)) return { eventId: undefined, error: 'An event is an object.' };
  const room = own(json, 'room_id');
  if (typeof room !== 'string' || !fitsBytes(room, MAX_ID_BYTES)) {
    return { eventId: undefined, error: 'The event names no room.' };
  }
  const roomId = room as RoomId;
  const known = context.engine.store.room(roomId);
  const rules = known === undefined ? rulesOfInvitation(roomId, context) : storedRulesOf(known.version);
  if (rules === undefined || rules.isInternal) {
    if (context.isJoining(roomId)) return { eventId: undefined, row: rowOf(json, origin, roomId, undefined) };
    return { eventId: undefined, error: 'The room is not known to this server.' };
  }
  return intakeOf(json, { origin, rules }, context);
}

function intakeOf(
  json: JsonObject,
  { origin, rules }: { readonly origin: ServerName; readonly rules: RoomVersionRules },
  context: IntakeContext,
): Intake {
  let pdu: Pdu;
  try {
    pdu = parsePdu(json, rules);
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    return { eventId: nameOf(json, rules), error: shortened(`${error.code}: ${error.message}`) };
  }
  const { eventId, roomId } = pdu;
  if (!context.acls.allows(origin, roomId)) {
    return { eventId, error: 'The server is denied access to this room.' };
  }
  const isJoining = context.isJoining(roomId);
  const isOutside = !isJoining && !context.accounts.memberships.isServerIn(roomId);
  if (isOutside && !endsWhatIsOurs(pdu, context.serverName)) {
    return { eventId, error: 'This server is not in the room.' };
  }
  if (isPlaced(context.engine, eventId)) return { eventId };
  const row = { ...rowOf(json, origin, roomId, pdu), isOutside };
  return context.isQueued(row) ? { eventId } : { eventId, row };
}

function rowOf(json: JsonObject, origin: ServerName, roomId: RoomId, pdu: Pdu | undefined): InputRow {
  const signed = Object.fromEntries(Object.entries(json).filter(([name]) => name !== 'unsigned'));
  return {
    origin,
    roomId,
    roomVersion: pdu?.rules.version,
    eventId: pdu?.eventId,
    isOutside: false,
    bytes: utf8(canonicalJson(signed, { strictCanonicalJson: false })),
  };
}

/** A room that is known only by an invitation or a knock of one of our users. */
function rulesOfInvitation(roomId: RoomId, { accounts }: IntakeContext): RoomVersionRules | undefined {
  for (const userId of accounts.outside.usersOf(roomId)) {
    const place = accounts.outside.get(userId, roomId);
    if (place !== undefined) return place.event.rules;
  }
  return undefined;
}

/** Does it take back an invitation, or refuse a knock, of a user of ours? */
function endsWhatIsOurs({ type, stateKey, content }: Pdu, serverName: ServerName): boolean {
  if (type !== 'm.room.member' || stateKey === undefined) return false;
  const membership = own(content, 'membership');
  return (membership === 'leave' || membership === 'ban') && serverOf(stateKey as UserId) === serverName;
}

function isPlaced({ reader }: Engine, eventId: EventId): boolean {
  const known = reader.events.get(eventId);
  return known !== undefined && !known.isOutlier;
}

/** The id of an event that is malformed in other ways. */
function nameOf(json: JsonObject, rules: RoomVersionRules): EventId | undefined {
  try {
    return eventIdOf(json, rules);
  } catch (error) {
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}

function shortened(text: string): string {
  return text.length > ERROR_LENGTH_MAX ? `${text.slice(0, ERROR_LENGTH_MAX)}...` : text;
}
