// What federation tells of itself, read when somebody asks.

import { Counter, Gauge, type Registry } from 'prom-client';
import type { Federation } from '../../federation/federation.js';

export function addFederationMetrics(registry: Registry, federation: Federation): void {
  const { remote, destinations, input, gaps, sender, resyncs, queueLengths, parts } = federation;
  // Each is registered by name below, not with the library's registry of everything.
  const registers: Registry[] = [];
  const gauge = (name: string, help: string, read: () => number): void => {
    registry.registerMetric(
      new Gauge({
        name: `stateroom_federation_${name}`,
        help,
        registers,
        collect() {
          this.set(read());
        },
      }),
    );
  };
  const labelled = (
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [value: string, count: number]>,
  ): void => {
    registry.registerMetric(
      new Gauge({
        name: `stateroom_federation_${name}`,
        help,
        labelNames: [label],
        registers,
        collect() {
          for (const [value, count] of read()) this.set({ [label]: value }, count);
        },
      }),
    );
  };
  // These are counted by themselves; what a scrape shows is set, not added.
  const total = (name: string, help: string, read: () => number): void => {
    registry.registerMetric(
      new Counter({
        name: `stateroom_federation_${name}_total`,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    );
  };

  labelled(
    'requests',
    'Requests to other servers since the start, by how they ended',
    'result',
    () => remote.counts,
  );
  labelled('queue_length', 'What waits to be worked off, by queue', 'queue', () =>
    [...queueLengths].map(([queue, length]) => [queue, length()] as const),
  );
  labelled(
    'transactions',
    'Transactions to other servers since the start, by what became of them',
    'outcome',
    () => Object.entries(sender.stats().transactions),
  );
  gauge(
    'destinations_failing',
    'Servers that failed, and were not heard since',
    () => destinations.failingCount,
  );
  gauge(
    'destinations_in_backoff',
    'Of them, those that are left alone for now',
    () => destinations.backingOffCount,
  );
  gauge('destinations_waited_for', 'Servers that something waits for', () => sender.stats().destinations);
  gauge('destinations_behind', 'Of them, those that catch up later', () => sender.stats().behind);
  gauge('input_bytes', 'Bytes of events of others that wait', () => input.depths.bytes);
  gauge('input_rooms', 'Rooms whose events of others are worked off', () => input.depths.rooms);
  gauge('gap_rooms', 'Rooms in which events wait for others', () => gaps.depths.rooms);
  gauge(
    'gap_rooms_filling',
    'Of them, those for which other servers are asked now',
    () => gaps.depths.filling,
  );
  gauge('partial_rooms', 'Rooms whose state is not all known', () => resyncs.stats.rooms);
  gauge(
    'resyncs_running',
    'Of them, those for which other servers are asked now',
    () => resyncs.stats.running,
  );
  gauge('partial_seconds_max', 'For how long the state of the oldest of them has not been all known', () => {
    const { oldestSinceTs } = resyncs.stats;
    return oldestSinceTs === undefined ? 0 : Math.max(0, parts.now() - oldestSinceTs) / 1_000;
  });
  total('resyncs', 'States that were completed', () => resyncs.stats.completed);
  total(
    'resync_rounds_failed',
    'Rounds in which no server gave all of a state',
    () => resyncs.stats.roundsFailed,
  );
  total('resync_events', 'Events that were fetched to complete states', () => resyncs.stats.eventsFetched);
  total('pdus_sent', 'Events that other servers took', () => sender.stats().pdusSent);
  total('edus_sent', 'EDUs that other servers took', () => sender.stats().edusSent);
}
