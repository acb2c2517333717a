// The state of a room in an answer: which events, under which name, as the filter has them.

import type { Engine } from '../../engine/engine.js';
import type { JsonObject } from '../../event/json.js';
import type { StateView } from '../../reader/state-view.js';
import { placeToken } from '../pagination.js';
import { inOrder, type ListedEvent, listedEvents, listedState } from '../state-listing.js';
import type { RoomViewer } from '../visibility.js';
import { serveState, serveTimeline, type SyncContext } from './context.js';
import { addLazyMembers, noteSentMembers } from './lazy-members.js';
import type { Correction } from './partiality.js';
import { StateDelta } from './state-delta.js';
import type { Timeline } from './timeline.js';

export interface RoomStateRequest {
  readonly viewer: RoomViewer;
  readonly timeline: Timeline;
  /** The state that the client has; undefined: none, or it asked for all. */
  readonly base: StateView | undefined;
  readonly end: StateView;
  /** What the client has otherwise than `base` says. */
  readonly correction: Correction | undefined;
  readonly heroes: readonly string[];
}

/** `state`, or in its place `state_after`, each under every name that the client asked for. */
export async function roomState(
  context: SyncContext,
  request: RoomStateRequest,
): Promise<{ readonly json: JsonObject; readonly isEmpty: boolean }> {
  const { filter, home, stateAfterKeys } = context;
  const { viewer, timeline, base, end, correction, heroes } = request;
  const delta = new StateDelta({
    base,
    start: timeline.start ?? end,
    end,
    timeline: timeline.events,
    isStateAfter: stateAfterKeys.length > 0,
    isLazy: filter.isLazy,
    corrected: correction === undefined || correction === 'everything' ? [] : correction,
  });
  let listed: readonly ListedEvent[] = [];
  if (filter.state.allowsRoom(end.roomId)) {
    const isFresh = base === undefined;
    if (isFresh && !filter.isLazy) listed = await wholeState(home.engine, delta);
    else {
      const ids = delta.ids();
      if (filter.isLazy) {
        const { events: shown } = timeline;
        addLazyMembers(context, ids, { delta, end, timeline: shown, heroes, isFresh });
      }
      listed = inOrder(await listedEvents(home.engine, ids));
    }
  }
  const events = filter.state.isOpen ? listed : listed.filter((event) => filter.state.allows(event.pdu));
  if (filter.isLazy) noteSentMembers(context, [...events, ...timeline.events]);
  const served = await serveState(context, viewer, events);
  return { json: stateJson(context, served), isEmpty: served.length === 0 };
}

/** Every entry of the state, none of them looked up where the room was listed lately. */
async function wholeState(engine: Engine, delta: StateDelta): Promise<readonly ListedEvent[]> {
  const listed = await listedState(engine, delta.whole);
  const { dropped, added } = delta.corrections();
  if (dropped.size === 0 && added.size === 0) return listed;
  const kept = listed.filter(({ pdu }) => !dropped.has(pdu.eventId));
  return inOrder([...kept, ...(await listedEvents(engine, added))]);
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
    events: await serveTimeline(context, viewer, timeline),
    limited: timeline.isLimited,
    prev_batch: placeToken(timeline.place),
  };
}
