// From a stored event to what a client gets: the keys that clients know, redacted where it was redacted, and
// `unsigned` as this server fills it for this client.
//
// What other servers put into `unsigned` is never passed on.
//
// Source: client-server API, "Room event format", "Redactions"; definitions/client_event.yaml;
// rooms/v11, "Moving the redacts property".

import { redactionsOf } from '../engine/redactions.js';
import { isArray, isObject, type JsonObject, JsonNumber, type JsonValue, own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { redact } from '../event/redact.js';
import type { EventId } from '../event/ids.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import { type Bundles, bundledRelations } from './bundled-relations.js';
import { isErasedFor } from './erasure.js';
import type { Homeserver } from './homeserver.js';
import type { Requester } from './route.js';
import type { RoomViewer } from './visibility.js';

/** For whom events are made, and how. */
export interface Serving {
  readonly requester: Pick<Requester, 'userId' | 'deviceId'>;
  /**
   * `timeline` fills `unsigned` in full; `state`, for listings of state by the thousand, leaves out what costs
   * reads for each event: `membership`, and what it replaced, but for the requester's own membership.
   */
  readonly detail: 'timeline' | 'state';
  /** Events that are shown redacted whatever became of them. */
  readonly hides?: ((event: KnownEvent) => boolean) | undefined;
  /** What of their relations events are given with; nothing when left out. */
  readonly bundles?: Bundles | undefined;
  /** The requester's eyes on the room. */
  readonly viewer: RoomViewer;
  /** `event_format` of a filter; `client` when left out. */
  readonly format?: 'client' | 'federation';
  /** Leave `room_id` out, where the answer says it elsewhere (`/sync`). */
  readonly withoutRoomId?: boolean;
}

/** Events that a client gets, in the order given. Whether they may be seen is the caller's question. */
export async function toClientEvents(
  home: Homeserver,
  events: readonly KnownEvent[],
  serving: Serving,
): Promise<JsonObject[]> {
  const isFull = serving.detail === 'timeline';
  const telling = isFull ? events : events.filter(({ pdu }) => isMembershipOf(serving.viewer, pdu));
  const replaced = replacedBy(home, telling, serving.viewer);
  const redactions = await redactionsOf(home.engine).of([...events, ...replaced.values()]);
  const bundled = await bundledWith(home, events, serving, (event) => redactions.has(event.pdu.eventId));
  return events.map((event) => {
    const redaction = redactions.get(event.pdu.eventId);
    const previous = replaced.get(event.pdu.eventId);
    const unsigned: Record<string, JsonValue> = unsignedOf(home, event, serving);
    if (previous !== undefined) {
      unsigned['replaces_state'] = previous.pdu.eventId;
      if (serving.viewer.canSee(previous)) {
        // In no specification, but all servers give it: clients learn by it whose direct chat they accepted.
        unsigned['prev_sender'] = previous.pdu.sender;
        const isErased = isErasedFor(home, serving.viewer, previous);
        unsigned['prev_content'] = contentOf(previous.pdu, isErased || redactions.has(previous.pdu.eventId));
      }
    }
    if (redaction !== undefined) {
      const inner = unsignedOf(home, redaction, serving);
      unsigned['redacted_because'] = formatted(redaction.pdu, inner, false, serving);
    }
    const relations = bundled.get(event.pdu.eventId);
    if (relations !== undefined) unsigned['m.relations'] = relations;
    const isHidden = serving.hides?.(event) === true || isErasedFor(home, serving.viewer, event);
    const isRedacted = redaction !== undefined || isHidden;
    return formatted(event.pdu, unsigned, isRedacted, serving);
  });
}

async function bundledWith(
  home: Homeserver,
  events: readonly KnownEvent[],
  serving: Serving,
  isRedacted: (event: KnownEvent) => boolean,
): Promise<ReadonlyMap<EventId, JsonObject>> {
  const { bundles, viewer, requester } = serving;
  if (bundles === undefined) return new Map();
  return bundledRelations(home, events, {
    userId: requester.userId,
    viewer,
    bundles,
    isRedacted: (event) => isRedacted(event) || isErasedFor(home, viewer, event),
    serve: (child, inner) =>
      toClientEvent(home, child, {
        ...serving,
        withoutRoomId: false,
        bundles: inner,
        hides: undefined,
      }),
  });
}

/** One event that a client gets. */
export async function toClientEvent(
  home: Homeserver,
  event: KnownEvent,
  serving: Serving,
): Promise<JsonObject> {
  const [served] = await toClientEvents(home, [event], serving);
  if (served === undefined) throw new Error('one event in, one event out');
  return served;
}

/**
 * The content of a state event as it may be shown: redacted where the event was.
 * @param viewer whose eyes it is for; without one it is compared, and nobody sees it
 */
export async function shownContent(
  home: Homeserver,
  event: KnownEvent,
  viewer?: RoomViewer,
): Promise<JsonObject> {
  const redactions = await redactionsOf(home.engine).of([event]);
  const isErased = viewer !== undefined && isErasedFor(home, viewer, event);
  return contentOf(event.pdu, isErased || redactions.has(event.pdu.eventId));
}

/** Is it the viewer's own membership of the room? */
export function isMembershipOf(
  { userId }: Pick<RoomViewer, 'userId'>,
  { type, stateKey }: Pick<Pdu, 'type' | 'stateKey'>,
): boolean {
  return type === MEMBER_TYPE && stateKey === userId;
}

/** The state events that these replaced, by the replacing event's id. */
function replacedBy(
  { engine }: Homeserver,
  events: readonly KnownEvent[],
  { view }: RoomViewer,
): Map<EventId, KnownEvent> {
  const replaced = new Map<EventId, KnownEvent>();
  for (const { pdu, roots } of events) {
    if (pdu.stateKey === undefined || roots === undefined) continue;
    const id = view.at(roots.before).get(pdu.type, pdu.stateKey);
    const previous = id === undefined ? undefined : engine.reader.events.get(id);
    if (previous !== undefined) replaced.set(pdu.eventId, previous);
  }
  return replaced;
}

function unsignedOf(home: Homeserver, event: KnownEvent, serving: Serving): Record<string, JsonValue> {
  const { userId, deviceId } = serving.requester;
  const { pdu, transaction } = event;
  const unsigned: Record<string, JsonValue> = { age: home.now() - pdu.originServerTs };
  if (serving.detail === 'state') return unsigned;
  unsigned['membership'] = serving.viewer.membershipAt(event);
  if (transaction?.deviceId === deviceId && pdu.sender === userId) {
    unsigned['transaction_id'] = transaction.txnId;
  }
  return unsigned;
}

/** The event as clients read it, not redacted, without `room_id`. */
export function bareClientEvent(pdu: Pdu, unsigned: JsonObject): JsonObject {
  return clientFormat(pdu, false, unsigned);
}

/**
 * Written out, not put together from parts: an object that is spread into another gets a hidden class of its own,
 * which takes more memory than the event.
 */
function clientFormat(pdu: Pdu, isRedacted: boolean, unsigned: JsonObject): Record<string, JsonValue> {
  const { type, stateKey, sender, originServerTs, eventId, redacts } = pdu;
  const content = contentOf(pdu, isRedacted);
  const served: Record<string, JsonValue> =
    stateKey === undefined
      ? { type, sender, content, origin_server_ts: originServerTs, event_id: eventId, unsigned }
      : {
          type,
          state_key: stateKey,
          sender,
          content,
          origin_server_ts: originServerTs,
          event_id: eventId,
          unsigned,
        };
  const isRedaction = type === 'm.room.redaction' && redacts !== undefined;
  if (isRedaction && (!isRedacted || pdu.rules.redaction.keepsContentRedacts)) {
    // In both places, so that clients find it where they look.
    served['content'] = { ...content, redacts };
    served['redacts'] = redacts;
  }
  return served;
}

function formatted(pdu: Pdu, unsigned: JsonObject, isRedacted: boolean, serving: Serving): JsonObject {
  if (serving.format === 'federation') {
    const json = isRedacted ? redact(pdu.json, pdu.rules) : pdu.json;
    return { ...(shownJson(pdu, json) as JsonObject), unsigned };
  }
  const served = clientFormat(pdu, isRedacted, unsigned);
  if (serving.withoutRoomId !== true) served['room_id'] = pdu.roomId;
  return served;
}

function contentOf(pdu: Pdu, isRedacted: boolean): JsonObject {
  const content = isRedacted ? own(redact(pdu.json, pdu.rules), 'content') : pdu.content;
  return isObject(content) ? (shownJson(pdu, content) as JsonObject) : {};
}

/** JSON that can be written down again: old rooms hold numbers that are kept as their text. */
function shownJson(pdu: Pdu, value: JsonValue): JsonValue {
  return pdu.rules.strictCanonicalJson ? value : plain(value);
}

function plain(value: JsonValue): JsonValue {
  if (value instanceof JsonNumber) return value.value;
  if (isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
