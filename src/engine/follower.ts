// Following what is committed and has a place, for an index that lives in memory: one group after the other, and
// whoever needs the index to show what is committed now waits until it does.

import { PARTIAL_ROOM, roomOfPartial } from '../core/partial-states.js';
import type { ReleasedGroup } from '../core/release.js';
import type { RoomId } from '../event/ids.js';
import { parseInternalEvent } from '../event/internal.js';
import { INTERNAL_VERSION } from '../event/rules.js';
import { toError } from '../lib/errors.js';
import type { Engine } from './engine.js';

export class Follower {
  readonly #engine: Pick<Engine, 'released' | 'watermark'>;
  readonly #ending = new AbortController();
  readonly #following: Promise<void>;
  #waiting: {
    readonly seq: number;
    readonly resolve: () => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  #position: number;
  #failure: Error | undefined;

  /**
   * Follows at once, until `close`.
   * @param after what was committed up to this seq is in the index
   * @param take brings the index up to a group; when it throws, the following ends and who waits is told
   */
  constructor(
    engine: Pick<Engine, 'released' | 'watermark'>,
    after: number,
    take: (group: ReleasedGroup) => Promise<void> | void,
  ) {
    this.#engine = engine;
    this.#position = after;
    this.#following = this.#follow(take);
  }

  /** Has it been closed? */
  get isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  /**
   * Resolves when the index shows what is committed up to a seq, or nothing more is followed.
   * @param seq all that is committed now without it
   * @throws what `take` threw
   */
  async reached(seq = this.#engine.watermark): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#position >= seq || this.isEnding) return;
    await new Promise<void>((resolve, reject) => this.#waiting.push({ seq, resolve, reject }));
  }

  /** Resolves when nothing is followed any more. */
  ended(): Promise<void> {
    return this.#following;
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#following;
  }

  async #follow(take: (group: ReleasedGroup) => Promise<void> | void): Promise<void> {
    try {
      const released = this.#engine.released({
        after: this.#position,
        placedOnly: true,
        signal: this.#ending.signal,
      });
      for await (const group of released) {
        await take(group);
        this.#moveTo(group.seqLast);
      }
    } catch (error) {
      this.#failure = toError(error);
      for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
    }
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #moveTo(seq: number): void {
    this.#position = seq;
    const due = this.#waiting.filter((waiting) => waiting.seq <= seq);
    this.#waiting = this.#waiting.filter((waiting) => waiting.seq > seq);
    for (const { resolve } of due) resolve();
  }
}

/**
 * The rooms of users, not this server's own, in which a group of events did something, those whose state was
 * completed among them.
 */
export function changedRooms({ events }: ReleasedGroup): Set<RoomId> {
  return new Set(
    events.flatMap(({ row }) => {
      if (row.roomId === PARTIAL_ROOM) return roomOfPartial(parseInternalEvent(row.bytes).content) ?? [];
      return row.roomVersion === INTERNAL_VERSION ? [] : row.roomId;
    }),
  );
}
