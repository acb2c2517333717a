// Events that were acknowledged and could not be taken, the newest of them, with the reason: for people who look
// for an event that did not come, and proof that nothing is tried for ever.
//
//   queue `federation_failures`    { at, origin, roomId, eventId, code, reason }

import type { DurableQueue } from '../../core/queues.js';
import type { Engine } from '../../engine/engine.js';
import type { EventId, RoomId, ServerName } from '../../event/ids.js';

const QUEUE = 'federation_failures';
const REASON_LENGTH_MAX = 500;
/** Code of an event that was given up because the server ended each time that it was begun with. */
export const FATAL = 'FEDERATION_INPUT_FATAL';

export interface InputFailure {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly origin: ServerName;
  readonly roomId: RoomId;
  readonly eventId: EventId | undefined;
  /** Code of the verdict or error. */
  readonly code: string;
  readonly reason: string;
}

export class InputFailures {
  readonly #queue: DurableQueue<InputFailure>;
  readonly #max: number;
  readonly #fatal = new Set<EventId>();
  #positions: number[] = [];

  private constructor(engine: Engine, max: number) {
    this.#queue = engine.queue<InputFailure>(QUEUE);
    this.#max = max;
  }

  static async open(engine: Engine, max: number): Promise<InputFailures> {
    const failures = new InputFailures(engine, max);
    for await (const [position, failure] of failures.#queue.entries()) {
      failures.#positions.push(position);
      failures.#note(failure);
    }
    return failures;
  }

  /** Did the server end each time that it began with this event? Then it is taken from nobody. */
  isFatal(eventId: EventId): boolean {
    return this.#fatal.has(eventId);
  }

  /** Those that are remembered, oldest first. */
  async *entries(): AsyncGenerator<InputFailure> {
    for await (const [, failure] of this.#queue.entries()) yield failure;
  }

  /** @throws STORE_WRITE_FAILED */
  async record(failures: readonly InputFailure[]): Promise<void> {
    const rows = failures.slice(-this.#max).map((failure) => ({
      ...failure,
      reason: failure.reason.slice(0, REASON_LENGTH_MAX),
    }));
    for (const row of rows) this.#note(row);
    this.#positions.push(...(await this.#queue.add(rows)));
    await this.#queue.remove(this.#positions.splice(0, Math.max(0, this.#positions.length - this.#max)));
  }

  #note({ code, eventId }: InputFailure): void {
    if (code === FATAL && eventId !== undefined) this.#fatal.add(eventId);
  }
}
