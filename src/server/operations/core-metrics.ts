// How long the phases of the core take, and how large resolutions are.
//
// Labels are looked up once: afterwards an observation costs two additions.

import { Histogram, type Registry } from 'prom-client';
import { CORE_PHASES, type CoreObserver, type CorePhase } from '../../core/observer.js';
import { SeriesHistogram } from './series-histogram.js';

const BUCKETS_SECONDS = [0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const BUCKETS_CONFLICTS = [1, 2, 5, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000];

export class CoreMetrics implements CoreObserver {
  readonly #phases: ReadonlyMap<CorePhase, (seconds: number) => void>;
  readonly #conflicts: Histogram;

  constructor(registry: Registry) {
    const phases = new SeriesHistogram({
      name: 'stateroom_core_phase_seconds',
      help: 'Time in each phase of the core: of an event, of a commit group, of a listener that is given one',
      labelNames: ['phase'],
      buckets: BUCKETS_SECONDS,
      registers: [registry],
    });
    // All are told from the start, also those that nothing has gone through yet.
    this.#phases = new Map(CORE_PHASES.map((phase) => [phase, phases.series({ phase })]));
    this.#conflicts = new Histogram({
      name: 'stateroom_resolution_conflicts',
      help: 'Keys in conflict in each state resolution that was done',
      buckets: BUCKETS_CONFLICTS,
      registers: [registry],
    });
  }

  readonly phase = (phase: CorePhase, ms: number): void => {
    this.#phases.get(phase)?.(ms / 1_000);
  };

  readonly resolution = (conflicts: number): void => this.#conflicts.observe(conflicts);
}
