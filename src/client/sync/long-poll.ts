// One long poll: it looks, and waits for news where there is none, until there is or its time is over.
//
// Thousands wait at once and most of them nearly always, so what one holds while it waits is counted: this object,
// its listener and a timer. An async function that waits keeps its whole frame, and so does each that awaits it,
// which was three times as much.

import type { JsonObject } from '../../event/json.js';
import type { EndSignal } from '../../lib/end-signal.js';
import type { Listener } from './notifier.js';
import type { SyncAnswer } from './answer.js';

export interface LongPollParts {
  readonly listener: Listener;
  /** When it stops waiting, in milliseconds of `performance.now()`. */
  readonly deadline: number;
  /** Makes an answer as of now. */
  readonly look: () => Promise<SyncAnswer>;
  readonly signal: () => EndSignal;
  /** Called once, when there is an answer or a fault. */
  readonly end: () => void;
}

export class LongPoll {
  readonly #parts: LongPollParts;

  constructor(parts: LongPollParts) {
    this.#parts = parts;
  }

  /** The answer: at once where there is something to tell or no time to wait. */
  async answer(): Promise<JsonObject> {
    let isWaiting = false;
    try {
      const first = await this.#parts.look();
      if (!this.#mayWait(first)) return first.body;
      isWaiting = true;
      // Not awaited: this frame would wait too.
      return new Promise((resolve, reject) => this.#wait(first, resolve, reject));
    } finally {
      if (!isWaiting) this.#parts.end();
    }
  }

  #mayWait({ isEmpty }: SyncAnswer): boolean {
    return isEmpty && this.#leftMs() > 0;
  }

  #leftMs(): number {
    return this.#parts.deadline - performance.now();
  }

  #wait(last: SyncAnswer, resolve: (body: JsonObject) => void, reject: (error: unknown) => void): void {
    const { listener, signal, look, end } = this.#parts;
    const finish = ({ body }: SyncAnswer): void => {
      end();
      resolve(body);
    };
    const fail = (error: unknown): void => {
      end();
      reject(error);
    };
    listener.wait(this.#leftMs(), signal(), (isWoken) => {
      if (!isWoken) {
        finish(last);
        return;
      }
      look()
        .then((next) => {
          if (this.#mayWait(next)) this.#wait(next, resolve, reject);
          else finish(next);
        })
        .catch(fail);
    });
  }
}
