// The state before an event whose history is not here, as another server says. One of our make is asked for the
// difference to what is known (tree-state.ts); others for ids first, then what is not known of it, singly or whole.
// It counts only when it is complete, of this room, and holds each key once.
//
// Source: server-server API, "Retrieving event authorisation information", GET /state_ids, /state, /event.

import type { Engine } from '../../engine/engine.js';
import { type EventId, parseEventId, type RoomId, type ServerName } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RemoteServers, RequestLimits } from '../requests.js';
import type { Effort } from './effort.js';
import { eventsSingly, takeWithCited } from './events-by-id.js';
import { readEvents } from './fetched-events.js';
import type { GapOptions } from './options.js';
import { citedBy, type OutlierParts } from './outliers.js';
import type { KnownState } from './tree-difference.js';
import { stateByTree } from './tree-state.js';

export interface EdgeParts extends OutlierParts {
  readonly remote: Pick<RemoteServers, 'state' | 'stateIds' | 'event' | 'eventAuth' | 'stateroom'>;
  readonly options: GapOptions;
}

/** A state, by ids of known events. */
export interface EdgeState {
  readonly ids: readonly EventId[];
  readonly from: ServerName;
  /** There is more to it that is not known here. */
  readonly isPartial: boolean;
}

/** What a server says the state is. */
interface Claim {
  readonly state: ReadonlySet<EventId>;
  readonly all: ReadonlySet<EventId>;
}

/** Without these nobody can tell what was allowed and who may see it. */
const ESSENTIAL = [
  'm.room.create',
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.history_visibility',
] as const;
/** So many known events are looked at before others get a turn. */
const TURN = 200;

/**
 * The state before an event, from the first server that gives all of it.
 * @param known states of the room that are known and likely near to it, the nearest first; if not given, those that
 *   the room has now
 * @param mayBePartial does what is known of it do where much is lacking?
 */
export async function stateBefore(
  parts: EdgeParts,
  effort: Effort,
  event: Pdu,
  servers: readonly ServerName[],
  known = statesNow(parts.engine, event.roomId),
  mayBePartial = false,
): Promise<EdgeState | undefined> {
  const [nearest, ...others] = known;
  return effort.inTurn(servers, async (server, limits) => {
    const isAskedByTree = isComparable(nearest, parts.options) && parts.remote.stateroom.mayAsk(server);
    if (!isAskedByTree) return stateByIds(parts, effort, event, server, limits, mayBePartial);
    const question = { event, server, known: [nearest, ...others], limits } as const;
    // Whoever refuses this, for it may not or cannot tell, refuses the other too: that throws.
    const ids = await stateByTree(parts, effort, question);
    if (ids !== undefined) return { ids, from: server, isPartial: false };
    return effort.once(server, (more) => stateByIds(parts, effort, event, server, more, mayBePartial));
  });
}

/** Is a state large enough for its tree to be worth comparing? */
function isComparable(state: KnownState | undefined, { treeEntriesMin }: GapOptions): state is KnownState {
  return state !== undefined && state.view.count() >= treeEntriesMin;
}

/** The state before an event, if the server gives all of it. */
async function stateByIds(
  parts: EdgeParts,
  effort: Effort,
  event: Pdu,
  server: ServerName,
  limits: RequestLimits,
  mayBePartial: boolean,
): Promise<EdgeState | undefined> {
  const claim = await claimOf(parts, event, server, limits);
  if (claim === undefined) return undefined;
  const part = mayBePartial ? await knownPart(parts, event.roomId, claim) : undefined;
  if (part !== undefined) return { ids: part, from: server, isPartial: true };
  const dropped = await fetchClaimed(parts, effort, event, server, claim);
  const ids = await checked(parts.engine, event.roomId, claim, dropped);
  return ids === undefined ? undefined : { ids, from: server, isPartial: false };
}

/**
 * What is known of a claimed state of which much is lacking, where it tells what events are judged by and who may see
 * them; undefined where the rest is better waited for.
 */
async function knownPart(
  { engine, options }: EdgeParts,
  roomId: RoomId,
  claim: Claim,
): Promise<readonly EventId[] | undefined> {
  const lacking = new Set([...claim.state].filter((id) => !engine.graph.isKnown(id)));
  if (lacking.size <= options.historyLackingMax) return undefined;
  const ids = await checked(engine, roomId, claim, lacking);
  const types = new Set(
    ids?.flatMap((id) => {
      const pdu = engine.graph.event(id)?.pdu;
      return pdu?.stateKey === '' ? pdu.type : [];
    }),
  );
  return ESSENTIAL.every((type) => types.has(type)) ? ids : undefined;
}

/** The current state of a room, and those after its forward extremities, which others may know. */
export function statesNow(engine: Engine, roomId: RoomId): readonly KnownState[] {
  if (engine.store.room(roomId) === undefined) return [];
  const ends = engine.forwardExtremities(roomId).map((id) => ({ view: engine.stateAt(id), after: id }));
  return [{ view: engine.currentState(roomId), after: undefined }, ...ends];
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
    const ask = (ids: ReadonlySet<EventId>): Promise<Map<EventId, Pdu>> =>
      eventsSingly(parts, effort, event, ids, server);
    await takeWithCited(parts, effort, events, server, ask);
    if (lacking().length > 0) {
      await takeWithCited(parts, effort, await ask(new Set(lacking())), server, ask);
    }
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
  const ask = (ids: ReadonlySet<EventId>): Promise<Map<EventId, Pdu>> =>
    eventsSingly(parts, effort, { roomId, rules }, ids, server);
  const isWhole = lacking.size * 2 > all.size || lacking.size > options.singleEventsMax;
  if (!isWhole) return takeWithCited(parts, effort, await ask(lacking), server, ask);
  const whole = await effort.once(server, (limits) =>
    remote.state(server, roomId, eventId, { ...limits, bytesMax: options.stateBytesMax }),
  );
  if (whole === undefined) return new Set();
  const { pdus, authChain } = whole;
  const { stateEntriesMax } = options;
  const jsons = [...authChain.slice(0, stateEntriesMax), ...pdus.slice(0, stateEntriesMax)];
  const events = await readEvents(jsons, roomId, rules, (id) => lacking.has(id));
  return takeWithCited(parts, effort, events, server, ask);
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
