// What the engine, the accounts and the long polls tell of themselves, read when somebody asks.

import { Counter, Gauge, type Registry } from 'prom-client';
import type { Homeserver } from '../../client/homeserver.js';
import type { App } from '../http/app.js';

export function addEngineMetrics(registry: Registry, home: Homeserver, app: App): void {
  const { core, reader } = home.engine;
  // Each is registered by name below, not with the library's registry of everything.
  const registers: Registry[] = [];
  const gauge = (name: string, help: string, read: () => number): void => {
    registry.registerMetric(
      new Gauge({
        name: `stateroom_${name}`,
        help,
        registers,
        collect() {
          this.set(read());
        },
      }),
    );
  };
  // The engine counts by itself; what a scrape shows is set, not added.
  const total = (name: string, help: string, read: () => number): void => {
    registry.registerMetric(
      new Counter({
        name: `stateroom_${name}_total`,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    );
  };

  total('commit_groups', 'Groups of events written to disk', () => core.writer.stats.groups);
  total('committed_events', 'Events in those groups', () => core.writer.stats.events);
  gauge('commit_group_events_max', 'Events in the largest group', () => core.writer.stats.groupEventsMax);
  gauge('lanes', 'Rooms with arrivals that wait for their turn', () => core.depths().lanes);
  gauge('lane_arrivals', 'Arrivals that wait for their turn', () => core.depths().arrivals);
  gauge('unwritten_decisions', 'Decisions that wait for the disk', () => core.depths().decisions);
  gauge('writer_failed', '1 when the disk refused a write: nothing more is accepted', () =>
    core.writer.failure === undefined ? 0 : 1,
  );
  gauge('committed_seq', 'Seq of the newest committed event', () => core.release.watermark);
  gauge('horizon_events', 'Events that wait for events they refer to', () => core.depths().horizon);

  total('node_visits', 'Tree nodes looked at', () => reader.tree.stats.visits);
  total('node_hits', 'Tree nodes that were in memory', () => {
    const { visits, misses } = reader.tree.stats;
    return visits - misses;
  });
  total('node_misses', 'Tree nodes that had to be read', () => reader.tree.stats.misses);
  total('node_record_reads', 'Records read for them', () => reader.tree.stats.recordReads);
  total('node_evictions', 'Tree nodes that gave way', () => reader.tree.stats.evictions);
  gauge('node_cache_bytes', 'Bytes of tree nodes in memory', () => reader.tree.stats.bytes);
  gauge('node_cache_bytes_max', 'Bytes of tree nodes that there may be', () => reader.tree.stats.bytesMax);

  registry.registerMetric(
    new Gauge({
      name: 'stateroom_verdicts',
      help: 'What became of events since the start',
      labelNames: ['verdict'],
      registers,
      collect() {
        for (const [verdict, count] of Object.entries(home.engine.verdicts())) this.set({ verdict }, count);
      },
    }),
  );
  gauge('sync_waiters', 'Long polls that wait for news', () => home.notifier.listeners);
  gauge('open_signals', 'Requests under way that can be cut short', () => app.longRequests.size);
  gauge('rate_limit_buckets', 'Users and addresses whose requests are counted', () => app.rateLimits.size);
}
