// The signals of requests under way: each is aborted when its client goes, and all when the server stops.

import type { ServerResponse } from 'node:http';
import { EndController, type EndSignal } from '../../lib/end-signal.js';

export class LongRequests {
  readonly #open = new Set<EndController>();
  #isStopping = false;

  /** Requests whose handlers listen to their signal: long polls. */
  get size(): number {
    return this.#open.size;
  }

  /** Is the server about to stop? */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** The signal of a response: made at the first call, the same at every other. */
  signalOf(response: ServerResponse): () => EndSignal {
    let signal: EndSignal | undefined;
    return () => {
      signal ??= this.#follow(response);
      return signal;
    };
  }

  #follow(response: ServerResponse): EndSignal {
    const controller = new EndController();
    if (this.#isStopping || response.destroyed) controller.end();
    else {
      this.#open.add(controller);
      response.on('close', () => {
        this.#open.delete(controller);
        if (!response.writableFinished) controller.end();
      });
    }
    return controller;
  }

  /** Has every long poll answered with what it has; later ones at once. */
  stop(): void {
    this.#isStopping = true;
    for (const controller of this.#open) controller.end();
    this.#open.clear();
  }
}
