// A part of a room's graph, as nodes and edges: around an event, or the newest part of a room.

import type { EventId, RoomId } from '../../event/ids.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import type { StoredVerdict } from '../../store/records.js';
import type { Reader } from '../reader.js';
import { saidBy } from './describe.js';

/** One event. */
export interface GraphNode {
  readonly event_id: EventId;
  readonly type: string;
  readonly state_key?: string;
  readonly sender: string;
  /** What it says, where that is short. */
  readonly says: string | null;
  readonly depth: number;
  readonly seq: number;
  readonly origin_server_ts: number;
  readonly verdict: StoredVerdict;
  readonly outlier: boolean;
  /** Several events follow it, in the whole room. */
  readonly fork: boolean;
  /** It follows several. */
  readonly merge: boolean;
  /** The states that it merges differed and were resolved. */
  readonly resolved: boolean;
  readonly extremity: boolean;
  /** What was asked for. */
  readonly target: boolean;
  /** Predecessors, and followers (as far as they were looked at), that are not shown. */
  readonly more_before: number;
  readonly more_after: number;
}

/** `from` follows `to`: `to` is one of its `prev_events`. */
export interface GraphEdge {
  readonly from: EventId;
  readonly to: EventId;
}

/** A part of a graph; nodes oldest first: none before one that it follows. */
export interface Graph {
  readonly room_id: RoomId;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

export interface GraphOptions {
  /** Events to show on each side of an event, or of a room's newest events; at most AROUND_MAX. */
  readonly around?: number;
}

export const AROUND_DEFAULT = 20;
export const AROUND_MAX = 200;

/** Followers of one event that are looked at: whoever makes more of them makes no picture. */
const FOLLOWERS_MAX = 64;

/**
 * The graph around an event (`$...`), or a room's newest part (`!...`).
 * Cost: a few reads for each event shown.
 * @throws READER_EVENT_UNKNOWN, READER_ROOM_UNKNOWN
 */
export async function graph(reader: Reader, target: string, options: GraphOptions = {}): Promise<Graph> {
  const around = Math.min(Math.max(options.around ?? AROUND_DEFAULT, 0), AROUND_MAX);
  const event = target.startsWith('!') ? undefined : reader.event(target);
  const room = reader.room(event?.pdu.roomId ?? target);
  const seeds = event === undefined ? room.forwardExtremities : [event.pdu.eventId];
  const picked = await pick(reader, seeds, event, around);
  const extremities = new Set<EventId>(room.forwardExtremities);
  const shown = sorted(picked);
  return {
    room_id: room.roomId,
    nodes: shown.map(({ event: known, followers }) =>
      nodeOf(known, followers, picked, extremities, event?.pdu.eventId),
    ),
    edges: shown.flatMap(({ event: { pdu } }) =>
      [...new Set(pdu.prevEvents)].filter((id) => picked.has(id)).map((to) => ({ from: pdu.eventId, to })),
    ),
  };
}

interface Picked {
  readonly event: KnownEvent;
  readonly followers: readonly EventId[];
}

/** Nearest first, by commit order, along the edges: so that what went on at the same time is shown too. */
async function pick(
  reader: Reader,
  seeds: readonly EventId[],
  target: KnownEvent | undefined,
  around: number,
): Promise<Map<EventId, Picked>> {
  const picked = new Map<EventId, Picked>();
  const met = new Set<EventId>(seeds);
  const waiting = seeds.flatMap((id) => reader.events.get(id) ?? []);
  const middle = target?.seq ?? Infinity;
  let before = target === undefined ? Math.max(around, 1) : around;
  let after = around;
  const distance = ({ seq }: KnownEvent): number => (target === undefined ? -seq : Math.abs(seq - middle));
  while (waiting.length > 0) {
    waiting.sort((a, b) => distance(b) - distance(a));
    const event = waiting.pop();
    if (event === undefined) break;
    if (event.seq < middle && --before < 0) continue;
    if (event.seq > middle && --after < 0) continue;
    const followers: EventId[] = [];
    for await (const seq of reader.store.edges(event.pdu.eventId, 'prev')) {
      const follower = reader.events.at(seq);
      if (follower !== undefined) followers.push(follower.pdu.eventId);
      if (followers.length >= FOLLOWERS_MAX) break;
    }
    picked.set(event.pdu.eventId, { event, followers });
    for (const id of [...event.pdu.prevEvents, ...followers]) {
      const neighbour = met.has(id) ? undefined : reader.events.get(id);
      met.add(id);
      if (neighbour !== undefined) waiting.push(neighbour);
    }
  }
  return picked;
}

/** Oldest first. Commit order does it: an event is stored after those that it follows, outliers apart. */
function sorted(picked: ReadonlyMap<EventId, Picked>): Picked[] {
  return [...picked.values()].sort((a, b) => a.event.seq - b.event.seq);
}

function nodeOf(
  known: KnownEvent,
  followers: readonly EventId[],
  picked: ReadonlyMap<EventId, Picked>,
  extremities: ReadonlySet<EventId>,
  target: EventId | undefined,
): GraphNode {
  const { pdu, seq, verdict, isOutlier, roots } = known;
  const prevs = [...new Set(pdu.prevEvents)];
  return {
    event_id: pdu.eventId,
    type: pdu.type,
    ...(pdu.stateKey === undefined ? {} : { state_key: pdu.stateKey }),
    sender: pdu.sender,
    says: saidBy(pdu) ?? null,
    depth: pdu.depth,
    seq,
    origin_server_ts: pdu.originServerTs,
    verdict,
    outlier: isOutlier,
    fork: followers.length > 1,
    merge: prevs.length > 1,
    resolved: roots?.traceId !== undefined,
    extremity: extremities.has(pdu.eventId),
    target: pdu.eventId === target,
    more_before: prevs.filter((id) => !picked.has(id)).length,
    more_after: followers.filter((id) => !picked.has(id)).length,
  };
}
