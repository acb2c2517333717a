// The events that relate to an event: its thread, its edits, its reactions, and what relates to those.
//
// Source: client-server API, "Relationships API": GET /rooms/{roomId}/relations/{eventId}, /{relType}, /{eventType}.

import type { EventId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { ChildEvents, type ChildEvent, CHILDREN_MAX } from './child-events.js';
import { toClientEvents } from './client-event.js';
import { notFound } from './errors.js';
import { accessOrNotFound, EVENT_NOT_FOUND } from './event.js';
import type { Homeserver } from './homeserver.js';
import { BEGINNING, placeOfToken, placeToken } from './pagination.js';
import { param, queryInteger, queryText, queryWord } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { visibleEvent } from './visibility.js';

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 100;
/** Levels of relations to relations that are followed; the specification wants 3. */
const DEPTH_MAX = 3;

async function relations(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const access = accessOrNotFound(request, home);
  const parent = visibleEvent(home, access, param(request, 'eventId'));
  if (parent === undefined) throw notFound(EVENT_NOT_FOUND);
  const recurse = queryWord(request, 'recurse', ['true', 'false'] as const);
  const { viewer } = access;
  const children = new ChildEvents(home, viewer, request.user.userId, CHILDREN_MAX);
  const found = await descendants(
    children,
    parent.pdu.eventId,
    wantedBy(request),
    recurse === 'true' ? DEPTH_MAX : 1,
  );
  const { page, next } = pageOf(request, found);
  const events = page.map(({ event }) => event);
  const from = queryText(request, 'from');
  const serving = { requester: request.user, viewer, detail: 'timeline', bundles: 'all' } as const;
  return {
    chunk: await toClientEvents(home, events, serving),
    ...(next === undefined ? {} : { next_batch: next }),
    ...(from === undefined ? {} : { prev_batch: from }),
    ...(recurse === undefined ? {} : { recursion_depth: recurse === 'true' ? DEPTH_MAX : 1 }),
  };
}

/** The relation and the event type that the path asks for. They hold for what leads to an event, too. */
function wantedBy(request: AuthenticatedRequest): (child: ChildEvent) => boolean {
  const { relType: wantedRelation, eventType: wantedType } = request.params;
  return ({ event, relType }) =>
    (wantedRelation === undefined || relType === wantedRelation) &&
    (wantedType === undefined || event.pdu.type === wantedType);
}

async function descendants(
  children: ChildEvents,
  root: EventId,
  wants: (child: ChildEvent) => boolean,
  depth: number,
): Promise<ChildEvent[]> {
  const found = new Map<EventId, ChildEvent>();
  let parents: readonly EventId[] = [root];
  for (let level = 0; level < depth && parents.length > 0; level++) {
    const next: EventId[] = [];
    for (const parent of parents) {
      for (const child of await children.of(parent)) {
        const { eventId } = child.event.pdu;
        if (!wants(child) || found.has(eventId)) continue;
        found.set(eventId, child);
        next.push(eventId);
      }
    }
    parents = next;
  }
  return [...found.values()].sort((a, b) => a.order - b.order);
}

/** Those that the query asks for, in its direction, and where the next page starts. */
function pageOf(
  request: AuthenticatedRequest,
  found: readonly ChildEvent[],
): { readonly page: readonly ChildEvent[]; readonly next: string | undefined } {
  const isBack = (queryWord(request, 'dir', ['b', 'f'] as const) ?? 'b') === 'b';
  const limit = Math.max(1, queryInteger(request, 'limit', { max: LIMIT_MAX }) ?? LIMIT_DEFAULT);
  const start = placeNamed(request, 'from') ?? (isBack ? Number.POSITIVE_INFINITY : BEGINNING);
  const end = placeNamed(request, 'to') ?? (isBack ? BEGINNING : Number.POSITIVE_INFINITY);
  const [low, high] = isBack ? [end, start] : [start, end];
  const asked = found.filter(({ order }) => order > low && order <= high);
  if (isBack) asked.reverse();
  const page = asked.slice(0, limit);
  const last = page.at(-1);
  const hasMore = asked.length > page.length && last !== undefined;
  return { page, next: hasMore ? placeToken(isBack ? last.order - 1 : last.order) : undefined };
}

function placeNamed(request: AuthenticatedRequest, name: string): number | undefined {
  const token = queryText(request, name);
  return token === undefined || token === '' ? undefined : placeOfToken(token);
}

const PATH = '/_matrix/client/v1/rooms/:roomId/relations/:eventId';

export const relationRoutes: readonly Route[] = [PATH, `${PATH}/:relType`, `${PATH}/:relType/:eventType`].map(
  (path) => ({ method: 'GET', path, auth: 'user', rateLimit: 'other', handler: relations }),
);
