// Timing what an engine does with an event that arrives: the event is built first, outside the clock.

import type { EngineRoom, Said } from './engine-room.js';
import type { Task } from './measure.js';

const BATCH = 20;

/** Receives events one at a time, each after the verdict of the one before. */
export function receiveTask(room: EngineRoom, say: () => Said): Omit<Task, 'name'> {
  return {
    async run() {
      const events = Array.from({ length: BATCH }, () => room.next(say()));
      const start = performance.now();
      for (const event of events) await room.receive(event);
      const durationMs = performance.now() - start;
      return { overriddenDuration: durationMs / BATCH, overriddenIterationCost: durationMs };
    },
  };
}
