// How much of a room a user has not read: events after their newest receipt that their push rules notify of.
//
// Counted from what is committed, so that a count comes in the same answer as its event. Counting reads events,
// so what was counted is kept for each user and room and carried on with the newest events only, as long as
// receipts and rules stay the same. Of a room that was never read the newest events are counted, and no more.
//
// Source: client-server API, "Receiving notifications", "Threaded read receipts".

import { createHash } from 'node:crypto';
import type { Accounts } from '../../account/accounts.js';
import type { Engine } from '../../engine/engine.js';
import type { EventId, RoomId, UserId } from '../../event/ids.js';
import { isObject, type JsonObject, own } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import { ClockCache } from '../../lib/clock-cache.js';
import type { StateView } from '../../reader/state-view.js';
import type { PushRuleset } from '../../account/push-rules.js';
import { powerLevelsOf } from '../../room/auth/power-levels.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import type { RoomRow } from '../../store/records.js';
import type { RoomViewer } from '../visibility.js';
import { matchPush } from './push-match.js';
import type { RoomMoments } from './room-moments.js';

export interface Counts {
  readonly notifications: number;
  readonly highlights: number;
}

/** Counts by thread: `main`, or the event that a thread begins with. */
export type UnreadByThread = ReadonlyMap<string, Counts>;

/** Events that are looked at for one count. */
const LOOKED_AT_MAX = 500;
/** What counts may take in memory, about; what those of a user and room take, and each thread in them. */
const KEPT_BYTES_MAX = 12 * 1024 * 1024;
const COUNTED_BYTES = 350;
const THREAD_BYTES = 200;
/** Joins remembered. */
const JOINS_MAX = 10_000;
/** Steps from an event to the thread it is in. */
const THREAD_HOPS_MAX = 3;
const MAIN = 'main';
const NOTIFY_LEVEL_DEFAULT = 50;

interface Threads {
  /** Up to where each thread that was met was read. */
  readonly threadMarks: ReadonlyMap<string, number>;
  readonly byThread: UnreadByThread;
}

interface Counted extends Threads {
  readonly rulesName: string;
  /** Seq up to which everything was read. */
  readonly mark: number;
  readonly to: number;
}

/** Nobody changes these: most have read everything, and share them. */
const NO_THREADS: Threads = { threadMarks: new Map(), byThread: new Map() };

/** An event that notifies. */
interface Notifying {
  readonly thread: string;
  readonly order: number;
  readonly isHighlight: boolean;
}

/** A user's push rules, and a name that changes when they do. */
export interface NamedRules {
  readonly ruleset: PushRuleset;
  readonly name: string;
}

export class UnreadCounts {
  readonly #engine: Engine;
  readonly #accounts: Accounts;
  readonly #moments: RoomMoments;
  readonly #kept = new ClockCache<string, Counted>(KEPT_BYTES_MAX);
  /** Rules stay the same object while nothing changes. */
  readonly #named = new WeakMap<PushRuleset, NamedRules>();
  /** When the membership of a member event began. */
  readonly #joins = new ClockCache<EventId, number>(JOINS_MAX);

  constructor(engine: Engine, accounts: Accounts, moments: RoomMoments) {
    this.#engine = engine;
    this.#accounts = accounts;
    this.#moments = moments;
  }

  /** The rules of a user as they are, for all rooms of one answer. */
  rulesOf(userId: UserId): NamedRules {
    const ruleset = this.#accounts.pushRules.ruleset(userId);
    let named = this.#named.get(ruleset);
    if (named === undefined) {
      // Their text names the user several times over, and is kept for each room of theirs: its hash is short.
      named = { ruleset, name: createHash('sha256').update(JSON.stringify(ruleset)).digest('base64') };
      this.#named.set(ruleset, named);
    }
    return named;
  }

  /** What the user has not read of a room up to a seq, by thread; threads without anything are left out. */
  async of(room: RoomRow, viewer: RoomViewer, to: number, rules: NamedRules): Promise<UnreadByThread> {
    const { userId } = viewer;
    const name = `${userId}\0${room.roomId}`;
    const mark = this.#mark(room.roomId, viewer);
    const kept = this.#kept.get(name);
    const isSame =
      kept?.rulesName === rules.name &&
      // What was counted before may have gone since, or come.
      kept.to >= this.#engine.partial.completedSeq(room.roomId) &&
      kept.mark === mark &&
      kept.to <= to &&
      [...kept.threadMarks].every(([thread, at]) => this.#receiptSeq(room.roomId, userId, thread) === at);
    const before: Threads = isSame ? kept : NO_THREADS;
    const after = isSame ? Math.max(mark, kept.to) : mark;
    const isQuiet = this.#moments.newestSeq(room.roomId) <= after;
    const counted = isQuiet
      ? before
      : await countedOn(before, this.#notifying(room, viewer, { after, to, rules }), (thread) =>
          this.#receiptSeq(room.roomId, userId, thread),
        );
    const { threadMarks, byThread } = counted;
    const bytes = COUNTED_BYTES + THREAD_BYTES * threadMarks.size;
    this.#kept.set(name, { rulesName: rules.name, mark, to, threadMarks, byThread }, bytes);
    return byThread;
  }

  /** The newest events of a range that the rules notify of. */
  async *#notifying(
    room: RoomRow,
    viewer: RoomViewer,
    { after, to, rules }: { readonly after: number; readonly to: number; readonly rules: NamedRules },
  ): AsyncGenerator<Notifying> {
    let lookedAt = 0;
    for await (const [order, seq] of this.#moments.newestFirst(room, { from: after + 1, to: to + 1 })) {
      if (lookedAt++ >= LOOKED_AT_MAX) return;
      const event = this.#moments.at(seq);
      if (event === undefined || event.pdu.sender === viewer.userId || !viewer.canSee(event, order)) continue;
      const outcome = matchPush(rules.ruleset, pushView(event.pdu), this.#context(event, viewer));
      if (outcome.isNotifying)
        yield { thread: this.#threadOf(event.pdu), order, isHighlight: outcome.isHighlight };
    }
  }

  #context(event: KnownEvent, { view, userId }: RoomViewer) {
    return {
      memberCount: this.#joined(view),
      displayName: this.#displayName(view, userId),
      mayNotify: (key: string) => {
        const levels = this.#stateEvent(view, 'm.room.power_levels');
        const notifications = levels === undefined ? undefined : own(levels.content, 'notifications');
        const needed = isObject(notifications) ? own(notifications, key) : undefined;
        const level = powerLevelsOf(this.#stateEvent(view, 'm.room.create'), levels).user(event.pdu.sender);
        return level >= (typeof needed === 'number' ? needed : NOTIFY_LEVEL_DEFAULT);
      },
    };
  }

  /** Of a state that is known in part at least one for each server that is in the room, and for this one. */
  #joined({ joined, roomId }: StateView): number {
    const servers = this.#engine.partial.serversIn(roomId);
    return servers === undefined ? joined : Math.max(joined, servers.length + 1);
  }

  #displayName(view: StateView, userId: UserId): string | undefined {
    const member = this.#stateEvent(view, 'm.room.member', userId);
    const name = member === undefined ? undefined : own(member.content, 'displayname');
    return typeof name === 'string' ? name : undefined;
  }

  #stateEvent(view: StateView, type: string, stateKey = ''): Pdu | undefined {
    const id = view.get(type, stateKey);
    return id === undefined ? undefined : this.#engine.reader.events.pdu(id);
  }

  /** The newest receipt without a thread, public or private; what came before the user joined is read. */
  #mark(roomId: RoomId, { userId, view }: RoomViewer): number {
    const memberId = view.get('m.room.member', userId);
    const joinedAt = memberId === undefined ? 0 : this.#joinedAt(memberId);
    return Math.max(joinedAt, this.#receiptSeq(roomId, userId, undefined));
  }

  #receiptSeq(roomId: RoomId, userId: UserId, threadId: string | undefined): number {
    const { receipts } = this.#accounts;
    const seqs = (['m.read', 'm.read.private'] as const).map((type) => {
      const receipt = receipts.get(roomId, userId, type, threadId);
      return receipt === undefined ? 0 : this.#moments.placeOf(roomId, receipt.eventId);
    });
    return Math.max(...seqs);
  }

  /** Seq of the join, passing over changes of the profile. */
  #joinedAt(memberId: EventId): number {
    const kept = this.#joins.get(memberId);
    if (kept !== undefined) return kept;
    let event = this.#engine.reader.events.get(memberId);
    for (let changes = 0; event?.roots !== undefined && changes < LOOKED_AT_MAX; changes++) {
      const { roomId, stateKey = '' } = event.pdu;
      const before = this.#engine.reader.view(roomId, event.roots.before);
      const previous = before.get('m.room.member', stateKey);
      if (previous === undefined || before.membership(stateKey) !== 'join') break;
      event = this.#engine.reader.events.get(previous);
    }
    const joinedAt = event?.seq ?? 0;
    this.#joins.set(memberId, joinedAt, 1);
    return joinedAt;
  }

  /** The thread of an event, directly or through what it relates to. */
  #threadOf(pdu: Pdu): string {
    let related: Pdu | undefined = pdu;
    for (let hops = 0; related !== undefined && hops <= THREAD_HOPS_MAX; hops++) {
      const relation = own(related.content, 'm.relates_to');
      if (!isObject(relation)) return MAIN;
      const target = own(relation, 'event_id');
      if (typeof target !== 'string') return MAIN;
      if (own(relation, 'rel_type') === 'm.thread') return target;
      const event = this.#engine.reader.events.get(target as EventId);
      related = event?.pdu.roomId === pdu.roomId ? event.pdu : undefined;
    }
    return MAIN;
  }
}

/** The sum of some counts. */
export function sumOf(counts: Iterable<Counts>): Counts {
  let notifications = 0;
  let highlights = 0;
  for (const one of counts) {
    notifications += one.notifications;
    highlights += one.highlights;
  }
  return { notifications, highlights };
}

/** The event as push rules look at it. */
function pushView(pdu: Pdu): JsonObject {
  return {
    type: pdu.type,
    sender: pdu.sender,
    room_id: pdu.roomId,
    content: pdu.content,
    ...(pdu.stateKey === undefined ? {} : { state_key: pdu.stateKey }),
  };
}

/**
 * What was counted, carried on with further events.
 * @param markOf up to where a thread was read
 */
async function countedOn(
  before: Threads,
  events: AsyncIterable<Notifying>,
  markOf: (thread: string) => number,
): Promise<Threads> {
  let made: { threadMarks: Map<string, number>; byThread: Map<string, Counts> } | undefined;
  for await (const { thread, order, isHighlight } of events) {
    made ??= { threadMarks: new Map(before.threadMarks), byThread: new Map(before.byThread) };
    const { threadMarks, byThread } = made;
    const mark = threadMarks.get(thread) ?? markOf(thread);
    threadMarks.set(thread, mark);
    if (order <= mark) continue;
    const { notifications = 0, highlights = 0 } = byThread.get(thread) ?? {};
    byThread.set(thread, {
      notifications: notifications + 1,
      highlights: highlights + (isHighlight ? 1 : 0),
    });
  }
  return made ?? before;
}
