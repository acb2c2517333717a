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

/** Who waits for the answer. */
interface Asker {
  readonly resolve: (body: JsonObject) => void;
  readonly reject: (error: unknown) => void;
}

export class LongPoll {
  readonly #parts: LongPollParts;

  constructor(parts: LongPollParts) {
    this.#parts = parts;
  }

  /** The answer: at once where there is something to tell or no time to wait. */
  answer(): Promise<JsonObject> {
    return new Promise<JsonObject>((resolve, reject) => this.#look({ resolve, reject }));
  }

  #look(asker: Asker): void {
    this.#lookOnce(asker).catch((error: unknown) => {
      this.#parts.end();
      asker.reject(error);
    });
  }

  /** Ends when it has looked, not when there is an answer. */
  async #lookOnce(asker: Asker): Promise<void> {
    const answer = await this.#parts.look();
    const leftMs = this.#parts.deadline - performance.now();
    if (answer.isEmpty && leftMs > 0) this.#wait(answer, leftMs, asker);
    else this.#finish(answer, asker);
  }

  #wait(last: SyncAnswer, leftMs: number, asker: Asker): void {
    const { listener, signal } = this.#parts;
    listener.wait(leftMs, signal(), (isWoken) => {
      if (isWoken) this.#look(asker);
      else this.#finish(last, asker);
    });
  }

  #finish({ body }: SyncAnswer, { resolve }: Asker): void {
    this.#parts.end();
    resolve(body);
  }
}
