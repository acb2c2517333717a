// The second half of the handshakes: an event that another server signed for its user, checked in all points
// and taken into the room.
//
// Source: server-server API, PUT /send_join, /send_leave, /send_knock, "Validating hashes and signatures on
// received events".

import { canonicalJson } from '../../../event/canonical.js';
import type { VerdictCode } from '../../../core/outcome.js';
import { parseUserId, serverOf } from '../../../event/ids.js';
import { type JsonObject, own } from '../../../event/json.js';
import type { Pdu } from '../../../event/pdu.js';
import { receiveJson, type ReceivedPdu } from '../../../event/receive.js';
import type { RoomVersionRules } from '../../../event/rules.js';
import { verifySigned } from '../../../event/verify.js';
import { StateroomError } from '../../../lib/errors.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';
import { forbidden, invalidParam } from '../../errors.js';
import type { Federation } from '../../federation.js';
import { relayRecord } from '../../outbound/fan-out.js';
import type { FederationRequest } from '../../route.js';
import { param } from '../request-fields.js';
import type { ServedRoom } from '../rooms.js';

/** Largest body of these requests: an event with what escapes and `unsigned` add to it. */
export const EVENT_BODY_BYTES_MAX = 8 * 65_536;

/**
 * The membership event in a request, which its sender's server signed and which is about its sender.
 * @throws FederationError 400 M_INVALID_PARAM
 */
export async function signedMembership(
  request: FederationRequest,
  federation: Federation,
  { row, view }: ServedRoom,
  membership: 'join' | 'leave' | 'knock',
): Promise<ReceivedPdu> {
  const received = await signedByOrigin(request, federation, request.body, view.rules);
  const { pdu } = received;
  if (pdu.roomId !== row.roomId) throw invalidParam('The event is one of another room.');
  if (pdu.type !== 'm.room.member' || own(pdu.content, 'membership') !== membership) {
    throw invalidParam(`The event is no ${membership}.`);
  }
  if (pdu.stateKey !== pdu.sender) throw invalidParam('The event is not about its sender.');
  return received;
}

/**
 * An event of a user of the server that asks, of the right form, with the id in the path, unchanged and signed
 * by that server.
 * @throws FederationError 400 M_INVALID_PARAM
 */
export async function signedByOrigin(
  request: FederationRequest,
  { keyRing }: Federation,
  json: JsonObject,
  rules: RoomVersionRules,
): Promise<ReceivedPdu> {
  const received = readEvent(withoutUnsigned(json), rules);
  const { pdu } = received;
  if (received.wasRedacted) throw invalidParam("The event's content hash does not match.");
  if (pdu.eventId !== param(request, 'eventId'))
    throw invalidParam('The event has another id than the path.');
  if (parseUserId(pdu.sender) === undefined || serverOf(pdu.sender) !== request.origin) {
    throw invalidParam('The event is sent by no user of the asking server.');
  }
  await keyRing.fetchFor([pdu.json], rules);
  const validAt = rules.enforcesKeyValidity ? pdu.originServerTs : undefined;
  const keys = (server: string, keyId: string) => keyRing.lookup(server, keyId, validAt);
  const { ok } = verifySigned(pdu.json, [request.origin], received.signedBytes, keys);
  if (!ok) throw invalidParam('The event is not signed by the asking server.');
  return received;
}

function readEvent(json: JsonObject, rules: RoomVersionRules): ReceivedPdu {
  try {
    return receiveJson(json, rules);
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    throw invalidParam(`The event is malformed: ${error.message}.`);
  }
}

/** What stands in `unsigned` nobody vouches for, and it would be passed on as ours. */
function withoutUnsigned(json: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([name]) => name !== 'unsigned'));
}

/** Verdicts on an event that is well made, and not allowed. */
const NOT_ALLOWED: ReadonlySet<string> = new Set<VerdictCode>([
  'AUTH_EVENTS_INVALID',
  'AUTH_BY_AUTH_EVENTS',
  'AUTH_BY_STATE_BEFORE',
  'AUTH_BY_CURRENT_STATE',
]);

/**
 * Takes an event into its room; in the same commit it is noted that the room's other servers are to be told.
 * @param event the event as it is taken in: with our signature, where that is needed
 * @returns the event as it is known now; the same again when it is sent twice
 * @throws FederationError 403 where the rules do not allow it, 400 where it cannot be placed
 */
export async function takeIn(
  { parts: { engine } }: Federation,
  { origin }: FederationRequest,
  { eventId, rules, json, content }: Pdu,
  event: JsonObject = json,
): Promise<KnownEvent> {
  // A join is in its own answer. Others may not be in what the server gets that joins at the same time.
  const except = own(content, 'membership') === 'join' ? [origin] : [];
  const alongside = [relayRecord(eventId, except)];
  const verdict = await engine.receive(canonicalJson(event, rules), { from: origin, alongside });
  const outcome = verdict.verdict === 'duplicate' ? verdict.known : verdict.verdict;
  if (outcome === 'rejected' || outcome === 'soft_failed' || NOT_ALLOWED.has(verdict.code)) {
    throw forbidden(`Not allowed: ${verdict.reason}`);
  }
  const known = engine.reader.events.get(eventId);
  if (outcome !== 'accepted' || known?.roots === undefined) {
    throw invalidParam(`The event is not taken: ${verdict.reason}`);
  }
  return known;
}
