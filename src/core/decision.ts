// From a judgement that stores an event to the rows that follow from it.

import type { EventId } from '../event/ids.js';
import { isObject, own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { equalBytes } from '../lib/bytes.js';
import { firstVerdict, isBackfilled, type KnownEvent, type KnownEvents } from '../room/graph/known-events.js';
import type { Room } from '../room/graph/room.js';
import type { GroupEvent } from '../store/commit-group.js';
import type { ChainRow, GivenState, StoredVerdict } from '../store/records.js';
import type { Judgement, VerifiedEvent } from './judge.js';

type Stored = Extract<Judgement, { kind: 'stored' }>;

const RELATED_ID_BYTES_MAX = 255;

/** The event as known from now on. @param room as it is before the event */
export function knownEvent(
  seq: number,
  event: VerifiedEvent,
  judgement: Stored,
  room: Pick<Room, 'timelineFirst'>,
): KnownEvent {
  const isHistory =
    event.backfilled === true && judgement.verdict === 'accepted' && judgement.roots !== undefined;
  return {
    seq,
    outlierSeq: event.outlier?.seq,
    pdu: event.pdu,
    verdict: judgement.verdict,
    code: judgement.code,
    reason: judgement.reason,
    isOutlier: judgement.roots === undefined,
    isPartial: judgement.roots?.isPartial === true,
    wasPartial: judgement.roots?.isPartial === true,
    isRedacted: event.isRedacted,
    hasGivenState: event.givenState !== undefined,
    rewrites: event.rewrites === true,
    timelineOrder: isHistory ? (event.timelineOrder ?? room.timelineFirst - 1) : undefined,
    revisions: [],
    transaction: event.transaction,
    receivedFrom: event.receivedFrom,
    receivedAt: event.receivedAt,
    roots: judgement.roots,
  };
}

/** The event with the room's current state noted, once the room has taken it in. */
export function withRoomState(event: KnownEvent, room: Room): KnownEvent {
  if (event.roots === undefined || event.verdict !== 'accepted' || isBackfilled(event)) return event;
  const { root } = room.current();
  if (equalBytes(root.hash, event.roots.after.hash)) return event;
  return { ...event, roots: { ...event.roots, room: root } };
}

/** Who is known under which seq, and who cited them last. */
export type Citations = Pick<KnownEvents, 'chainSeqOf' | 'newestCiter'>;

/**
 * Whom a state event cites, and who cited them last before it; undefined for events that nothing may rest on,
 * and for those that were outliers, whose chain was stored then unless they were rejected as such. It is stored with
 * the event, so it is the first verdict that counts: one that lets it be cited only later has its chain stored then,
 * see `revisedChainOf`.
 * @param outlier what was said of it as an outlier, where it was one
 */
export function chainOf(
  event: Pick<KnownEvent, 'pdu' | 'verdict' | 'code' | 'reason' | 'revisions'>,
  outlier: StoredVerdict | undefined,
  known: Citations,
): ChainRow | undefined {
  const isCitable = firstVerdict(event).verdict !== 'rejected' && (outlier ?? 'rejected') === 'rejected';
  return isCitable ? chainOfState(event.pdu, known) : undefined;
}

/**
 * The chain of an event that was rejected first, as a state or as an outlier, and whose verdict was revised: stored
 * with its first revision, under the seq that chains know it by.
 * @param outlier what was said of it as an outlier, where it was one
 */
export function revisedChainOf(
  event: Pick<KnownEvent, 'pdu' | 'verdict' | 'code' | 'reason' | 'revisions'>,
  outlier: StoredVerdict | undefined,
  known: Citations,
): ChainRow | undefined {
  const isFirst = event.revisions.length === 1 && event.verdict !== 'rejected';
  const hadNone = firstVerdict(event).verdict === 'rejected' && (outlier ?? 'rejected') === 'rejected';
  return isFirst && hadNone ? chainOfState(event.pdu, known) : undefined;
}

function chainOfState(pdu: Pdu, known: Citations): ChainRow | undefined {
  if (pdu.stateKey === undefined || pdu.rules.isInternal) return undefined;
  const authSeqs: number[] = [];
  const citedBefore: number[] = [];
  for (const id of pdu.authEvents) {
    const seq = known.chainSeqOf(id);
    if (seq === undefined) continue;
    authSeqs.push(seq);
    citedBefore.push(known.newestCiter(seq));
  }
  return { authSeqs, citedBefore };
}

/** The event's rows in its commit group. */
export function groupEvent(
  event: KnownEvent,
  bytes: Uint8Array,
  roomNumber: number,
  chain: ChainRow | undefined,
  givenState: GivenState | undefined,
): GroupEvent {
  const { pdu } = event;
  const isShown = event.verdict === 'accepted' && !event.isOutlier;
  return {
    seq: event.seq,
    row: {
      roomId: pdu.roomId,
      roomVersion: pdu.rules.version,
      eventId: pdu.eventId,
      verdict: event.verdict,
      code: event.code,
      reason: event.reason,
      isOutlier: event.isOutlier,
      isPartial: event.wasPartial,
      isRedacted: event.isRedacted,
      hasGivenState: event.hasGivenState,
      ...(event.rewrites ? { rewrites: true as const } : {}),
      receivedFrom: event.receivedFrom,
      receivedAt: event.receivedAt,
      bytes,
      ...(event.outlierSeq === undefined ? {} : { outlierSeq: event.outlierSeq }),
      ...(event.timelineOrder === undefined ? {} : { timelineOrder: event.timelineOrder }),
      ...(event.revisions.length === 0 ? {} : { revisions: event.revisions }),
      ...(event.transaction === undefined ? {} : { transaction: event.transaction }),
    },
    roomNumber,
    type: pdu.type,
    stateKey: pdu.stateKey,
    prevEvents: pdu.prevEvents,
    redacts: pdu.redacts,
    relatesTo: relatedEvent(pdu),
    timelineOrder: isShown ? (event.timelineOrder ?? event.seq) : undefined,
    roots: event.roots,
    chain,
    givenState,
  };
}

/** The given state of an event as it is stored. All of its events are known by now. */
export function givenStateOf({ givenState }: VerifiedEvent, known: KnownEvents): GivenState | undefined {
  return givenState?.flatMap((id) => known.seqOf(id) ?? []);
}

/** The event that this one relates to (client-server API, `m.relates_to`), where it names one. */
function relatedEvent({ content }: Pdu): EventId | undefined {
  const relation = own(content, 'm.relates_to');
  const id = isObject(relation) ? own(relation, 'event_id') : undefined;
  if (typeof id !== 'string' || !id.startsWith('$') || Buffer.byteLength(id) > RELATED_ID_BYTES_MAX)
    return undefined;
  return id as EventId;
}
