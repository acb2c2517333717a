// Which states are known to be incomplete, who may know all of them, and when they were completed.
//
//   !partial_states    stateroom.partial_state / event id    { room_id, kind, from, servers, since_ts }
//                                                            … and completed, corrected, revised, once it is whole
//
// The first record lands with the event whose state before it is incomplete, in one commit group; the second, which
// replaces it, with everything that changes because the state is whole now. Who resumes after a crash finds either.
//
// Source: MSC3706, MSC3902.

import { type EventId, type RoomId, type ServerName, parseServerName } from '../event/ids.js';
import { internalRoomId } from '../event/internal.js';
import { isArray, isObject, type JsonObject, JsonNumber, own } from '../event/json.js';
import type { KnownEvents } from '../room/graph/known-events.js';
import type { Rooms } from '../room/graph/rooms.js';
import type { InternalRecord } from './internal.js';
import type { VerifiedEvent } from './judge.js';

export const PARTIAL_ROOM: RoomId = internalRoomId('partial_states');
export const PARTIAL_TYPE = 'stateroom.partial_state';

/** A state before an event that is, or was, known to be incomplete. */
export interface PartialState {
  /** The event before which the state is incomplete. */
  readonly eventId: EventId;
  readonly roomId: RoomId;
  /** A join that brought the room, or history whose own history is missing. */
  readonly kind: 'join' | 'history';
  /** Who gave what is known. */
  readonly from: ServerName | undefined;
  /** The servers in the room then, as that server says; empty where it did not say. */
  readonly servers: readonly ServerName[];
  /** When it was recorded, in milliseconds since 1970. */
  readonly sinceTs: number;
  /** Seq of the event itself. */
  readonly eventSeq: number;
  readonly completed: CompletedState | undefined;
}

/** What became of the room when a state was completed. */
export interface CompletedState {
  /** Seq of the record: what was told up to it rests on the incomplete state. */
  readonly seq: number;
  /** Keys of the current state that had been told wrong, or were lacking though no member's; undefined: very many. */
  readonly corrected: ReadonlyArray<readonly [type: string, stateKey: string]> | undefined;
  /** Events whose verdict changed: the first so many. */
  readonly revised: readonly EventId[];
}

/** The record of an event whose given state is incomplete. */
export function partialRecord(event: VerifiedEvent, sinceTs: number): InternalRecord {
  const { pdu, receivedFrom, rewrites, servers = [] } = event;
  return {
    roomId: PARTIAL_ROOM,
    type: PARTIAL_TYPE,
    stateKey: pdu.eventId,
    content: {
      room_id: pdu.roomId,
      kind: rewrites === true ? 'join' : 'history',
      from: receivedFrom,
      servers,
      since_ts: sinceTs,
    },
  };
}

/** The room that a record speaks of. */
export function roomOfPartial(content: JsonObject): RoomId | undefined {
  const roomId = own(content, 'room_id');
  return typeof roomId === 'string' ? (roomId as RoomId) : undefined;
}

export interface PartialStatesParts {
  readonly known: KnownEvents;
  readonly rooms: Rooms;
  readonly write: (records: readonly InternalRecord[]) => Promise<number>;
  /** Resolves when all that was decided until now is on disk. */
  readonly written: () => Promise<void>;
}

/** Told when a state begins to be incomplete, and when it is whole or given up. */
export type PartialStatesListener = (state: PartialState) => void;

export class PartialStates {
  readonly #parts: PartialStatesParts;
  readonly #byEvent = new Map<EventId, PartialState>();
  /** By room, oldest first. */
  readonly #byRoom = new Map<RoomId, PartialState[]>();
  readonly #waiting = new Map<RoomId, Set<() => void>>();
  readonly #listeners = new Set<PartialStatesListener>();

  constructor(parts: PartialStatesParts) {
    this.#parts = parts;
    this.#load();
  }

  #load(): void {
    const room = this.#parts.rooms.find(PARTIAL_ROOM);
    if (room === undefined) return;
    const found: PartialState[] = [];
    for (const { stateKey, eventId } of room.states.entries(room.current().root, PARTIAL_TYPE)) {
      const record = this.#parts.known.get(eventId);
      if (record === undefined) continue;
      const state = this.#stateOf(stateKey as EventId, record.pdu.content, record.seq);
      if (state !== undefined) found.push(state);
    }
    for (const state of found.sort((a, b) => a.eventSeq - b.eventSeq)) this.#put(state);
  }

  /** All that are incomplete, the oldest first. */
  *incomplete(): Generator<PartialState> {
    for (const state of this.#byEvent.values()) if (state.completed === undefined) yield state;
  }

  /** What is known of the state before an event, where it is or was incomplete. */
  get(eventId: EventId): PartialState | undefined {
    return this.#byEvent.get(eventId);
  }

  /** Is the current state of the room not all known? */
  isPartial(roomId: RoomId): boolean {
    return this.#byRoom.has(roomId) && this.#parts.rooms.find(roomId)?.isPartial === true;
  }

  /** The newest join of a room that came without all of the state, completed or not. */
  joinOf(roomId: RoomId): PartialState | undefined {
    return this.#byRoom.get(roomId)?.findLast(({ kind }) => kind === 'join');
  }

  /**
   * The newest completion of a room's state after a seq at which clients were told of the room.
   * @returns undefined where what was told at that seq was whole
   */
  completedAfter(roomId: RoomId, seq: number): CompletedState | undefined {
    const join = this.joinOf(roomId);
    if (join?.completed === undefined || join.eventSeq > seq || join.completed.seq <= seq) return undefined;
    return join.completed;
  }

  /** Seq of the newest completion of a room's state; 0 where there was none. */
  completedSeq(roomId: RoomId): number {
    return this.joinOf(roomId)?.completed?.seq ?? 0;
  }

  /** The servers that are said to be in a room, while its state is not all known. */
  serversIn(roomId: RoomId): readonly ServerName[] | undefined {
    return this.isPartial(roomId) ? this.joinOf(roomId)?.servers : undefined;
  }

  /**
   * Resolves when the current state of the room is all known, and committed so.
   * @throws what the signal says when it is aborted; STORE_WRITE_FAILED
   */
  async whenFull(roomId: RoomId, signal?: AbortSignal): Promise<void> {
    while (this.isPartial(roomId)) {
      signal?.throwIfAborted();
      await new Promise<void>((resolve) => {
        const waiting = this.#waiting.get(roomId) ?? new Set();
        this.#waiting.set(roomId, waiting);
        const done = (): void => {
          signal?.removeEventListener('abort', done);
          waiting.delete(done);
          resolve();
        };
        waiting.add(done);
        signal?.addEventListener('abort', done);
      });
    }
    if (this.#byRoom.has(roomId)) await this.#parts.written();
  }

  /** Calls back, until told to stop, with each state that begins to be incomplete, is completed or given up. */
  subscribe(listener: PartialStatesListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Nobody completes the state before this event any more: the room was left. @throws STORE_WRITE_FAILED */
  async giveUp(eventId: EventId): Promise<void> {
    const state = this.#byEvent.get(eventId);
    if (state === undefined || state.completed !== undefined) return;
    await this.#parts.write([
      { roomId: PARTIAL_ROOM, type: PARTIAL_TYPE, stateKey: eventId, content: undefined },
    ]);
    this.#remove(state);
    this.#tell(state);
  }

  /** The core committed a record. */
  noted(eventId: EventId, content: JsonObject, seq: number): void {
    const state = this.#stateOf(eventId, content, seq);
    if (state === undefined) return;
    this.#put(state);
    this.#tell(state);
    this.roomMoved(state.roomId);
  }

  /** Something was committed in a room: its state may be whole now. */
  roomMoved(roomId: RoomId): void {
    const waiting = this.#waiting.get(roomId);
    if (waiting === undefined || this.isPartial(roomId)) return;
    this.#waiting.delete(roomId);
    for (const done of waiting) done();
  }

  #tell(state: PartialState): void {
    for (const listener of this.#listeners) listener(state);
  }

  #put(state: PartialState): void {
    this.#byEvent.set(state.eventId, state);
    const others = (this.#byRoom.get(state.roomId) ?? []).filter(({ eventId }) => eventId !== state.eventId);
    this.#byRoom.set(
      state.roomId,
      [...others, state].sort((a, b) => a.eventSeq - b.eventSeq),
    );
  }

  #remove({ eventId, roomId }: PartialState): void {
    this.#byEvent.delete(eventId);
    this.#byRoom.set(
      roomId,
      (this.#byRoom.get(roomId) ?? []).filter((state) => state.eventId !== eventId),
    );
  }

  /** Undefined where the event is gone: its room was purged. */
  #stateOf(eventId: EventId, content: JsonObject, seq: number): PartialState | undefined {
    const eventSeq = this.#parts.known.seqOf(eventId);
    const roomId = roomOfPartial(content);
    if (eventSeq === undefined || roomId === undefined) return undefined;
    const from = own(content, 'from');
    return {
      eventId,
      roomId,
      kind: own(content, 'kind') === 'join' ? 'join' : 'history',
      from: typeof from === 'string' ? parseServerName(from) : undefined,
      servers: serversOf(content),
      sinceTs: numberOf(own(content, 'since_ts')),
      eventSeq,
      completed:
        own(content, 'completed') === true
          ? { seq, corrected: correctedOf(content), revised: revisedOf(content) }
          : undefined,
    };
  }
}

function serversOf(content: JsonObject): ServerName[] {
  const servers = own(content, 'servers');
  if (!isArray(servers)) return [];
  return servers.flatMap((name) => (typeof name === 'string' ? (parseServerName(name) ?? []) : []));
}

function correctedOf(content: JsonObject): CompletedState['corrected'] {
  const corrected = own(content, 'corrected');
  if (!isArray(corrected)) return undefined;
  return corrected.flatMap((key): (readonly [string, string])[] => {
    const [type, stateKey] = isArray(key) ? key : [];
    return typeof type === 'string' && typeof stateKey === 'string' ? [[type, stateKey]] : [];
  });
}

function revisedOf(content: JsonObject): EventId[] {
  const revised = own(content, 'revised');
  if (!isArray(revised)) return [];
  return revised.flatMap((entry): EventId[] => {
    const id = isObject(entry) ? own(entry, 'event_id') : undefined;
    return typeof id === 'string' ? [id as EventId] : [];
  });
}

function numberOf(value: unknown): number {
  if (value instanceof JsonNumber) return value.value;
  return typeof value === 'number' ? value : 0;
}
