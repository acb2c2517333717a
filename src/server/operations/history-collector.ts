// Every so often the history of the server's own records is collected, in the background.

import { Counter, type Registry } from 'prom-client';
import type { Engine } from '../../engine/engine.js';
import { collectHistory } from '../../engine/maintenance/collect-history.js';
import type { ServerConfig } from '../config/config.js';
import type { Logger } from './logs.js';

export class HistoryCollector {
  readonly #engine: Engine;
  readonly #config: ServerConfig['ownRecords'];
  readonly #log: Logger;
  readonly #ending = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #events: Counter;
  readonly #bytes: Counter;
  #running: Promise<void> | undefined;

  constructor(engine: Engine, config: ServerConfig['ownRecords'], registry: Registry, log: Logger) {
    this.#engine = engine;
    this.#config = config;
    this.#log = log;
    const registers = [registry];
    this.#events = new Counter({
      name: 'stateroom_collected_events_total',
      help: "The server's own records that were replaced, and collected",
      registers,
    });
    this.#bytes = new Counter({
      name: 'stateroom_collected_node_bytes_total',
      help: 'Bytes of tree nodes that went with them',
      registers,
    });
    if (config.collectEveryMs === 0) return;
    this.#timer = setInterval(() => void this.run(), config.collectEveryMs);
    this.#timer.unref();
  }

  /** Collects now, unless it does already. What goes wrong is logged: the server works without. */
  run(): Promise<void> {
    this.#running ??= this.#collect().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #collect(): Promise<void> {
    const { historyEvents: events, historyMs: ageMs, collectAtLeast: sliceMin } = this.#config;
    try {
      const { events: collected, bytes } = await collectHistory(
        this.#engine,
        { events, ageMs, sliceMin },
        {
          signal: this.#ending.signal,
          onSlice: (slice) => {
            this.#events.inc(slice.events);
            this.#bytes.inc(Math.max(0, slice.bytes));
          },
        },
      );
      if (collected > 0) this.#log.debug({ events: collected, bytes }, 'collected replaced records');
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#log.error({ err: error }, 'collecting replaced records failed');
    }
  }

  /** Ends after the slice that is under way. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#ending.abort();
    await this.#running;
  }
}
