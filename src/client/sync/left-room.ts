// A room that the user has left, was banned from, or whose invitation came to nothing, in an answer: up to the
// event that says so, which is always shown, and not beyond.
//
// Source: client-server API, GET /sync, "Left Room".

import type { JsonObject } from '../../event/json.js';
import type { StateView } from '../../reader/state-view.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import { orderOf } from '../../room/graph/known-events.js';
import type { RoomRow } from '../../store/records.js';
import { listedEvents } from '../state-listing.js';
import { RoomViewer } from '../visibility.js';
import { serveState, type SyncContext } from './context.js';
import type { Partiality } from './partiality.js';
import { roomState, stateJson, timelineJson } from './room-state.js';
import { readTimeline, type Timeline } from './timeline.js';
import { wantsEvent } from './wants.js';

export interface LeftRoomRequest {
  readonly room: RoomRow;
  /** The state at the token; undefined where the client did not have the room. */
  readonly base: StateView | undefined;
  readonly end: StateView;
  readonly partiality: Partiality;
  readonly accountData: readonly JsonObject[];
}

export async function leftRoom(context: SyncContext, request: LeftRoomRequest): Promise<JsonObject> {
  const { home, requester, filter, since } = context;
  const { moments } = home.notifier;
  const { room, base, end, partiality, accountData } = request;
  const viewer = new RoomViewer(home.engine, end, requester.userId);
  const last = await lastSeq(context, room, end);
  const before = await moments.stateAt(room, last - 1);
  const wasIn = before.membership(requester.userId) === 'join';
  const wants = wantsEvent(context, room.roomId);
  const timeline = await readTimeline(moments, {
    room,
    viewer,
    // Who was not in the room sees nothing of it but that they are not.
    since: wasIn ? (base === undefined ? undefined : since?.seq) : last - 1,
    to: last,
    limit: Math.max(1, filter.timelineLimit),
    wants: (event) => orderOf(event) === last || wants(event),
  });
  const state = wasIn
    ? await roomState(context, {
        viewer,
        timeline,
        base: context.isFullState ? undefined : base,
        end: await moments.stateAt(room, last),
        correction: partiality.correction,
        heroes: [],
      })
    : { json: stateJson(context, await ownMember(context, viewer, timeline)) };
  return {
    timeline: await timelineJson(context, viewer, timeline),
    ...state.json,
    account_data: { events: accountData },
  };
}

/** Why the user is not in the room, where the timeline does not show it: a resolution, or a completed state, said so. */
async function ownMember(
  context: SyncContext,
  viewer: RoomViewer,
  timeline: Timeline,
): Promise<readonly JsonObject[]> {
  const id = viewer.view.get(MEMBER_TYPE, viewer.userId);
  if (id === undefined || timeline.events.some(({ pdu }) => pdu.eventId === id)) return [];
  return serveState(context, viewer, await listedEvents(context.home.engine, [id]));
}

/**
 * Since when the user's membership is what it is: the place of its event, unless a resolution of forks made it so
 * later. Then the change is searched for by halving. O(log) reads.
 */
async function lastSeq({ home, requester, to }: SyncContext, room: RoomRow, end: StateView): Promise<number> {
  const { moments } = home.notifier;
  const id = end.get(MEMBER_TYPE, requester.userId);
  const isSo = async (seq: number): Promise<boolean> =>
    (await moments.stateAt(room, seq)).get(MEMBER_TYPE, requester.userId) === id;
  let low = id === undefined ? to.seq : (home.engine.store.seqOf(id) ?? to.seq);
  if (await isSo(low)) return low;
  let high = to.seq;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await isSo(middle)) high = middle;
    else low = middle;
  }
  return high;
}
