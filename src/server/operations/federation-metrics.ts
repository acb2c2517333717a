// What federation tells of itself, read when somebody asks.

import { Gauge, type Registry } from 'prom-client';
import type { Federation } from '../../federation/federation.js';

export function addFederationMetrics(registry: Registry, federation: Federation): void {
  // Each is registered by name below, not with the library's registry of everything.
  const registers: Registry[] = [];
  registry.registerMetric(
    new Gauge({
      name: 'stateroom_federation_requests',
      help: 'Requests to other servers since the start, by how they ended',
      labelNames: ['result'],
      registers,
      collect() {
        for (const [result, count] of federation.remote.counts) this.set({ result }, count);
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'stateroom_federation_destinations_in_backoff',
      help: 'Servers that failed and are left alone for now',
      registers,
      collect() {
        this.set(federation.destinations.backingOffCount);
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'stateroom_federation_queue_length',
      help: 'What waits to be worked off, by queue',
      labelNames: ['queue'],
      registers,
      collect() {
        for (const [queue, length] of federation.queueLengths) this.set({ queue }, length());
      },
    }),
  );
}
