// A joined room in an answer.
//
// A room that the client did not have before (it was not joined at the token, whatever events said `join` since)
// comes whole, as in an initial sync. Any other comes as what changed; where nothing did, it is not in the answer.
//
// Source: client-server API, GET /sync, "Joined Room".

import type { JsonObject } from '../../event/json.js';
import type { StateView } from '../../reader/state-view.js';
import type { RoomRow } from '../../store/records.js';
import { RoomViewer } from '../visibility.js';
import type { SyncContext } from './context.js';
import { ephemeralEvents } from './ephemeral-events.js';
import type { Partiality } from './partiality.js';
import { roomState, stateJson, timelineJson } from './room-state.js';
import { type Summary, summaryJson } from './summary.js';
import { readTimeline, type Timeline } from './timeline.js';
import { sumOf, type Counts, type UnreadByThread } from './unread.js';
import { wantsEvent } from './wants.js';

export interface JoinedRoomRequest {
  readonly room: RoomRow;
  /** The state at the token; undefined where the client did not have the room. */
  readonly base: StateView | undefined;
  readonly end: StateView;
  /** Nothing happened in the room since the token. */
  readonly isQuiet: boolean;
  readonly partiality: Partiality;
  readonly accountData: readonly JsonObject[];
}

/** Undefined where there is nothing to tell. */
export async function joinedRoom(
  context: SyncContext,
  request: JoinedRoomRequest,
): Promise<JsonObject | undefined> {
  const { home, requester, to } = context;
  const { room, base, end, isQuiet, accountData } = request;
  const isFresh = base === undefined;
  const ephemeral = await ephemeralEvents(context, room.roomId, isFresh);
  const isWanted = isFresh || context.isFullState;
  const isTold = ephemeral.events.length > 0 || ephemeral.hasOwnReceipt || accountData.length > 0;
  if (isQuiet && !isWanted && !isTold) return undefined;
  const viewer = new RoomViewer(home.engine, end, requester.userId);
  const changes = isQuiet && !isWanted ? unchanged(context) : await changesOf(context, request, viewer);
  if (changes.isEmpty && !isWanted && !isTold) return undefined;
  const unread = await home.notifier.unread.of(room, viewer, to.seq, context.rules());
  return {
    ...changes.json,
    ephemeral: { events: ephemeral.events },
    account_data: { events: accountData },
    ...unreadJson(context, unread),
  };
}

interface Changes {
  readonly json: JsonObject;
  readonly isEmpty: boolean;
}

function unchanged(context: SyncContext): Changes {
  const { since } = context;
  const timeline = { events: [], limited: false, prev_batch: `t${since?.seq ?? 0}` };
  return { json: { timeline, ...stateJson(context, []) }, isEmpty: true };
}

async function changesOf(
  context: SyncContext,
  { room, base, end, partiality }: JoinedRoomRequest,
  viewer: RoomViewer,
): Promise<Changes> {
  const timeline = await timelineOf(context, room, viewer, base === undefined);
  const summary = await changedSummary(context, base, end, partiality);
  const state = await roomState(context, {
    viewer,
    timeline,
    base: context.isFullState ? undefined : base,
    end,
    correction: partiality.correction,
    heroes: summary?.heroes ?? [],
  });
  return {
    json: {
      ...(summary === undefined ? {} : { summary: summary.json }),
      timeline: await timelineJson(context, viewer, timeline),
      ...state.json,
    },
    isEmpty: summary === undefined && state.isEmpty && timeline.events.length === 0 && !timeline.isLimited,
  };
}

/** With `full_state` too the timeline begins at the token. */
function timelineOf(
  context: SyncContext,
  room: RoomRow,
  viewer: RoomViewer,
  isFresh: boolean,
): Promise<Timeline> {
  const { home, filter, since, to } = context;
  return readTimeline(home.notifier.moments, {
    room,
    viewer,
    since: isFresh ? undefined : since?.seq,
    to: to.seq,
    limit: filter.timelineLimit,
    wants: wantsEvent(context, room.roomId),
  });
}

async function changedSummary(
  context: SyncContext,
  base: StateView | undefined,
  end: StateView,
  { was, is: isPartial }: Partiality,
): Promise<{ readonly json: JsonObject; readonly heroes: readonly string[] } | undefined> {
  const { home, requester, isFullState } = context;
  const { summaries } = home.notifier;
  let before: Summary | undefined;
  if (base !== undefined && !isFullState && was === isPartial) {
    if (!summaries.isTouched(base, end)) return undefined;
    before = await summaries.of(base, requester.userId, isPartial);
  }
  const now = await summaries.of(end, requester.userId, isPartial);
  const json = summaryJson(now, before);
  return json === undefined ? undefined : { json, heroes: now.heroes ?? [] };
}

function unreadJson({ filter }: SyncContext, unread: UnreadByThread): JsonObject {
  if (!filter.threadNotifications) return { unread_notifications: countsJson(sumOf(unread.values())) };
  const threads = [...unread].filter(([thread]) => thread !== 'main');
  return {
    unread_notifications: countsJson(unread.get('main') ?? sumOf([])),
    ...(threads.length === 0
      ? {}
      : {
          unread_thread_notifications: Object.fromEntries(
            threads.map(([thread, counts]) => [thread, countsJson(counts)]),
          ),
        }),
  };
}

function countsJson({ notifications, highlights }: Counts): JsonObject {
  return { notification_count: notifications, highlight_count: highlights };
}
