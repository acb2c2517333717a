// States that were incomplete are given whole: checked for what can be seen at once, completed one after the other in
// each room, and recorded.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventId, RoomId } from '../event/ids.js';
import { Turns } from '../lib/turns.js';
import type { KnownEvent } from '../room/graph/known-events.js';
import { keyOf } from '../room/resolution/keys.js';
import type { StateUpdate } from '../room/state/room-states.js';
import {
  completedRecord,
  Completion,
  type CompletionParts,
  eventsToRevise,
  type RecordedEvent,
  type RevisedVerdict,
} from './completion.js';
import type { Settle } from './decider.js';
import { StateIncompleteError, StateRefusedError } from './errors.js';
import type { InternalRooms } from './internal.js';
import { PARTIAL_ROOM, PARTIAL_TYPE } from './partial-states.js';
import { givenEntryOfFacts } from './state-entry.js';

/** What came of a completion. */
export interface CompletionOutcome {
  /** False where the state was whole already. */
  readonly isNew: boolean;
  /** Events that were gone through. */
  readonly events: number;
  /** Those of them whose verdict changed. */
  readonly revised: readonly RevisedVerdict[];
}

export interface CompletionsParts extends CompletionParts {
  readonly internal: InternalRooms;
  /** What is decided in a room that has an entry is added to it. */
  readonly recording: Map<RoomId, RecordedEvent[]>;
  /** Does work in the room's turn. */
  readonly inTurn: <Result>(roomId: RoomId, work: (settle: Settle<Result>) => void) => Promise<Result>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** So many events are looked at before others get a turn. */
const TURN = 200;
/** Missing events that an error names. */
const MISSING_NAMED_MAX = 20;

export class Completions {
  readonly #parts: CompletionsParts;
  /** One at a time in each room. */
  readonly #turns = new Turns<RoomId>();

  constructor(parts: CompletionsParts) {
    this.#parts = parts;
  }

  /**
   * Completes the state before an event.
   * @param ids all of the state; those that were rejected count as left out
   * @throws CORE_STATE_INCOMPLETE when some are not known, CORE_STATE_REFUSED; ROOM_RESOLUTION_TOO_LARGE;
   *   STORE_WRITE_FAILED
   */
  async complete(eventId: EventId, ids: Iterable<EventId>): Promise<CompletionOutcome> {
    const event = this.#parts.known.get(eventId);
    if (event === undefined) {
      throw new StateIncompleteError(`${eventId} is not known`, { event_id: eventId });
    }
    return this.#turns.in(event.pdu.roomId, () => this.#complete(eventId, ids));
  }

  async #complete(eventId: EventId, ids: Iterable<EventId>): Promise<CompletionOutcome> {
    const { known, recording, writer, rooms } = this.#parts;
    const base = known.get(eventId);
    if (base?.isPartial !== true) return { isNew: false, events: 0, revised: [] };
    const { roomId } = base.pdu;
    const entries = await this.#entries(base, ids);
    const recorded: RecordedEvent[] = [];
    recording.set(roomId, recorded);
    try {
      const to = writer.lastSeq;
      // All that was decided until now is on disk then, with its edges.
      await writer.written();
      const number = rooms.find(roomId)?.number ?? 0;
      const seqs = await eventsToRevise(this.#parts, base, number, to);
      const completion = new Completion(this.#parts, { roomId, eventId, entries }, seqs, recorded);
      await completion.prepare();
      return await this.#swap(base, completion, entries);
    } finally {
      recording.delete(roomId);
    }
  }

  #swap(
    { pdu: { roomId, eventId } }: KnownEvent,
    completion: Completion,
    entries: ReadonlyMap<EventId, StateUpdate>,
  ): Promise<CompletionOutcome> {
    const { internal, known, now, inTurn } = this.#parts;
    return inTurn<CompletionOutcome>(roomId, ({ resolve, reject }) => {
      const swap = completion.swap();
      const { seq, room, revised, verdicts } = swap;
      const content = internal.get(PARTIAL_ROOM, PARTIAL_TYPE, eventId) ?? { room_id: roomId };
      const record = {
        roomId: PARTIAL_ROOM,
        type: PARTIAL_TYPE,
        stateKey: eventId,
        content: completedRecord(content, swap, now()),
      };
      const given = [...entries.keys()].flatMap((id) => known.facts(id)?.seq ?? []);
      internal
        .writeGiven(record, seq, given, { room, revised })
        .then(() => resolve({ isNew: true, events: revised.length, revised: verdicts }), reject);
    });
  }

  /** The entries of a state, none of which is missing, of another room, or there twice. */
  async #entries({ pdu: base }: KnownEvent, ids: Iterable<EventId>): Promise<Map<EventId, StateUpdate>> {
    const { known, rooms } = this.#parts;
    const { roomId } = base;
    const fields = { room_id: roomId, event_id: base.eventId };
    const entries = new Map<EventId, StateUpdate>();
    const keys = new Set<string>();
    const missing: EventId[] = [];
    let looked = 0;
    for (const id of new Set(ids)) {
      if (++looked % TURN === 0) await nextTurn();
      const facts = known.facts(id);
      if (facts === undefined) {
        missing.push(id);
        continue;
      }
      const entry = facts.roomId === roomId ? givenEntryOfFacts(id, facts) : undefined;
      if (entry === undefined) {
        throw new StateRefusedError(`${id} is no state event of ${roomId}`, { ...fields, cause: id });
      }
      if (facts.verdict !== 'rejected') {
        const key = keyOf(entry.type, entry.stateKey);
        if (keys.has(key)) {
          throw new StateRefusedError(`the state has two events for ${entry.type} ${entry.stateKey}`, fields);
        }
        keys.add(key);
        entries.set(id, entry);
      }
    }
    if (missing.length > 0) {
      throw new StateIncompleteError(
        `${missing.length} events of the state before ${base.eventId} are missing`,
        {
          ...fields,
          missing: missing.slice(0, MISSING_NAMED_MAX).join(' '),
          missing_count: missing.length,
        },
      );
    }
    const create = rooms.find(roomId)?.createEventId;
    if (create === undefined || !entries.has(create)) {
      throw new StateRefusedError('the state lacks the create event of the room', fields);
    }
    return entries;
  }
}
