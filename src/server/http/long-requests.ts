// The signals of requests under way: each is aborted when its client goes, and all when the server stops.

import type { ServerResponse } from 'node:http';

export class LongRequests {
  readonly #open = new Set<AbortController>();
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
  signalOf(response: ServerResponse): () => AbortSignal {
    let signal: AbortSignal | undefined;
    return () => {
      signal ??= this.#follow(response);
      return signal;
    };
  }

  #follow(response: ServerResponse): AbortSignal {
    const controller = new AbortController();
    if (this.#isStopping || response.destroyed) controller.abort();
    else {
      this.#open.add(controller);
      response.once('close', () => {
        this.#open.delete(controller);
        if (!response.writableFinished) controller.abort();
      });
    }
    return controller.signal;
  }

  /** Has every long poll answered with what it has; later ones at once. */
  stop(): void {
    this.#isStopping = true;
    for (const controller of this.#open) controller.abort();
    this.#open.clear();
  }
}
