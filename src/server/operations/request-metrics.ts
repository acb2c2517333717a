// How many requests there were, of which kind, and how long they took.
//
// Labels are looked up once for each route, method and status: afterwards a request costs two additions.

import { Counter, Histogram, type Registry } from 'prom-client';

const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

interface Observer {
  readonly inc: () => void;
  readonly observe: (seconds: number) => void;
}

export class RequestMetrics {
  readonly #requests: Counter<'method' | 'route' | 'status'>;
  readonly #duration: Histogram<'method' | 'route'>;
  readonly #observers = new Map<string, Observer>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.#requests = new Counter({
      name: 'stateroom_http_requests_total',
      help: 'Requests answered, by route and status',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#duration = new Histogram({
      name: 'stateroom_http_request_duration_seconds',
      help: 'Time from the first byte of a request to the last of its response; long polls wait for news',
      labelNames: ['method', 'route'],
      buckets: BUCKETS_SECONDS,
      registers,
    });
  }

  /** @param route the path as declared; undefined for a path that there is not: those are without number */
  observe(method: string, route: string | undefined, status: number, elapsedMs: number): void {
    const labels = { method: route === undefined ? 'any' : method, route: route ?? 'none', status };
    const key = `${labels.method} ${labels.route} ${status}`;
    const observer = this.#observers.get(key) ?? this.#observer(labels);
    this.#observers.set(key, observer);
    observer.inc();
    observer.observe(elapsedMs / 1_000);
  }

  #observer({ method, route, status }: { method: string; route: string; status: number }): Observer {
    const counter = this.#requests.labels({ method, route, status: String(status) });
    const histogram = this.#duration.labels({ method, route });
    return { inc: () => counter.inc(), observe: (seconds) => histogram.observe(seconds) };
  }
}
