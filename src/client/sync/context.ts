// What one answer is made for: who asks, from where, up to where, and what they want of it.

import type { JsonObject } from '../../event/json.js';
import { toClientEvents } from '../client-event.js';
import { type ListedEvent, serveListed } from '../state-listing.js';
import type { Homeserver } from '../homeserver.js';
import type { Requester } from '../route.js';
import type { RoomViewer } from '../visibility.js';
import { keepFields, type SyncFilter } from './filter.js';
import type { Timeline } from './timeline.js';
import type { SyncToken } from './token.js';
import type { NamedRules } from './unread.js';

/** Names under which the state at the timeline's end is given, in place of `state`; empty: it is not. */
export type StateAfterKeys = readonly ('state_after' | 'org.matrix.msc4222.state_after')[];

export interface SyncContext {
  readonly home: Homeserver;
  readonly requester: Requester;
  readonly filter: SyncFilter;
  /** Undefined for an initial sync. */
  readonly since: SyncToken | undefined;
  /** Typing and presence up to this position were told, in this run of the server. */
  readonly positionSince: number;
  readonly to: SyncToken;
  readonly isFullState: boolean;
  readonly stateAfterKeys: StateAfterKeys;
  /** Users whose messages and invitations are not shown. */
  readonly ignored: ReadonlySet<string>;
  /** Made when they are first asked for: most answers count nothing. */
  readonly rules: () => NamedRules;
}

/** Events of a timeline as the filter has them; with their relations where there is a gap before them. */
export async function serveTimeline(
  context: SyncContext,
  viewer: RoomViewer,
  { events, isLimited }: Pick<Timeline, 'events' | 'isLimited'>,
): Promise<JsonObject[]> {
  if (events.length === 0) return [];
  const bundles = isLimited ? ('all' as const) : undefined;
  const serving = { ...servingOf(context, viewer), detail: 'timeline' as const, bundles };
  return asFiltered(context, await toClientEvents(context.home, events, serving));
}

/** Events of a room's state as the filter has them. */
export async function serveState(
  context: SyncContext,
  viewer: RoomViewer,
  events: readonly ListedEvent[],
): Promise<JsonObject[]> {
  if (events.length === 0) return [];
  const { roomId } = viewer.view;
  return asFiltered(context, await serveListed(context.home, roomId, events, servingOf(context, viewer)));
}

function servingOf({ requester, filter }: SyncContext, viewer: RoomViewer) {
  return { requester, viewer, format: filter.format, withoutRoomId: true };
}

function asFiltered({ filter }: SyncContext, served: JsonObject[]): JsonObject[] {
  const { eventFields } = filter;
  return eventFields === undefined ? served : served.map((event) => keepFields(event, eventFields));
}
