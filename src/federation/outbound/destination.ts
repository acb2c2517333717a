// One other server: what waits for it in memory, and what it has missed.
//
//   up to date   every event that concerns it waits, here or in the lists that the servers of a room share, in order;
//                little, as long as it answers
//   behind       after an outage, or when too much waited: what waited is forgotten but for the rooms and users
//                that something happened to. When it is back it is sent the newest events of each such room, and
//                one update of each such user's devices; from those it finds what else it wants.
//
// Of what is said again and again (typing, presence, receipts) the newest word is kept.

import type { EventId, RoomId, ServerName, UserId } from '../../event/ids.js';
import type { Audience } from './audience.js';
import type { EventItem, PresenceItem, QueuedItem, ReceiptItem, TypingItem } from './items.js';
import type { BegunTransaction, LedgerRow } from './ledger.js';

/** What a destination that is behind missed in a room. */
export interface MissedRoom {
  /** Of the newest. */
  readonly seq: number;
  /** The newest that it must be sent, once it is not in the room any more. */
  readonly eventId: EventId;
  /** With whom it missed it: what came to them since it missed too. */
  readonly audience?: Audience | undefined;
}

/** A transaction that is being sent. */
export interface Transaction extends BegunTransaction {
  /** What need not survive a restart. */
  readonly typing: readonly TypingItem[];
  readonly presence: readonly PresenceItem[];
}

export class Destination {
  readonly server: ServerName;
  /** In the order of seq. */
  queued: QueuedItem[] = [];
  /** Where more waits for it, among what waits for others. */
  readonly waitsIn = new Set<Audience>();
  /** By room, user and thread, in the order of seq. */
  readonly receipts = new Map<string, ReceiptItem>();
  readonly typing = new Map<string, TypingItem>();
  readonly presence = new Map<UserId, PresenceItem>();
  isBehind = false;
  readonly missedRooms = new Map<RoomId, MissedRoom>();
  readonly missedUsers = new Map<UserId, number>();
  /** What concerned it up to this seq is delivered, begun to be, or missed. */
  sent: number;
  transaction: Transaction | undefined;
  /** Refusals in a row of the transaction. */
  refusals = 0;
  /** What is under way. */
  running: Promise<void> | undefined;
  /** Takes back the wish to be woken when it may be asked again. */
  cancelRetry: (() => void) | undefined;

  constructor(server: ServerName, sent: number) {
    this.server = server;
    this.sent = sent;
  }

  /** Is there anything to send? Messages to devices lie elsewhere. */
  get isIdle(): boolean {
    return (
      this.transaction === undefined &&
      this.queued.length === 0 &&
      this.waitsIn.size === 0 &&
      this.receipts.size + this.typing.size + this.presence.size === 0 &&
      this.missedRooms.size + this.missedUsers.size === 0
    );
  }

  /** Events and device changes that wait in memory. */
  get waitingCount(): number {
    let count = this.queued.length;
    for (const audience of this.waitsIn) count += audience.count(this.server);
    return count;
  }

  /** The seq before the first that waits in memory; undefined where none does. */
  get waitingFrom(): number | undefined {
    const [receipt] = this.receipts.values();
    let first = Math.min(
      this.queued[0]?.seq ?? Number.POSITIVE_INFINITY,
      receipt?.seq ?? Number.POSITIVE_INFINITY,
    );
    for (const audience of this.waitsIn) first = Math.min(first, audience.first(this.server)?.seq ?? first);
    return Number.isFinite(first) ? first - 1 : undefined;
  }

  /** Waits from the newest event of an audience on. */
  waitIn(audience: Audience): void {
    audience.wait(this.server);
    this.waitsIn.add(audience);
  }

  /** Takes what waits for it elsewhere into its own queue. */
  gather(): void {
    if (this.waitsIn.size === 0) return;
    const shared = [...this.waitsIn].flatMap((audience) => audience.take(this.server));
    this.waitsIn.clear();
    this.queued = [...this.queued, ...shared].sort(bySeq);
  }

  addReceipt(item: ReceiptItem, max: number): void {
    const { userId, threadId } = item.receipt;
    putNewest(this.receipts, `${item.roomId} ${userId} ${threadId ?? ''}`, item, max);
  }

  addTyping(item: TypingItem, max: number): void {
    putNewest(this.typing, `${item.roomId} ${item.userId}`, item, max);
  }

  addPresence(item: PresenceItem, max: number): void {
    putNewest(this.presence, item.userId, item, max);
  }

  /** It was found too slow, or gone: what waits counts as missed. @returns the rows that say so */
  fallBehind(): LedgerRow[] {
    this.isBehind = true;
    const shared = [...this.waitsIn].flatMap((audience) =>
      audience.giveUp(this.server).map((item) => ({ item, seq: item.seq, audience })),
    );
    const own = this.queued.map((item) => ({ item, seq: item.seq, audience: undefined }));
    const all = [...own, ...shared].sort(bySeq);
    const rows = all.flatMap(({ item, audience }) => this.miss(item, audience) ?? []);
    this.queued = [];
    this.waitsIn.clear();
    this.typing.clear();
    this.presence.clear();
    return rows;
  }

  /** With nothing left that it missed it is behind no more. */
  catchUp(): void {
    if (this.missedRooms.size + this.missedUsers.size === 0) this.isBehind = false;
  }

  /**
   * @param audience with whom it missed the event, and misses what comes to them from now on
   * @returns the row that says so; undefined where one does already
   */
  miss(item: QueuedItem, audience?: Audience): LedgerRow | undefined {
    const { server } = this;
    if (item.kind === 'device') {
      const { userId, seq } = item;
      const isKnown = this.missedUsers.has(userId);
      this.missedUsers.set(userId, seq);
      return isKnown ? undefined : { kind: 'user', server, userId, seq };
    }
    return this.#missEvent(item, audience);
  }

  #missEvent(
    { roomId, seq, eventId, leaving }: EventItem,
    audience: Audience | undefined,
  ): LedgerRow | undefined {
    const known = this.missedRooms.get(roomId);
    audience?.miss(this.server);
    this.missedRooms.set(roomId, { seq, eventId, audience: audience ?? known?.audience });
    // In a room that it is still in the newest events are found when they are sent; this one would not be.
    if (known !== undefined && !leaving.has(this.server)) return undefined;
    return { kind: 'room', server: this.server, roomId, seq, eventId };
  }
}

/** What was missed in a room, with what was added to it since by the room's audience. */
export function newestMissed(missed: MissedRoom): MissedRoom {
  const newest = missed.audience?.newest;
  return newest === undefined || newest.seq <= missed.seq ? missed : newest;
}

function bySeq(a: { readonly seq: number }, b: { readonly seq: number }): number {
  return a.seq - b.seq;
}

/** The newest of each key, in the order in which they came; beyond the bound the oldest go. */
function putNewest<K, V>(map: Map<K, V>, key: K, value: V, max: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}
