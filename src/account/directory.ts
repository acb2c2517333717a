// Which rooms this server lists in its public room directory.
//
//   !directory    stateroom.published / room id    {}

import type { RoomId } from '../event/ids.js';
import { type AccountParts, DIRECTORY_ROOM } from './parts.js';

const PUBLISHED = 'stateroom.published';

export class Directory {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  isPublished(roomId: RoomId): boolean {
    return this.#parts.engine.internal.get(DIRECTORY_ROOM, PUBLISHED, roomId) !== undefined;
  }

  /** All listed rooms, in no order. */
  list(): RoomId[] {
    return [...this.#parts.engine.internal.entries(DIRECTORY_ROOM, PUBLISHED)].map(
      ({ stateKey }) => stateKey as RoomId,
    );
  }

  async setPublished(roomId: RoomId, isPublished: boolean): Promise<void> {
    if (this.isPublished(roomId) === isPublished) return;
    await this.#parts.engine.internal.write([
      { roomId: DIRECTORY_ROOM, type: PUBLISHED, stateKey: roomId, content: isPublished ? {} : undefined },
    ]);
  }
}
