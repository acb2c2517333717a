// The threads of a room, those with the newest replies first.
//
// The timeline is walked back: a thread stands where its newest reply does, so a page needs no list of threads, and
// a place in the timeline is a place in the list.
//
// Source: client-server API, GET /rooms/{roomId}/threads.

import type { EventId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { ChildEvents, relationOf } from './child-events.js';
import { toClientEvents } from './client-event.js';
import type { Homeserver } from './homeserver.js';
import { placeOfToken, placeToken } from './pagination.js';
import { param, queryInteger, queryText, queryWord } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { readableRoom, type RoomAccess, visibleEvent } from './visibility.js';

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 50;
/** Events of the timeline, and replies to threads, that are looked at for one page. */
const LOOKED_AT_MAX = 2_000;
const REPLIES_MAX = 10_000;

/** A thread as far as its place in the list goes. */
interface Thread {
  readonly root: KnownEvent;
  readonly newestOrder: number;
  readonly takesPart: boolean;
}

async function threads(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const access = readableRoom(home, param(request, 'roomId'), request.user.userId);
  const include = queryWord(request, 'include', ['all', 'participated'] as const) ?? 'all';
  const limit = Math.max(1, queryInteger(request, 'limit', { max: LIMIT_MAX }) ?? LIMIT_DEFAULT);
  const token = queryText(request, 'from');
  const from = token === undefined || token === '' ? access.until : placeOfToken(token);
  const reader = new ThreadReader(request, home, access);
  const { roots, next } = await reader.page(from, limit, include === 'participated');
  const ignored = home.accounts.accountData.ignoredUsers(request.user.userId);
  const chunk = await toClientEvents(home, roots, {
    requester: request.user,
    viewer: access.viewer,
    detail: 'timeline',
    bundles: 'all',
    hides: ({ pdu }) => ignored.has(pdu.sender),
  });
  return { chunk, ...(next === undefined ? {} : { next_batch: placeToken(next) }) };
}

class ThreadReader {
  readonly #home: Homeserver;
  readonly #access: RoomAccess;
  readonly #children: ChildEvents;
  readonly #userId: string;
  readonly #known = new Map<string, Thread | undefined>();

  constructor({ user }: AuthenticatedRequest, home: Homeserver, access: RoomAccess) {
    this.#home = home;
    this.#access = access;
    this.#userId = user.userId;
    this.#children = new ChildEvents(home, access.viewer, user.userId, REPLIES_MAX);
  }

  async page(from: number, limit: number, participated: boolean) {
    const { store, reader } = this.#home.engine;
    const roots: KnownEvent[] = [];
    const range = { reverse: true, ...(Number.isFinite(from) ? { to: from + 1 } : {}) };
    let lookedAt = 0;
    let next: number | undefined;
    for await (const [order, seq] of store.timeline(this.#access.room.number, range)) {
      const isFull = roots.length >= limit || ++lookedAt > LOOKED_AT_MAX || this.#children.isUsedUp;
      if (isFull) return { roots, next };
      next = order - 1;
      const event = reader.events.at(seq);
      const relation = event && relationOf(event.pdu);
      if (relation?.relType !== 'm.thread') continue;
      const thread = await this.#thread(relation.eventId as EventId);
      if (thread?.newestOrder !== order || (participated && !thread.takesPart)) continue;
      roots.push(thread.root);
    }
    return { roots, next: undefined };
  }

  async #thread(rootId: EventId): Promise<Thread | undefined> {
    if (!this.#known.has(rootId)) this.#known.set(rootId, await this.#read(rootId));
    return this.#known.get(rootId);
  }

  async #read(rootId: EventId): Promise<Thread | undefined> {
    const root = visibleEvent(this.#home, this.#access, rootId);
    if (root === undefined) return undefined;
    const replies = (await this.#children.of(rootId)).filter(({ relType }) => relType === 'm.thread');
    const newest = replies.at(-1);
    if (newest === undefined) return undefined;
    const takesPart = [root, ...replies.map(({ event }) => event)].some(
      ({ pdu }) => pdu.sender === this.#userId,
    );
    return { root, newestOrder: newest.order, takesPart };
  }
}

export const threadRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/_matrix/client/v1/rooms/:roomId/threads',
    auth: 'user',
    rateLimit: 'other',
    handler: threads,
  },
];
