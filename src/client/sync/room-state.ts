// The state of a room in an answer: which events, under which name, as the filter has them.

import type { EventId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import type { StateView } from '../../reader/state-view.js';
import { placeToken } from '../pagination.js';
import type { RoomViewer } from '../visibility.js';
import { serve, type SyncContext } from './context.js';
import { addLazyMembers, noteSentMembers } from './lazy-members.js';
import { StateDelta } from './state-delta.js';
import type { Timeline } from './timeline.js';

export interface RoomStateRequest {
  readonly viewer: RoomViewer;
  readonly timeline: Timeline;
  /** The state that the client has; undefined: none, or it asked for all. */
  readonly base: StateView | undefined;
  readonly end: StateView;
  readonly heroes: readonly string[];
}

/** `state`, or in its place `state_after`, each under every name that the client asked for. */
export async function roomState(
  context: SyncContext,
  request: RoomStateRequest,
): Promise<{ readonly json: JsonObject; readonly isEmpty: boolean }> {
  const { filter, home, stateAfterKeys } = context;
  const { viewer, timeline, base, end, heroes } = request;
  const delta = new StateDelta({
    base,
    start: timeline.start ?? end,
    end,
    timeline: timeline.events,
    isStateAfter: stateAfterKeys.length > 0,
    isLazy: filter.isLazy,
  });
  const ids = filter.state.allowsRoom(end.roomId) ? delta.ids() : new Set<EventId>();
  if (filter.isLazy && filter.state.allowsRoom(end.roomId)) {
    addLazyMembers(context, ids, { delta, timeline: timeline.events, heroes, isFresh: base === undefined });
  }
  const events = [...ids]
    .flatMap((id) => home.engine.reader.events.get(id) ?? [])
    .filter((event) => filter.state.allows(event.pdu))
    .sort((a, b) => a.seq - b.seq);
  if (filter.isLazy) noteSentMembers(context, [...events, ...timeline.events]);
  const served = await serve(context, viewer, 'state', events);
  return { json: stateJson(context, served), isEmpty: served.length === 0 };
}

/** Events of the state under the names that the client reads. */
export function stateJson({ stateAfterKeys }: SyncContext, events: readonly JsonObject[]): JsonObject {
  const names = stateAfterKeys.length > 0 ? stateAfterKeys : (['state'] as const);
  return Object.fromEntries(names.map((name) => [name, { events }]));
}

/** The timeline as it is sent. */
export async function timelineJson(
  context: SyncContext,
  viewer: RoomViewer,
  timeline: Timeline,
): Promise<JsonObject> {
  return {
    events: await serve(context, viewer, 'timeline', timeline.events),
    limited: timeline.isLimited,
    prev_batch: placeToken(timeline.place),
  };
}
