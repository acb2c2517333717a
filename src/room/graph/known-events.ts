// The events that are known, parsed, by id or by seq: committed ones from the store, and those decided
// but not yet committed, which later events already build on.
//
// It is also the `EventGraph` that state resolution walks: who cites whom as an auth event is a linked list
// through the `chains` rows, newest citer first, so a walk upwards is point reads and nothing else.

import type { EventId, RoomId } from '../../event/ids.js';
import { parseInternalEvent } from '../../event/internal.js';
import { isObject, own, parseJson } from '../../event/json.js';
import { parsePdu } from '../../event/parse.js';
import type { Pdu } from '../../event/pdu.js';
import { redact } from '../../event/redact.js';
import { storedRulesOf } from '../../event/rules.js';
import { ClockCache } from '../../lib/clock-cache.js';
import { StoreCorruptError } from '../../store/errors.js';
import type {
  ChainRow,
  ClientTransaction,
  EventRow,
  Revision,
  RootsRow,
  StoredVerdict,
} from '../../store/records.js';
import type { Store } from '../../store/store.js';
import type { EventGraph } from '../resolution/contract.js';
import { MEMBER_TYPE } from '../state/key.js';

/** One known event with our record of it. */
export interface KnownEvent {
  /** Place in the commit order; that of its place in the graph, where it was an outlier first. */
  readonly seq: number;
  /** The seq that it had as an outlier, before it got its place. */
  readonly outlierSeq: number | undefined;
  readonly pdu: Pdu;
  readonly verdict: StoredVerdict;
  readonly code: string;
  readonly reason: string;
  readonly isOutlier: boolean;
  /** Its roots rest on a state known to be incomplete. */
  readonly isPartial: boolean;
  /** They did when it was stored. */
  readonly wasPartial: boolean;
  readonly isRedacted: boolean;
  readonly hasGivenState: boolean;
  /** It replaced all forward extremities. */
  readonly rewrites: boolean;
  /** See `EventRow.timelineOrder`. */
  readonly timelineOrder: number | undefined;
  /** Verdicts that a completed state changed, oldest first. */
  readonly revisions: readonly Revision[];
  /** The request of a client of ours that made it. */
  readonly transaction: ClientTransaction | undefined;
  readonly receivedFrom: string;
  readonly receivedAt: number;
  /** Undefined for outliers. */
  readonly roots: RootsRow | undefined;
}

/** What a state that is given whole asks of its events. */
export interface StateFacts extends Pick<KnownEvent, 'seq' | 'verdict'> {
  readonly roomId: RoomId;
  readonly type: string;
  /** Undefined for what is no state event. */
  readonly stateKey: string | undefined;
  /** What a membership event says. */
  readonly membership: string | undefined;
}

/** The seq that rows of `chains`, `cited`, `edges` and `versions` know an event by. It never changes. */
export function chainSeqOf({ seq, outlierSeq }: Pick<KnownEvent, 'seq' | 'outlierSeq'>): number {
  return outlierSeq ?? seq;
}

/** Part of history that was fetched later: it is no extremity, and nothing new for whoever follows the room. */
export function isBackfilled({ timelineOrder }: { readonly timelineOrder?: number | undefined }): boolean {
  return timelineOrder !== undefined && timelineOrder < 0;
}

/** Where it stands in its room's timeline: its seq, unless it was fetched later or accepted later than it came. */
export function orderOf({ seq, timelineOrder }: Pick<KnownEvent, 'seq' | 'timelineOrder'>): number {
  return timelineOrder ?? seq;
}

/** What was said of it when it was stored. */
export function firstVerdict(
  event: Pick<KnownEvent, 'verdict' | 'code' | 'reason'> & Pick<EventRow, 'revisions'>,
): {
  readonly verdict: StoredVerdict;
  readonly code: string;
  readonly reason: string;
} {
  return event.revisions?.[0] ?? event;
}

/** Known events as rules, resolution and rooms look them up. */
export interface EventLookup extends EventGraph {
  /** The event with our record of it, or undefined when it is not known. */
  get(eventId: EventId): KnownEvent | undefined;
  has(eventId: EventId): boolean;
  pdu(eventId: EventId): Pdu | undefined;
}

const NONE: readonly Revision[] = [];

/** May what is known of it come to say something else? */
function mayChange(event: KnownEvent): boolean {
  return event.isOutlier || event.isPartial;
}

/** What parsed events may take in memory, about, beside the pending ones. */
const CACHE_BYTES_MAX = 20 * 1024 * 1024;
/** What a parsed event takes, about: its objects, and its text some times over. */
const EVENT_OVERHEAD_BYTES = 1_500;
const PARSED_FACTOR = 3;
/** What the facts of outliers may take in memory, about: those of a large state, which comes as outliers. */
const FACTS_BYTES_MAX = 16 * 1024 * 1024;
const FACTS_BYTES = 400;
/** Seqs whose event ids are kept. */
const IDS_MAX = 16_384;

export class KnownEvents implements EventLookup {
  readonly #store: Store;
  readonly #isWritten: boolean;
  readonly #cache: ClockCache<EventId, KnownEvent>;
  /** Ids of events that are, or were lately, in the cache. */
  readonly #idsBySeq: ClockCache<number, EventId>;
  readonly #facts = new ClockCache<EventId, StateFacts>(FACTS_BYTES_MAX);
  readonly #pending = new Map<EventId, KnownEvent>();
  readonly #pendingBySeq = new Map<number, KnownEvent>();
  readonly #pendingChains = new Map<number, { readonly of: KnownEvent; readonly chain: ChainRow }>();
  readonly #pendingCited = new Map<number, number>();
  /** Events fetched, from the cache or the store: benchmarks count them. */
  reads = 0;

  /**
   * @param writtenBy `others` commit events too: outliers that are cached may have got their place meanwhile, and
   *   incomplete states may have been completed
   * @param sharing those of the same store, what is committed and cached of which is shared
   */
  constructor(store: Store, writtenBy: 'others' | 'us' = 'others', sharing?: KnownEvents) {
    this.#store = store;
    this.#isWritten = writtenBy === 'others';
    this.#cache = sharing === undefined ? new ClockCache(CACHE_BYTES_MAX) : sharing.#cache;
    this.#idsBySeq = sharing === undefined ? new ClockCache(IDS_MAX) : sharing.#idsBySeq;
  }

  /** The event with our record of it, or undefined when it is not known. */
  get(eventId: EventId): KnownEvent | undefined {
    this.reads++;
    const pending = this.#pending.get(eventId);
    if (pending !== undefined) return pending;
    const cached = this.#cache.get(eventId);
    if (cached !== undefined && !(this.#isWritten && mayChange(cached))) return cached;
    const seq = this.#store.seqOf(eventId);
    if (cached?.isOutlier === true && seq === cached.seq) return cached;
    return seq === undefined ? undefined : this.#load(seq);
  }

  /** What a state asks of the event, or undefined when it is not known. Cheaper than `get` where it came lately. */
  facts(eventId: EventId): StateFacts | undefined {
    const facts = this.#pending.has(eventId) || this.#isWritten ? undefined : this.#facts.get(eventId);
    if (facts !== undefined) return facts;
    const event = this.get(eventId);
    return event && factsOf(event);
  }

  /** Is the event known? Cheaper than `get`. */
  has(eventId: EventId): boolean {
    return this.#pending.has(eventId) || this.#cache.has(eventId) || this.#store.seqOf(eventId) !== undefined;
  }

  /** Its place in the commit order, or undefined when it is not known. */
  seqOf(eventId: EventId): number | undefined {
    return this.#pending.get(eventId)?.seq ?? this.#cache.get(eventId)?.seq ?? this.#store.seqOf(eventId);
  }

  /**
   * The event committed (or about to be) at a seq, as it is known now: with its place, and the seq of that, where
   * it was an outlier then.
   */
  at(seq: number): KnownEvent | undefined {
    const event = this.#at(seq);
    return event !== undefined && mayChange(event) ? this.get(event.pdu.eventId) : event;
  }

  #at(seq: number): KnownEvent | undefined {
    const pending = this.#pendingBySeq.get(seq);
    if (pending !== undefined) return pending;
    const id = this.#idsBySeq.get(seq);
    return (id === undefined ? undefined : this.#cache.get(id)) ?? this.#load(seq);
  }

  /** The event at a key, as auth rules read it. */
  pdu(eventId: EventId): Pdu | undefined {
    return this.get(eventId)?.pdu;
  }

  // EventGraph.

  event(eventId: EventId): Pdu | undefined {
    return this.get(eventId)?.pdu;
  }

  isRejected(eventId: EventId): boolean {
    return this.get(eventId)?.verdict === 'rejected';
  }

  order(eventId: EventId): number {
    return this.chainSeqOf(eventId) ?? 0;
  }

  *citedBy(eventId: EventId): Generator<EventId> {
    // An outlier may turn out to be refused where its place is, and any event when a state is completed.
    for (const citer of this.citers(eventId)) if (citer.verdict !== 'rejected') yield citer.pdu.eventId;
  }

  /** State events that name this one among their auth events and were accepted, at first or later. */
  *citers(eventId: EventId): Generator<KnownEvent> {
    const cited = this.chainSeqOf(eventId);
    if (cited === undefined) return;
    let citer = this.newestCiter(cited);
    while (citer !== 0) {
      const event = this.at(citer);
      const chain = this.#pendingChains.get(citer)?.chain ?? this.#store.chain(citer);
      if (event === undefined || chain === undefined) return;
      yield event;
      citer = chain.citedBefore[chain.authSeqs.indexOf(cited)] ?? 0;
    }
  }

  /** The seq that rows of chains know an event by, or undefined when it is not known. */
  chainSeqOf(eventId: EventId): number | undefined {
    const event = this.get(eventId);
    return event === undefined ? undefined : chainSeqOf(event);
  }

  /** Seq of the newest state event that cites the one at `seq`, or 0. */
  newestCiter(seq: number): number {
    return this.#pendingCited.get(seq) ?? this.#store.citedBy(seq) ?? 0;
  }

  // The commit path.

  /**
   * Makes a decided or revised event known before it is committed.
   * @param chain what is stored with it, under the seq that chains know it by
   */
  addPending(event: KnownEvent, chain: ChainRow | undefined): void {
    this.#pending.set(event.pdu.eventId, event);
    this.#pendingBySeq.set(event.seq, event);
    if (chain === undefined) return;
    const chainSeq = chainSeqOf(event);
    this.#pendingChains.set(chainSeq, { of: event, chain });
    for (const cited of chain.authSeqs) this.#pendingCited.set(cited, chainSeq);
  }

  /** The event is not to be committed after all. @param before what was known of it, as an outlier */
  dropPending(event: KnownEvent, before: KnownEvent | undefined): void {
    const chainSeq = chainSeqOf(event);
    const chain = this.#pendingChains.get(chainSeq)?.chain;
    if (before !== undefined && this.#pendingBySeq.has(before.seq)) {
      this.#pending.set(event.pdu.eventId, before);
    } else {
      this.#pending.delete(event.pdu.eventId);
    }
    this.#pendingBySeq.delete(event.seq);
    this.#pendingChains.delete(chainSeq);
    chain?.authSeqs.forEach((cited, i) => this.#pendingCited.set(cited, chain.citedBefore[i] ?? 0));
  }

  /** The event is in the store now; `bytes` is its PDU's length. */
  committed(event: KnownEvent, bytes: number): void {
    const { eventId } = event.pdu;
    // An outlier may have got its place, or a verdict may have been revised, and that is not committed yet.
    if (this.#pending.get(eventId) === event) this.#pending.delete(eventId);
    if (this.#pendingBySeq.get(event.seq) === event) this.#pendingBySeq.delete(event.seq);
    this.#chainCommitted(event, chainSeqOf(event));
    this.#remember(event, bytes);
    if (event.isOutlier) this.#facts.set(eventId, factsOf(event), FACTS_BYTES);
    else this.#facts.delete(eventId);
  }

  #chainCommitted(event: KnownEvent, seq: number): void {
    const pending = this.#pendingChains.get(seq);
    if (pending?.of !== event) return;
    this.#pendingChains.delete(seq);
    for (const cited of pending.chain.authSeqs) {
      if (this.#pendingCited.get(cited) === seq) this.#pendingCited.delete(cited);
    }
  }

  /** Forgets what is cached: the rows beneath were changed (a rebuild, a purge). */
  clear(): void {
    this.#cache.clear();
    this.#facts.clear();
  }

  #remember(event: KnownEvent, bytes: number): void {
    const { eventId } = event.pdu;
    this.#cache.set(eventId, event, parsedSize(bytes));
    this.#idsBySeq.set(event.seq, eventId, 1);
  }

  #load(seq: number): KnownEvent | undefined {
    const row = this.#store.event(seq);
    if (row === undefined) return undefined;
    const place = row.isOutlier ? this.#store.seqOf(row.eventId) : seq;
    if (place !== undefined && place > seq) return this.#load(place);
    const event = knownEventOf(seq, row, this.#store.roots(seq));
    this.#remember(event, row.bytes.length);
    return event;
  }
}

function factsOf({ pdu, seq, verdict }: KnownEvent): StateFacts {
  const { roomId, type, stateKey, content } = pdu;
  const membership = type === MEMBER_TYPE ? own(content, 'membership') : undefined;
  return {
    seq,
    verdict,
    roomId,
    type,
    stateKey,
    membership: typeof membership === 'string' ? membership : undefined,
  };
}

function parsedSize(bytes: number): number {
  return EVENT_OVERHEAD_BYTES + PARSED_FACTOR * bytes;
}

/** A stored row as a known event. @throws StoreCorruptError when its bytes are not the event they claim */
export function knownEventOf(seq: number, row: EventRow, roots: RootsRow | undefined): KnownEvent {
  return {
    seq,
    outlierSeq: row.outlierSeq,
    pdu: pduOfRow(row),
    verdict: row.verdict,
    code: row.code,
    reason: row.reason,
    isOutlier: row.isOutlier,
    isPartial: roots?.isPartial === true,
    wasPartial: row.isPartial,
    isRedacted: row.isRedacted,
    hasGivenState: row.hasGivenState,
    rewrites: row.rewrites === true,
    timelineOrder: row.timelineOrder,
    revisions: row.revisions ?? NONE,
    transaction: row.transaction,
    receivedFrom: row.receivedFrom,
    receivedAt: row.receivedAt,
    roots,
  };
}

/** What a stored PDU is read from. */
export type StoredPdu = Pick<EventRow, 'roomId' | 'roomVersion' | 'eventId' | 'isRedacted' | 'bytes'>;

/** The PDU of a stored row; its hashes were checked when it was received. */
export function pduOfRow(row: StoredPdu): Pdu {
  const rules = storedRulesOf(row.roomVersion);
  const fields = { event_id: row.eventId, room_id: row.roomId };
  if (rules === undefined)
    throw new StoreCorruptError(`event ${row.eventId} has an unknown room version`, fields);
  if (rules.isInternal) return parseInternalEvent(row.bytes);
  const json = parseJson(row.bytes);
  if (!isObject(json)) throw new StoreCorruptError(`event ${row.eventId} is not a JSON object`, fields);
  return parsePdu(row.isRedacted ? redact(json, rules) : json, rules, { trustedId: row.eventId });
}
