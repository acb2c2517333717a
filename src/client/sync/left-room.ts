// A room that the user has left, was banned from, or whose invitation came to nothing, in an answer: up to the
// event that says so, which is always shown, and not beyond.
//
// Source: client-server API, GET /sync, "Left Room".

import type { JsonObject } from '../../event/json.js';
import type { StateView } from '../../reader/state-view.js';
import { MEMBER_TYPE } from '../../room/state/key.js';
import type { RoomRow } from '../../store/records.js';
import { RoomViewer } from '../visibility.js';
import type { SyncContext } from './context.js';
import { roomState, stateJson, timelineJson } from './room-state.js';
import { readTimeline } from './timeline.js';
import { wantsEvent } from './wants.js';

export interface LeftRoomRequest {
  readonly room: RoomRow;
  /** The state at the token; undefined without one. */
  readonly base: StateView | undefined;
  readonly end: StateView;
  readonly accountData: readonly JsonObject[];
}

export async function leftRoom(context: SyncContext, request: LeftRoomRequest): Promise<JsonObject> {
  const { home, requester, filter, since } = context;
  const { moments } = home.notifier;
  const { room, base, end, accountData } = request;
  const viewer = new RoomViewer(home.engine, end, requester.userId);
  const last = await lastSeq(context, room, end);
  const before = await moments.stateAt(room, last - 1);
  const wasIn = before.membership(requester.userId) === 'join';
  const hadRoom = base?.membership(requester.userId) === 'join';
  const wants = wantsEvent(context, room.roomId);
  const timeline = await readTimeline(moments, {
    room,
    viewer,
    // Who was not in the room sees nothing of it but that they are not.
    since: wasIn ? (hadRoom ? since?.seq : undefined) : last - 1,
    to: last,
    limit: Math.max(1, filter.timelineLimit),
    wants: (event) => event.seq === last || wants(event),
  });
  const state = wasIn
    ? await roomState(context, {
        viewer,
        timeline,
        base: hadRoom && !context.isFullState ? base : undefined,
        end: await moments.stateAt(room, last),
        heroes: [],
      })
    : { json: stateJson(context, []) };
  return {
    timeline: await timelineJson(context, viewer, timeline),
    ...state.json,
    account_data: { events: accountData },
  };
}

/**
 * Since when the user's membership is what it is: the seq of its event, unless a resolution of forks made it so
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
