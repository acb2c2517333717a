// Blame: where each entry of a room's current state comes from, and what it beat on the way; and for keys that
// are missing now but were there, where they were lost.
//
// A claim that nothing but its own predecessors stood against is explained by itself. Only where an event claimed
// the key on another branch is the graph walked (see KeyHistory), and a resolution done again to say why.

import type { EventId } from '../../event/ids.js';
import { compareCodePoints } from '../../lib/bytes.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import { compareKeys } from '../../room/resolution/keys.js';
import type { RoomRow, StoredVerdict } from '../../store/records.js';
import type { Reader } from '../reader.js';
import type { StateView } from '../state-view.js';
import { saidBy } from './describe.js';
import { type Ending, KeyHistory } from './key-history.js';
import { explainMerge, type Loss, lossOf, type MergeJson, Traces } from './merge.js';

/** A place in the graph. */
export interface Place {
  readonly event_id: EventId;
  readonly seq: number;
  readonly depth: number;
  readonly origin_server_ts: number;
}

/** An event that lost the key to what has it now. */
export interface Beaten extends Loss {
  readonly event_id: EventId;
  readonly sender: string;
  readonly says: string | null;
  readonly depth: number;
  readonly origin_server_ts: number;
  readonly verdict: StoredVerdict;
  /** The first merge at which it lost; null for that of the room's forward extremities. */
  readonly merge: EventId | null;
  readonly trace: string | null;
}

/** One entry of the current state, or one that is missing from it. */
export interface BlameEntry {
  readonly type: string;
  readonly state_key: string;
  /** Null where the key is missing now. */
  readonly event_id: EventId | null;
  readonly sender: string | null;
  readonly says: string | null;
  readonly verdict: StoredVerdict | null;
  /** Where the event itself stands. */
  readonly set: Place | null;
  /** What it replaced on its own branch. */
  readonly replaced: EventId | null;
  /**
   * From where on the room has it: the event itself; or the first merge at which it beat the newest event that
   * stood against it; or, for one that soft failed, the accepted event that brought it in. Null where that is
   * the meeting of the current forward extremities. For a missing key: the merge at which it was lost.
   */
  readonly since: Place | null;
  /** The merge that chose it over others, where one did. */
  readonly resolution: MergeJson | null;
  /** Newest first. */
  readonly beat: readonly Beaten[];
  /** In short; `resolution.explanation` tells the merge step by step. */
  readonly explanation: readonly string[];
}

/**
 * Blames each entry of the current state, those of a type, or one. Missing keys that were claimed once are told too.
 * @throws READER_ROOM_UNKNOWN, ROOM_TRACE_DIVERGES
 */
export async function blame(
  reader: Reader,
  roomId: string,
  type?: string,
  stateKey?: string,
): Promise<BlameEntry[]> {
  const room = reader.room(roomId);
  const asked = { reader, room, view: reader.view(room.roomId, room.root), traces: new Traces(reader) };
  const entries: BlameEntry[] = [];
  for await (const claims of claimsByKey(reader, room, type, stateKey)) {
    const entry = await blameKey(asked, claims);
    if (entry !== undefined) entries.push(entry);
  }
  return entries.sort((a, b) =>
    compareKeys({ type: a.type, stateKey: a.state_key }, { type: b.type, stateKey: b.state_key }),
  );
}

/** Every event that claimed a key, key after key: so they lie in the store. */
async function* claimsByKey(
  reader: Reader,
  room: RoomRow,
  type: string | undefined,
  stateKey: string | undefined,
): AsyncGenerator<readonly [KnownEvent, ...KnownEvent[]]> {
  let claims: [KnownEvent, ...KnownEvent[]] | undefined;
  for await (const seq of reader.store.versions(room.number, type, stateKey)) {
    const event = reader.events.at(seq);
    if (event === undefined) continue;
    const first = claims?.[0].pdu;
    if (claims !== undefined && first?.type === event.pdu.type && first.stateKey === event.pdu.stateKey) {
      claims.push(event);
      continue;
    }
    if (claims !== undefined) yield claims;
    claims = [event];
  }
  if (claims !== undefined) yield claims;
}

/** Claims on other branches that are followed for one key. */
const RIVALS_MAX = 64;

interface Asked {
  readonly reader: Reader;
  readonly room: RoomRow;
  readonly view: StateView;
  readonly traces: Traces;
}

async function blameKey(
  { reader, room, view, traces }: Asked,
  claims: readonly [KnownEvent, ...KnownEvent[]],
): Promise<BlameEntry | undefined> {
  const [{ pdu }] = claims;
  const key = { type: pdu.type, stateKey: pdu.stateKey ?? '' };
  const history = new KeyHistory(reader, room, view, key.type, key.stateKey);
  const current = history.current();
  const valid = claims.filter(({ verdict, roots }) => verdict !== 'rejected' && roots !== undefined);
  if (current === undefined && valid.length === 0) return undefined;

  const lineage: ReadonlySet<EventId> = current === undefined ? new Set() : history.lineage(current);
  const rivals = newestFirst(valid.filter((claim) => !lineage.has(claim.pdu.eventId))).slice(0, RIVALS_MAX);
  const lost: LostClaim[] = [];
  for (const claim of rivals) {
    const { endings } = await history.endings(claim);
    const ending = endings.find(({ kind, became }) => kind === 'lost' && became === current);
    if (ending !== undefined) lost.push({ claim, ending });
  }

  const event = current === undefined ? undefined : reader.events.get(current);
  const [newest] = lost;
  const entry = event?.verdict === 'soft_failed' ? await history.entry(event) : undefined;
  const deciding = newest?.ending ?? entry?.merge;
  const over =
    newest === undefined
      ? [entry?.over].filter((id) => id !== undefined)
      : lost
          .filter(({ ending }) => ending.at?.seq === newest.ending.at?.seq)
          .map(({ claim }) => claim.pdu.eventId);
  const resolution = deciding === undefined ? undefined : explainMerge(reader, traces, key, deciding, over);
  const since = newest === undefined ? (entry?.accepted ?? event) : newest.ending.at;
  return {
    type: key.type,
    state_key: key.stateKey,
    event_id: current ?? null,
    sender: event?.pdu.sender ?? null,
    says: (event && saidBy(event.pdu)) ?? null,
    verdict: event?.verdict ?? null,
    set: event === undefined ? null : placeOf(event),
    replaced: (event && history.before(event)) ?? null,
    since: since === undefined ? null : placeOf(since),
    resolution: resolution ?? null,
    beat: lost.map(({ claim, ending }) => beatenBy(traces, current, claim, ending)),
    explanation: [
      ...sayOrigin(event, since, newest !== undefined),
      ...(resolution?.explanation.slice(0, 1) ?? []),
    ],
  };
}

interface LostClaim {
  readonly claim: KnownEvent;
  readonly ending: Ending;
}

function beatenBy(
  traces: Traces,
  winner: EventId | undefined,
  claim: KnownEvent,
  { at, traceId }: Ending,
): Beaten {
  const { pdu, verdict } = claim;
  const trace = traceId === undefined ? undefined : traces.get(traceId);
  const loss: Loss =
    trace === undefined
      ? { how: 'untried', rule: 'given', reason: 'the state there was given whole, not resolved' }
      : lossOf(trace, pdu.eventId, winner);
  return {
    event_id: pdu.eventId,
    sender: pdu.sender,
    says: saidBy(pdu) ?? null,
    depth: pdu.depth,
    origin_server_ts: pdu.originServerTs,
    verdict,
    merge: at?.pdu.eventId ?? null,
    trace: traceId ?? null,
    ...loss,
  };
}

/** Who set it, and how it came in; what a merge decided is told after it. */
function sayOrigin(
  event: KnownEvent | undefined,
  since: KnownEvent | undefined,
  isContested: boolean,
): string[] {
  if (event === undefined)
    return isContested ? [] : ['The key is missing, and no merge of known branches took it away.'];
  const { eventId, sender, depth } = event.pdu;
  if (event.verdict === 'soft_failed') {
    const softFailed = `${eventId} of ${sender} soft failed on arrival: ${event.reason}.`;
    if (since === undefined || since === event || isContested) return [softFailed];
    return [
      softFailed,
      `It came into the room's state with ${since.pdu.eventId}, which was accepted and follows it.`,
    ];
  }
  return isContested
    ? []
    : [`Set by ${sender} with ${eventId} at depth ${depth}; no other branch stood against it.`];
}

function placeOf({ seq, pdu }: KnownEvent): Place {
  return { event_id: pdu.eventId, seq, depth: pdu.depth, origin_server_ts: pdu.originServerTs };
}

function newestFirst(events: readonly KnownEvent[]): KnownEvent[] {
  return [...events].sort(
    ({ pdu: a }, { pdu: b }) =>
      b.depth - a.depth || b.originServerTs - a.originServerTs || compareCodePoints(b.eventId, a.eventId),
  );
}
