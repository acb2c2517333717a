// How many requests there were, of which kind, and how long they took.
//
// Labels are looked up once for each route and method: afterwards a request costs a few additions.

import { Counter, type Registry } from 'prom-client';
import { SeriesHistogram } from './series-histogram.js';

const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** Requests of one method and route. */
interface Kind {
  readonly method: string;
  readonly route: string;
  readonly took: (seconds: number) => void;
  /** How many were answered with each status. */
  readonly statuses: Map<number, number>;
}

export class RequestMetrics {
  readonly #duration: SeriesHistogram<'method' | 'route'>;
  /** By route, then method. */
  readonly #kinds = new Map<string, Map<string, Kind>>();

  constructor(registry: Registry) {
    const registers = [registry];
    const requests: Counter<'method' | 'route' | 'status'> = new Counter({
      name: 'stateroom_http_requests_total',
      help: 'Requests answered, by route and status',
      labelNames: ['method', 'route', 'status'],
      registers,
      collect: () => this.#tell(requests),
    });
    this.#duration = new SeriesHistogram({
      name: 'stateroom_http_request_duration_seconds',
      help: 'Time from the first byte of a request to the last of its response; long polls wait for news',
      labelNames: ['method', 'route'],
      buckets: BUCKETS_SECONDS,
      registers,
    });
  }

  /** @param route the path as declared; undefined for a path that there is not: those are without number */
  observe(method: string, route: string | undefined, status: number, elapsedMs: number): void {
    const { took, statuses } = route === undefined ? this.#kind('any', 'none') : this.#kind(method, route);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    took(elapsedMs / 1_000);
  }

  #kind(method: string, route: string): Kind {
    const methods = this.#kinds.get(route) ?? new Map<string, Kind>();
    const known = methods.get(method);
    if (known !== undefined) return known;
    const kind = { method, route, took: this.#duration.series({ method, route }), statuses: new Map() };
    this.#kinds.set(route, methods.set(method, kind));
    return kind;
  }

  #tell(requests: Counter<'method' | 'route' | 'status'>): void {
    requests.reset();
    for (const methods of this.#kinds.values()) {
      for (const { method, route, statuses } of methods.values()) {
        for (const [status, count] of statuses) requests.inc({ method, route, status }, count);
      }
    }
  }
}
