// Internal rooms: this server's own records, written through the same path as everybody's events.
//
// Several records, in several rooms, land together: what is submitted in one turn goes into one commit group.
// A record written beside a user's event (its transaction id) therefore lands with it or not at all.

import type { RoomId } from '../event/ids.js';
import { buildInternalEvent } from '../event/internal.js';
import type { JsonObject } from '../event/json.js';
import type { KnownEvents } from '../room/graph/known-events.js';
import type { Rooms } from '../room/graph/rooms.js';
import { toError } from '../lib/errors.js';
import { groupEvent, knownEvent } from './decision.js';
import type { Judge } from './judge.js';
import { type CoreObserver, observed } from './observer.js';
import type { GivenState } from '../store/records.js';
import type { RootRef } from '../tree/types.js';
import type { WithoutEvent, Writer } from './writer.js';

/** One record to write, or to take away. */
export interface InternalRecord {
  readonly roomId: RoomId;
  readonly type: string;
  /** The key it is looked up by; without one it is only listed, in commit order. */
  readonly stateKey?: string;
  /** Undefined takes the record of the key away. */
  readonly content: JsonObject | undefined;
}

/** A record that is stored with a given state. */
interface GivenRecord {
  readonly seq: number;
  readonly given: GivenState;
  readonly change: WithoutEvent;
}

export interface InternalParts {
  readonly known: KnownEvents;
  readonly rooms: Rooms;
  readonly judge: Judge;
  readonly writer: Writer;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly observer?: CoreObserver | undefined;
}

export class InternalRooms {
  readonly #parts: InternalParts;

  constructor(parts: InternalParts) {
    this.#parts = parts;
  }

  /**
   * Hands records to the writer, in order, all in one commit group. They can be read at once.
   * @returns the seq of the last, when all are on disk
   */
  async write(records: readonly InternalRecord[]): Promise<number> {
    const written: Promise<number>[] = [];
    try {
      for (const record of records) written.push(this.#write(record));
    } catch (error) {
      // The store cannot be read, as when it is closed beneath: what was handed over ends in the same way.
      await Promise.allSettled(written);
      throw error;
    }
    const seqs = await Promise.all(written);
    return seqs.at(-1) ?? 0;
  }

  /**
   * Hands over one record that says which state was given, with what changes because of it: all in one commit group.
   * @param seq the record's, given out by the writer in this turn
   * @param given seqs of the events of the state
   */
  async writeGiven(
    record: InternalRecord,
    seq: number,
    given: GivenState,
    change: WithoutEvent,
  ): Promise<void> {
    await this.#write(record, { seq, given, change });
  }

  #write({ roomId, type, stateKey, content }: InternalRecord, extra?: GivenRecord): Promise<number> {
    const { known, rooms, judge, writer, now, observer } = this.#parts;
    const existing = rooms.find(roomId);
    const receivedAt = now();
    const { pdu, bytes } = buildInternalEvent({
      roomId,
      type,
      stateKey,
      content,
      prevEvents: [...(existing?.forwardExtremities ?? [])],
      depth: (existing?.depth ?? 0) + 1,
      originServerTs: receivedAt,
    });
    const { judgement, room } = observed(observer, 'judge', () => judge.internal(pdu));
    const event = {
      pdu,
      bytes,
      isRedacted: false,
      receivedFrom: '',
      receivedAt,
      asOutlier: false,
      givenState: extra === undefined ? undefined : [],
    };
    if (judgement.kind !== 'stored' || room === undefined)
      throw new Error('an internal record is always taken');
    const decided = knownEvent(extra?.seq ?? writer.nextSeq(), event, judgement, room);
    known.addPending(decided, undefined);
    room.add(decided);
    // In the same turn, so in the same group.
    if (extra !== undefined) writer.written(extra.change).catch(() => undefined);
    return new Promise((resolve, reject) => {
      writer.submit({
        stored: { known: decided, row: groupEvent(decided, bytes, room.number, undefined, extra?.given) },
        room,
        queues: [],
        settle: (error) => (error === undefined ? resolve(decided.seq) : reject(toError(error))),
      });
    });
  }

  /** The content of a record, also of one that is not yet on disk. O(log n) node reads. */
  get(roomId: RoomId, type: string, stateKey: string): JsonObject | undefined {
    const room = this.#parts.rooms.find(roomId);
    const id = room?.states.get(room.current().root, type, stateKey);
    return id === undefined ? undefined : this.#parts.known.pdu(id)?.content;
  }

  /**
   * What a room's records are now, also those that are not yet on disk: another object as soon as one changes.
   * Reads nothing.
   */
  root(roomId: RoomId): RootRef | undefined {
    return this.#parts.rooms.find(roomId)?.current().root;
  }

  /** All records of a type that have a key, in no order. */
  *entries(
    roomId: RoomId,
    type: string,
  ): Generator<{ readonly stateKey: string; readonly content: JsonObject }> {
    const room = this.#parts.rooms.find(roomId);
    if (room === undefined) return;
    for (const { stateKey, eventId } of room.states.entries(room.current().root, type)) {
      const content = this.#parts.known.pdu(eventId)?.content;
      if (content !== undefined) yield { stateKey, content };
    }
  }
}
