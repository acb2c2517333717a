// What a client is told with an event of those that relate to it: its thread, its newest edit, who refers to it.
//
// Clients show threads and edits from this alone when the events themselves lie elsewhere in the timeline.
//
// Source: client-server API, "Aggregations of child events", "Server-side aggregation of m.thread relationships"
// and the same of `m.replace` and `m.reference`.

import type { EventId, UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { ChildEvents, type ChildEvent, relationOf } from './child-events.js';
import type { Homeserver } from './homeserver.js';
import type { RoomViewer } from './visibility.js';

/** Children that are looked at for one answer; events after that go without. */
const LOOKED_AT_MAX = 10_000;

/** `all`, or what the newest event of a thread is given with: no thread of its own. */
export type Bundles = 'all' | 'withoutThreads';

export interface Bundling {
  readonly userId: UserId;
  readonly viewer: RoomViewer;
  readonly bundles: Bundles;
  readonly isRedacted: (event: KnownEvent) => boolean;
  /** Makes a child what the client gets of it. */
  readonly serve: (child: KnownEvent, bundles: Bundles | undefined) => Promise<JsonObject>;
}

/** `m.relations` of those events that have any. State events have none. */
export async function bundledRelations(
  home: Homeserver,
  events: readonly KnownEvent[],
  bundling: Bundling,
): Promise<ReadonlyMap<EventId, JsonObject>> {
  const children = new ChildEvents(home, bundling.viewer, bundling.userId, LOOKED_AT_MAX);
  const found = new Map<EventId, JsonObject>();
  for (const event of await parents(home, events)) {
    const related = await children.of(event.pdu.eventId);
    const relations = related.length === 0 ? {} : await relationsOf(event, related, bundling);
    if (Object.keys(relations).length > 0) found.set(event.pdu.eventId, relations);
  }
  return found;
}

/** Those that may have any relations: nearly none, and for the others nothing is read a second time. */
async function parents({ engine }: Homeserver, events: readonly KnownEvent[]): Promise<KnownEvent[]> {
  const messages = events.filter(({ pdu }) => pdu.stateKey === undefined);
  const areChildless = await Promise.all(messages.map(({ pdu }) => engine.store.childless.has(pdu.eventId)));
  return messages.filter((_, i) => areChildless[i] === false);
}

async function relationsOf(
  parent: KnownEvent,
  related: readonly ChildEvent[],
  bundling: Bundling,
): Promise<JsonObject> {
  const edit = bundling.isRedacted(parent) ? undefined : newestEdit(parent, related);
  const references = related.filter(({ relType }) => relType === 'm.reference');
  const thread = bundling.bundles === 'all' ? await threadOf(parent, related, bundling) : undefined;
  return {
    ...(edit === undefined ? {} : { 'm.replace': await bundling.serve(edit, undefined) }),
    ...(thread === undefined ? {} : { 'm.thread': thread }),
    ...(references.length === 0
      ? {}
      : { 'm.reference': { chunk: references.map(({ event }) => ({ event_id: event.pdu.eventId })) } }),
  };
}

async function threadOf(
  { pdu }: KnownEvent,
  related: readonly ChildEvent[],
  { userId, serve }: Bundling,
): Promise<JsonObject | undefined> {
  const replies = related.filter(({ relType }) => relType === 'm.thread');
  const newest = replies.at(-1);
  if (newest === undefined) return undefined;
  return {
    latest_event: await serve(newest.event, 'withoutThreads'),
    count: replies.length,
    current_user_participated:
      pdu.sender === userId || replies.some(({ event }) => event.pdu.sender === userId),
  };
}

/** The newest by the time that its sender says; of two of one time the one with the greater id. */
function newestEdit(parent: KnownEvent, related: readonly ChildEvent[]): KnownEvent | undefined {
  let newest: KnownEvent | undefined;
  for (const { event, relType } of related) {
    if (relType === 'm.replace' && replaces(event, parent) && isNewer(event, newest)) newest = event;
  }
  return newest;
}

/** Source: client-server API, "Validity of replacement events"; that of the original's room is known. */
function replaces({ pdu }: KnownEvent, { pdu: original }: KnownEvent): boolean {
  if (pdu.sender !== original.sender || pdu.type !== original.type || pdu.stateKey !== undefined)
    return false;
  if (relationOf(original)?.relType === 'm.replace') return false;
  return pdu.type === 'm.room.encrypted' || isObject(own(pdu.content, 'm.new_content'));
}

function isNewer({ pdu }: KnownEvent, other: KnownEvent | undefined): boolean {
  if (other === undefined || pdu.originServerTs !== other.pdu.originServerTs) {
    return other === undefined || pdu.originServerTs > other.pdu.originServerTs;
  }
  return pdu.eventId > other.pdu.eventId;
}
