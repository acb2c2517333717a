// From a verified event to its verdict, synchronously: heads, graph, authorise, exclude.
//
// Nothing here awaits, so nothing that could change between the check against the current state and the
// decision can come between: the exclusive section of a room is this call. It builds on events that are
// decided and not yet committed, in the order in which they will be.

import type { EventId, RoomId } from '../event/ids.js';
import type { Pdu } from '../event/pdu.js';
import { equalBytes } from '../lib/bytes.js';
import { type Check, checkByAuthEvents, checkByState, selectsSame } from '../room/checks.js';
import type { EventLookup, KnownEvent } from '../room/graph/known-events.js';
import { checkByPartialState } from '../room/partial-check.js';
import type { Room } from '../room/graph/room.js';
import type { Rooms } from '../room/graph/rooms.js';
import type { ResolvedState, StateResolver } from '../room/graph/state-resolver.js';
import { ResolutionTooLargeError } from '../room/resolution/errors.js';
import { keyOf } from '../room/resolution/keys.js';
import type { StateUpdate } from '../room/state/room-states.js';
import type { ClientTransaction, RootsRow, StoredVerdict } from '../store/records.js';
import { EMPTY_ROOT } from '../tree/tree.js';
import type { RootRef } from '../tree/types.js';
import { VERDICT_CODES, type VerdictCode } from './outcome.js';

/** An event that has passed the checks of form, hash and signature. */
export interface VerifiedEvent {
  readonly pdu: Pdu;
  /** As received. */
  readonly bytes: Uint8Array;
  readonly isRedacted: boolean;
  readonly receivedFrom: string;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
  /** Store it without a place in the graph: an auth event, or part of a state received whole. */
  readonly asOutlier: boolean;
  /** The state before it as its giver says, because its history is missing: ids of known state events. */
  readonly givenState: readonly EventId[] | undefined;
  /** It belongs to history that is fetched later: it changes nothing of what the room is now. */
  readonly backfilled?: boolean;
  /** Where it goes in the timeline, for one of a batch of history. */
  readonly timelineOrder?: number;
  /** With a given state: nothing was seen of the room for a while, it replaces all forward extremities. */
  readonly rewrites?: boolean;
  /** The given state is known to be incomplete. */
  readonly isPartial?: boolean;
  /** Then: the servers that are in the room, as its giver says. */
  readonly servers?: readonly string[];
  /** What is known of events of the given state without reading them: keys and values to put. */
  readonly givenEntries?: ReadonlyMap<EventId, StateUpdate>;
  /** Resolves when `bytes` are whole, where its signature is still being made. */
  readonly signed?: Promise<void> | undefined;
  /** The request of a client of ours that made it. */
  readonly transaction?: ClientTransaction | undefined;
  /** What is known of it as an outlier, where it is one that gets its place. */
  readonly outlier?: KnownEvent;
}

/** What the judge says of an event. */
export type Judgement =
  | {
      readonly kind: 'waiting';
      readonly missing: readonly EventId[];
      /** Those that must get a place. */
      readonly places: readonly EventId[];
    }
  | { readonly kind: 'dropped'; readonly code: string; readonly reason: string }
  | {
      readonly kind: 'stored';
      readonly verdict: StoredVerdict;
      readonly code: string;
      readonly reason: string;
      readonly rule: string | undefined;
      /** Undefined for outliers. */
      readonly roots: RootsRow | undefined;
    };

/** What is stored of a judgement. */
export type StoredJudgement = Pick<Extract<Judgement, { kind: 'stored' }>, 'verdict' | 'code' | 'reason'>;

/** A judgement, and the room it was made in: a new one for a create event. */
export interface Judged {
  readonly judgement: Judgement;
  readonly room: Room | undefined;
}

/** The events that one refers to. */
interface Referred {
  /** Those that it has to wait for. */
  readonly missing: ReadonlySet<EventId>;
  /** Those of them that must get a place. */
  readonly places: ReadonlySet<EventId>;
  /** Those known that it cites. */
  readonly authEvents: readonly Pdu[];
  /** Those known that it follows. */
  readonly heads: readonly KnownEvent[];
}

export class Judge {
  readonly #known: EventLookup;
  readonly #rooms: Rooms;
  readonly #resolver: StateResolver;
  /** Records that a replay met before the first place of their room. */
  readonly #settled = new Map<RoomId, Pdu[]>();

  constructor(known: EventLookup, rooms: Rooms, resolver: StateResolver) {
    this.#known = known;
    this.#rooms = rooms;
    this.#resolver = resolver;
  }

  /** The judgement of an event that has no place yet. Errors are bugs or a damaged store, never the event's. */
  judge(event: VerifiedEvent): Judged {
    const { pdu } = event;
    const room = this.#rooms.find(pdu.roomId);
    if (pdu.type === 'm.room.create') return this.#create(event, room);
    return { judgement: this.#judgeIn(event, room), room };
  }

  /** The room of an event, where it is known. */
  roomOf({ roomId }: Pdu): Room | undefined {
    return this.#rooms.find(roomId);
  }

  #judgeIn(event: VerifiedEvent, room: Room | undefined): Judgement {
    const { pdu } = event;
    const referred = this.#referred(event);
    const { missing, places } = referred;
    if (missing.size > 0) return { kind: 'waiting', missing: [...missing], places: [...places] };
    if (room === undefined) return dropped('ROOM_UNKNOWN');
    if (room.rules !== pdu.rules) return dropped('ROOM_VERSION_UNKNOWN');
    if (event.asOutlier) return this.#outlier(pdu, referred);
    if (pdu.prevEvents.length === 0) return dropped('GRAPH_NO_HISTORY');
    if (referred.heads.some((prev) => prev.pdu.roomId !== pdu.roomId)) return dropped('GRAPH_OTHER_ROOM');
    try {
      return this.#placed(event, room, referred);
    } catch (error) {
      if (error instanceof ResolutionTooLargeError) return dropped('RESOLUTION_TOO_LARGE');
      throw error;
    }
  }

  /**
   * The judgement of an event that is stored already: the states around it are made anew, nothing is checked.
   * The same calls in the same order as when it was judged, so that the same nodes come of it.
   */
  replay(event: VerifiedEvent, { verdict, code, reason }: StoredJudgement): Judged {
    const { pdu } = event;
    if (pdu.rules.isInternal) return event.asOutlier ? this.#settle(pdu) : this.#afterSettled(pdu);
    const judgement = { kind: 'stored', verdict, code, reason, rule: undefined } as const;
    const room = this.#rooms.find(pdu.roomId);
    if (pdu.type === 'm.room.create') return this.#begin(event, room);
    if (room === undefined || event.asOutlier) return { judgement: { ...judgement, roots: undefined }, room };
    const heads = this.#heads(pdu);
    const unchanged = unchangedBy(this.#before(event, room, heads), restsOnPartial(event, heads));
    if (verdict === 'rejected') return { judgement: { ...judgement, roots: unchanged }, room };
    const roots = { ...unchanged, after: room.states.put(unchanged.before, pdu) };
    const current = verdict === 'soft_failed' ? room.current().root : undefined;
    return { judgement: { ...judgement, roots: { ...roots, current } }, room };
  }

  /** The judgement of this server's own record: it follows what the room holds, and nothing is asked of it. */
  internal(pdu: Pdu): Judged {
    const room = this.#rooms.find(pdu.roomId) ?? this.#rooms.begin(pdu);
    const before = room.current().root;
    const after = room.states.put(before, pdu);
    return {
      judgement: accepted({ after, before, traceId: undefined, current: undefined, room: undefined }),
      room,
    };
  }

  /** A record whose place in the history was collected: the state before the first place has it. */
  #settle(pdu: Pdu): Judged {
    const room = this.#rooms.find(pdu.roomId) ?? this.#rooms.begin(pdu);
    const settled = this.#settled.get(pdu.roomId);
    if (settled === undefined) this.#settled.set(pdu.roomId, [pdu]);
    else settled.push(pdu);
    return { judgement: accepted(undefined), room };
  }

  /** The first with a place follows on all that have none, put together at once: no state lies between them. */
  #afterSettled(pdu: Pdu): Judged {
    const settled = this.#settled.get(pdu.roomId);
    const room = settled === undefined ? undefined : this.#rooms.find(pdu.roomId);
    if (settled !== undefined && room !== undefined) {
      this.#settled.delete(pdu.roomId);
      const updates = settled.flatMap((event) =>
        event.stateKey === undefined ? [] : [{ type: event.type, stateKey: event.stateKey, event }],
      );
      room.settle(room.states.update(EMPTY_ROOT, updates));
    }
    return this.internal(pdu);
  }

  /** A create event begins its room; a second one is refused. Its state before is empty. */
  #create(event: VerifiedEvent, existing: Room | undefined): Judged {
    const { pdu } = event;
    // The very same one may be known as an outlier, but not have its place already.
    const isOther = existing !== undefined && existing.createEventId !== pdu.eventId;
    if (isOther || this.#known.get(pdu.eventId)?.roots !== undefined) {
      return { judgement: dropped('GRAPH_SECOND_CREATE'), room: existing };
    }
    const [refused] = failed(checkByAuthEvents(pdu, [], this.#known));
    if (refused !== undefined) {
      const { reason } = refused.verdict;
      return { judgement: { kind: 'dropped', code: 'AUTH_BY_AUTH_EVENTS', reason }, room: undefined };
    }
    // At any other key it would leave the room's state without a create event: nothing could follow it.
    if (pdu.stateKey !== '') return { judgement: dropped('GRAPH_NO_HISTORY'), room: undefined };
    return this.#begin(event, existing);
  }

  /** As an outlier it begins a room in which nothing has a place yet. */
  #begin({ pdu, asOutlier }: VerifiedEvent, existing: Room | undefined): Judged {
    const room = existing ?? this.#rooms.begin(pdu);
    if (asOutlier) return { judgement: accepted(undefined), room };
    const after = room.states.put(EMPTY_ROOT, pdu);
    return {
      judgement: accepted({
        after,
        before: EMPTY_ROOT,
        traceId: undefined,
        current: undefined,
        room: undefined,
      }),
      room,
    };
  }

  /**
   * The events referred to. Missing are its auth events that are not known, and its predecessors unless their
   * state is given.
   */
  #referred({ pdu, asOutlier, givenState, givenEntries }: VerifiedEvent): Referred {
    const missing = new Set<EventId>();
    const places = new Set<EventId>();
    const authEvents: Pdu[] = [];
    for (const id of pdu.authEvents) {
      const cited = this.#known.pdu(id);
      if (cited === undefined) missing.add(id);
      else authEvents.push(cited);
    }
    if (pdu.rules.authorisation.createIsImplied) {
      const create = `$${pdu.roomId.slice(1)}` as EventId;
      if (!this.#known.has(create)) missing.add(create);
    }
    for (const id of givenState ?? []) {
      if (givenEntries?.has(id) !== true && !this.#known.has(id)) missing.add(id);
    }
    const heads = asOutlier ? [] : this.#heads(pdu);
    if (asOutlier || givenState !== undefined) return { missing, places, authEvents, heads };
    const placed = new Set<EventId>();
    for (const { isOutlier, pdu: prev } of heads) if (!isOutlier) placed.add(prev.eventId);
    for (const id of pdu.prevEvents) if (!placed.has(id)) places.add(id);
    for (const id of places) missing.add(id);
    return { missing, places, authEvents, heads };
  }

  #outlier(pdu: Pdu, { authEvents }: Referred): Judgement {
    const [refused] = failed(checkByAuthEvents(pdu, authEvents, this.#known));
    return refused === undefined ? accepted(undefined) : rejected(refused, undefined);
  }

  /**
   * An event with a place in the graph: all checks, the state before and after it.
   * @throws ROOM_RESOLUTION_TOO_LARGE
   */
  #placed(event: VerifiedEvent, room: Room, { authEvents, heads }: Referred): Judgement {
    const { pdu } = event;
    const isPartial = restsOnPartial(event, heads);
    const unchanged = unchangedBy(this.#before(event, room, heads), isPartial);
    const [refused] = failed(this.#checks(pdu, authEvents, room, unchanged));
    if (refused !== undefined) return rejected(refused, unchanged);

    const roots = { ...unchanged, after: room.states.put(unchanged.before, pdu) };
    // What is new is asked of the current state: not history, nor what shows that the current state is old, nor
    // while it is not all known.
    const isNew = event.backfilled !== true && event.rewrites !== true && !room.isPartial && !isPartial;
    return isNew ? this.#accepted(pdu, room, roots) : accepted(roots);
  }

  /** An event that is allowed where it stands: accepted, or soft failed by the current state. */
  #accepted(pdu: Pdu, room: Room, roots: RootsRow): StoredJudged {
    const current = room.current().root;
    const softFail = this.#softFail(pdu, room, roots.before, current);
    return softFail === undefined ? accepted(roots) : rejected(softFail, { ...roots, current });
  }

  /**
   * The judgement of an event with a place, once more, on a state that is known better than it was: the roots around
   * it, and every check but those that it was spared when it was new. Predecessors and their new roots are found in
   * the events that this judge knows.
   * @param isHistory it has no say in what the room is now, nor has that in what becomes of it
   * @param givenState the state before it, where it is the one whose state was completed
   * @param room the room as it was when the event came
   * @throws ROOM_RESOLUTION_TOO_LARGE
   */
  revise(event: KnownEvent, room: Room, isHistory: boolean, givenState?: RootRef): StoredJudged {
    const { pdu } = event;
    const heads = this.#heads(pdu);
    const before =
      givenState === undefined ? this.#resolver.after(room, heads) : { root: givenState, traceId: undefined };
    const isPartial = givenState === undefined && heads.some((head) => head.isPartial);
    const unchanged = unchangedBy(before, isPartial);
    const authEvents = pdu.authEvents.flatMap((id) => this.#known.pdu(id) ?? []);
    const [refused] = failed(this.#checks(pdu, authEvents, room, unchanged));
    if (refused !== undefined) return rejected(refused, unchanged);
    const roots = { ...unchanged, after: room.states.put(before.root, pdu) };
    const isNew = event.verdict === 'rejected' && !isHistory && !isPartial;
    if (event.verdict === 'soft_failed')
      return softFailedAgain(event, { ...roots, current: room.current().root });
    return isNew ? this.#accepted(pdu, room, roots) : accepted(roots);
  }

  #before(
    { givenState, givenEntries }: VerifiedEvent,
    room: Room,
    heads: readonly KnownEvent[],
  ): ResolvedState {
    if (givenState === undefined) return this.#resolver.after(room, heads);
    return { root: this.#given(givenState, room, givenEntries), traceId: undefined };
  }

  /** The state of these events, made from the current one, which is likely near: the two share nodes. */
  #given(givenState: readonly EventId[], room: Room, entries: VerifiedEvent['givenEntries']): RootRef {
    const { root } = room.current();
    const given = new Set(givenState);
    const updates = new Map<string, StateUpdate>();
    for (const { type, stateKey, eventId } of room.states.entries(root)) {
      if (!given.delete(eventId)) updates.set(keyOf(type, stateKey), { type, stateKey, event: undefined });
    }
    for (const id of given) {
      const update = entries?.get(id) ?? this.#updateOf(id);
      if (update !== undefined) updates.set(keyOf(update.type, update.stateKey), update);
    }
    return room.states.update(root, updates.values());
  }

  #updateOf(id: EventId): StateUpdate | undefined {
    const known = this.#known.get(id);
    if (known?.pdu.stateKey === undefined || known.verdict === 'rejected') return undefined;
    const { type, stateKey } = known.pdu;
    return { type, stateKey, event: known.pdu };
  }

  #heads(pdu: Pdu): KnownEvent[] {
    const heads: KnownEvent[] = [];
    for (const id of pdu.prevEvents) {
      const head = this.#known.get(id);
      if (head !== undefined) heads.push(head);
    }
    return heads;
  }

  /** Checks 4 and 5. Where the state before selects the very events that are cited, one verdict serves both. */
  #checks(pdu: Pdu, authEvents: readonly Pdu[], room: Room, { before, isPartial }: RootsRow): Check[] {
    const checks = checkByAuthEvents(pdu, authEvents, this.#known);
    if (failed(checks).length > 0 || selectsSame(pdu, room.states, before)) return checks;
    const check =
      isPartial === true
        ? checkByPartialState(pdu, room.states, before, authEvents, this.#known)
        : checkByState('auth_by_state_before', pdu, room.states, before, this.#known);
    return [...checks, check];
  }

  /** Check 6, against the current state; an event whose state before is the current one has passed it already. */
  #softFail(pdu: Pdu, room: Room, before: RootRef, current: RootRef): Check | undefined {
    if (equalBytes(before.hash, current.hash)) return undefined;
    if (selectsSame(pdu, room.states, current)) return undefined;
    return failed([checkByState('auth_by_current_state', pdu, room.states, current, this.#known)])[0];
  }
}

/** The roots around an event that changes nothing. */
function unchangedBy({ root, traceId }: ResolvedState, isPartial: boolean): RootsRow {
  const partial = isPartial ? { isPartial: true as const } : {};
  return { after: root, before: root, traceId, current: undefined, room: undefined, ...partial };
}

/** Does the state before an event rest on one that is known to be incomplete? */
function restsOnPartial(event: VerifiedEvent, heads: readonly KnownEvent[]): boolean {
  return event.isPartial === true || (event.givenState === undefined && heads.some((head) => head.isPartial));
}

function failed(checks: readonly Check[]): Check[] {
  return checks.filter(({ verdict }) => !verdict.allowed);
}

const CODES = {
  auth_events: 'AUTH_EVENTS_INVALID',
  auth_by_auth_events: 'AUTH_BY_AUTH_EVENTS',
  auth_by_state_before: 'AUTH_BY_STATE_BEFORE',
  auth_by_current_state: 'AUTH_BY_CURRENT_STATE',
} as const;

type StoredJudged = Extract<Judgement, { kind: 'stored' }>;

function softFailedAgain({ code, reason }: KnownEvent, roots: RootsRow): StoredJudged {
  return { kind: 'stored', verdict: 'soft_failed', code, reason, rule: undefined, roots };
}

function rejected({ check, verdict }: Check, roots: RootsRow | undefined): StoredJudged {
  return {
    kind: 'stored',
    verdict: check === 'auth_by_current_state' ? 'soft_failed' : 'rejected',
    code: CODES[check],
    reason: verdict.reason,
    rule: verdict.rule,
    roots,
  };
}

function accepted(roots: RootsRow | undefined): StoredJudged {
  return { kind: 'stored', verdict: 'accepted', code: 'OK', reason: '', rule: undefined, roots };
}

function dropped(code: VerdictCode): Judgement {
  return { kind: 'dropped', code, reason: VERDICT_CODES[code] };
}
