// The state before an event whose history is not here, as another server says: by ids first, then what is not
// known of it, singly or whole. It counts only when it is complete, of this room, and holds each key once.
//
// Source: server-server API, "Retrieving event authorisation information", GET /state_ids, /state, /event.

import type { Engine } from '../../engine/engine.js';
import { type EventId, parseEventId, type RoomId, type ServerName } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import type { RemoteServers, RequestLimits } from '../requests.js';
import type { Effort } from './effort.js';
import { readEvent, readEvents } from './fetched-events.js';
import type { GapOptions } from './options.js';
import { citedBy, type OutlierParts, takeOutliers } from './outliers.js';

export interface EdgeParts extends OutlierParts {
  readonly remote: Pick<RemoteServers, 'state' | 'stateIds' | 'event' | 'eventAuth'>;
  readonly options: GapOptions;
}

/** A state, by ids of known events. */
export interface EdgeState {
  readonly ids: readonly EventId[];
  readonly from: ServerName;
}

/** What a server says the state is. */
interface Claim {
  readonly state: ReadonlySet<EventId>;
  readonly all: ReadonlySet<EventId>;
}

/** Times that what fetched events cite is fetched in its turn. */
const CITED_ROUNDS_MAX = 5;
/** So many known events are looked at before others get a turn. */
const TURN = 200;

/** The state before an event, from the first server that gives all of it. */
export async function stateBefore(
  parts: EdgeParts,
  effort: Effort,
  event: Pdu,
  servers: readonly ServerName[],
): Promise<EdgeState | undefined> {
  return effort.inTurn(servers, async (server, limits) => {
    const claim = await claimOf(parts, event, server, limits);
    if (claim === undefined) return undefined;
    const dropped = await fetchClaimed(parts, effort, event, server, claim);
    const ids = await checked(parts.engine, event.roomId, claim, dropped);
    return ids === undefined ? undefined : { ids, from: server };
  });
}

/** Fetches what an event cites and is not known. @returns whether all of it is known now */
export async function fetchCited(
  parts: EdgeParts,
  effort: Effort,
  event: Pdu,
  servers: readonly ServerName[],
): Promise<boolean> {
  const { engine, remote, options } = parts;
  const { roomId, eventId, rules } = event;
  const lacking = (): EventId[] => citedBy(event).filter((id) => !engine.graph.isKnown(id));
  if (lacking().length === 0) return true;
  const found = await effort.inTurn(servers, async (server, limits) => {
    const bytesMax = options.stateBytesMax;
    const chain = await remote.eventAuth(server, roomId, eventId, { ...limits, bytesMax });
    const events = await readEvents(chain.slice(0, options.stateEntriesMax), roomId, rules);
    events.delete(eventId);
    await takeWithCited(parts, effort, events, server);
    if (lacking().length > 0) await fetchSingly(parts, effort, event, new Set(lacking()), server);
    return lacking().length === 0 ? true : undefined;
  });
  return found ?? false;
}

async function claimOf(
  { remote, options }: EdgeParts,
  { roomId, eventId, rules }: Pdu,
  server: ServerName,
  limits: RequestLimits,
): Promise<Claim | undefined> {
  const bytesMax = options.stateBytesMax;
  const { pduIds, authChainIds } = await remote.stateIds(server, roomId, eventId, { ...limits, bytesMax });
  if (pduIds.length === 0 || pduIds.length > options.stateEntriesMax) return undefined;
  if (authChainIds.length > options.stateEntriesMax) return undefined;
  const state = new Set(pduIds);
  const all = new Set([...pduIds, ...authChainIds]);
  for (const id of all) if (parseEventId(id, rules.eventIdFormat) === undefined) return undefined;
  return { state, all };
}

/** Takes in what is not known of a state. @returns the ids of what was refused for what it is */
async function fetchClaimed(
  parts: EdgeParts,
  effort: Effort,
  { roomId, eventId, rules }: Pdu,
  server: ServerName,
  { all }: Claim,
): Promise<ReadonlySet<EventId>> {
  const { engine, remote, options } = parts;
  const lacking = new Set([...all].filter((id) => !engine.graph.isKnown(id)));
  parts.observer?.claimed(all.size, all.size - lacking.size);
  if (lacking.size === 0) return new Set();
  const isWhole = lacking.size * 2 > all.size || lacking.size > options.singleEventsMax;
  if (!isWhole) return fetchSingly(parts, effort, { roomId, rules }, lacking, server);
  const whole = await effort.once(server, (limits) =>
    remote.state(server, roomId, eventId, { ...limits, bytesMax: options.stateBytesMax }),
  );
  if (whole === undefined) return new Set();
  const { pdus, authChain } = whole;
  const { stateEntriesMax } = options;
  const jsons = [...authChain.slice(0, stateEntriesMax), ...pdus.slice(0, stateEntriesMax)];
  const events = await readEvents(jsons, roomId, rules, (id) => lacking.has(id));
  return takeWithCited(parts, effort, events, server);
}

/** Asks for events one by one, some at once, and takes them in. */
async function fetchSingly(
  parts: EdgeParts,
  effort: Effort,
  room: { readonly roomId: RoomId; readonly rules: RoomVersionRules },
  ids: ReadonlySet<EventId>,
  server: ServerName,
): Promise<ReadonlySet<EventId>> {
  return takeWithCited(parts, effort, await singly(parts, effort, room, ids, server), server, room);
}

/** The events of these ids that the server gives; one that is another than asked for is none. */
async function singly(
  { remote, options }: EdgeParts,
  effort: Effort,
  { roomId, rules }: { readonly roomId: RoomId; readonly rules: RoomVersionRules },
  ids: ReadonlySet<EventId>,
  server: ServerName,
): Promise<Map<EventId, Pdu>> {
  const events = new Map<EventId, Pdu>();
  const asked = [...ids].slice(0, effort.takeSingles(ids.size));
  for (let i = 0; i < asked.length && !effort.isSpent; i += options.singleEventsAtOnce) {
    const some = asked.slice(i, i + options.singleEventsAtOnce);
    const jsons = await Promise.all(
      some.map((id) => effort.once(server, (limits) => remote.event(server, id, limits))),
    );
    for (const [at, id] of some.entries()) {
      const json = jsons[at];
      const event = json === undefined ? undefined : readEvent(json, rules);
      if (event?.eventId === id && event.roomId === roomId) events.set(id, event);
    }
  }
  return events;
}

/** Takes events in, and, where they cite others that did not come with them, these too. */
async function takeWithCited(
  parts: EdgeParts,
  effort: Effort,
  events: Map<EventId, Pdu>,
  server: ServerName,
  room?: { readonly roomId: RoomId; readonly rules: RoomVersionRules },
): Promise<ReadonlySet<EventId>> {
  const refused = new Set<EventId>();
  const [first] = events.values();
  const of = room ?? first;
  for (let round = 0; round < CITED_ROUNDS_MAX; round++) {
    const { dropped, uncited } = await takeOutliers(parts, effort, events, server);
    for (const id of dropped) refused.add(id);
    const lacking = new Set([...uncited].filter((id) => !refused.has(id)));
    if (lacking.size === 0 || of === undefined || effort.isSpent) break;
    const cited = await singly(parts, effort, of, lacking, server);
    if (cited.size === 0) break;
    for (const [id, event] of cited) events.set(id, event);
  }
  return refused;
}

/** The claimed state without what was refused, or undefined when it is no state of this room. */
async function checked(
  engine: Engine,
  roomId: RoomId,
  { state }: Claim,
  dropped: ReadonlySet<EventId>,
): Promise<readonly EventId[] | undefined> {
  const ids: EventId[] = [];
  const keys = new Set<string>();
  let looked = 0;
  for (const id of state) {
    if (dropped.has(id)) continue;
    if (++looked % TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    const event = engine.graph.event(id);
    if (event === undefined || event.pdu.roomId !== roomId || event.pdu.stateKey === undefined)
      return undefined;
    if (event.verdict === 'rejected') continue;
    const key = `${event.pdu.type}\0${event.pdu.stateKey}`;
    if (keys.has(key)) return undefined;
    keys.add(key);
    ids.push(id);
  }
  const create = engine.graph.createEventOf(roomId);
  return create !== undefined && state.has(create) ? ids : undefined;
}
