// History from before what is known of a room, fetched from others when somebody reads that far back.
//
//   v ... [ X1 ◀ X2 ◀ X3 ]  ◀ edge ◀ ... ◀ now       [ ] is what came; the state before X1 is asked for, the states
//                                                     of the others follow from it
//
// Where much of a state is not known, most of it old memberships, the history is shown on what is known of it, as
// soon as that tells who may see it, and judged again when the rest has come (resync/).
//
// It gets its place in the past: nothing of what the room is now changes. In the timeline it goes before all that
// is known, in the order in which it happened, so that pages go on where they ended.
//
// Source: server-server API, GET /backfill/{roomId}.

import type { EventId, ServerName } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RemoteServers } from '../requests.js';
import { type EdgeParts, fetchCited, stateBefore } from './edge-state.js';
import type { Effort } from './effort.js';
import { bytesOf, connected, ranks, readEvents } from './fetched-events.js';

export interface BackfillParts extends EdgeParts {
  readonly remote: EdgeParts['remote'] & Pick<RemoteServers, 'backfill'>;
}

export interface Backfilled {
  /** Events that got their place. */
  readonly events: number;
  /** Is there more before what is known now? */
  readonly hasMore: boolean;
}

/** Ids that are asked for at once. */
const FROM_MAX = 20;

/** Fetches up to so many events from before what is known of the effort's room. */
export async function backfill(parts: BackfillParts, effort: Effort, limit: number): Promise<Backfilled> {
  const { engine, remote } = parts;
  const { roomId } = effort;
  const rules = engine.graph.rulesOf(roomId);
  if (rules === undefined || rules.isInternal || limit < 1) return { events: 0, hasMore: false };
  const wanted = new Set(engine.backwardExtremities(roomId));
  if (wanted.size === 0) return { events: 0, hasMore: false };
  const events = await effort.inTurn(effort.servers([]), async (server, limits) => {
    const from = [...wanted].slice(0, FROM_MAX);
    const jsons = await remote.backfill(server, roomId, from, limit, limits);
    const came = connected(await readEvents(jsons.slice(0, limit), roomId, rules), wanted);
    const placed = came.size === 0 ? 0 : await place(parts, effort, came, server);
    return placed === 0 ? undefined : placed;
  });
  return { events: events ?? 0, hasMore: engine.backwardExtremities(roomId).length > 0 };
}

/** Gives events their places. @returns how many got one */
async function place(
  parts: BackfillParts,
  effort: Effort,
  events: ReadonlyMap<EventId, Pdu>,
  from: ServerName,
): Promise<number> {
  const { engine, keyRing } = parts;
  const isPlaced = (id: EventId): boolean => engine.graph.isPlaced(id);
  const news = new Map([...events].filter(([id]) => !isPlaced(id) && !parts.isGivenUp(id)));
  const [first] = news.values();
  if (first === undefined || effort.takeEvents(news.size) < news.size) return 0;
  await keyRing.fetchFor(
    Array.from(news.values(), ({ json }) => json),
    first.rules,
  );
  const { givenStates, partialStates } = await statesOf(parts, effort, news, effort.servers([from]));
  // What follows an event that cannot be placed would wait for it; it is left for another time.
  const isReady = (id: EventId): boolean => isPlaced(id) || givenStates.has(id);
  const follows = ({ eventId, prevEvents }: Pdu): readonly EventId[] => (isReady(eventId) ? [] : prevEvents);
  const ready = ranks(news, follows, isPlaced).flat();
  await engine.receiveHistory(
    ready.map((event) => bytesOf(event)),
    { roomId: effort.roomId, from, givenStates, partialStates },
  );
  return ready.filter(({ eventId }) => isPlaced(eventId)).length;
}

/** The states before events, and those of them of which much was not known: it is fetched when they are shown. */
interface StatesBefore {
  readonly givenStates: ReadonlyMap<EventId, readonly EventId[]>;
  readonly partialStates: ReadonlySet<EventId>;
}

/** The states before those that follow events of which nothing came. */
async function statesOf(
  parts: BackfillParts,
  effort: Effort,
  events: ReadonlyMap<EventId, Pdu>,
  servers: readonly ServerName[],
): Promise<StatesBefore> {
  const { graph } = parts.engine;
  const givenStates = new Map<EventId, readonly EventId[]>();
  const partialStates = new Set<EventId>();
  for (const event of events.values()) {
    await fetchCited(parts, effort, event, servers);
    const isThere = (id: EventId): boolean => events.has(id) || graph.isPlaced(id);
    if (event.prevEvents.every(isThere)) continue;
    const state = await stateBefore(parts, effort, event, servers, undefined, true);
    if (state === undefined) continue;
    givenStates.set(event.eventId, state.ids);
    if (state.isPartial) partialStates.add(event.eventId);
  }
  return { givenStates, partialStates };
}
