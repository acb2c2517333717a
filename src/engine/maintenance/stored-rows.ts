// Reading a frozen store row by row, where every row may be damaged: what cannot be read is told and left out.

import type { EventId, RoomId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { StateroomError } from '../../lib/errors.js';
import { pduOfRow } from '../../room/graph/known-events.js';
import type { FrozenStore } from '../../store/frozen.js';
import { citedKey, eventKey, givenKey, idKey, roomKey, rootsKey, traceKey } from '../../store/keys.js';
import {
  decodeEvent,
  decodeGiven,
  decodeNumber,
  decodeRoom,
  decodeRoots,
  decodeValue,
  type EventRow,
  type GivenState,
  type RoomRow,
  type RootsRow,
} from '../../store/records.js';
import type { StoredTrace } from '../../room/graph/state-resolver.js';

/** The result, or undefined where stored bytes are damaged. */
export function readable<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof StateroomError || error instanceof RangeError || error instanceof TypeError)
      return undefined;
    throw error;
  }
}

export class StoredRows {
  readonly frozen: FrozenStore;

  constructor(frozen: FrozenStore) {
    this.frozen = frozen;
  }

  event(seq: number): EventRow | undefined {
    return this.#read(eventKey(seq), decodeEvent);
  }

  pdu(row: EventRow): Pdu | undefined {
    return readable(() => pduOfRow(row));
  }

  seqOf(eventId: EventId): number | undefined {
    return this.#read(idKey(eventId), decodeNumber);
  }

  roots(seq: number): RootsRow | undefined {
    return this.#read(rootsKey(seq), decodeRoots);
  }

  given(seq: number): GivenState | undefined {
    return this.#read(givenKey(seq), decodeGiven);
  }

  citedBy(seq: number): number | undefined {
    return this.#read(citedKey(seq), decodeNumber);
  }

  room(roomId: RoomId): RoomRow | undefined {
    return this.#read(roomKey(roomId), decodeRoom);
  }

  trace(traceId: string): StoredTrace | undefined {
    return this.#read(traceKey(traceId), (bytes) => decodeValue<StoredTrace>(bytes, 'trace'));
  }

  #read<Row>(key: Buffer, decode: (bytes: Uint8Array) => Row): Row | undefined {
    const bytes = this.frozen.get(key);
    return bytes === undefined ? undefined : readable(() => decode(bytes));
  }
}
