// What matrix-js-sdk needs of its surroundings in a test: import this before it.
//
// `Promise.withResolvers` (Node 20 lacks it), silence (a test says itself what it waited for), and that the
// timers which the SDK leaves behind, 110 s for each sync that was stopped, do not keep the process.

import { logger } from 'matrix-js-sdk/lib/logger.js';

const LEFT_BEHIND_MS = 30_000;

function withResolvers<T>(): {
  promise: Promise<T>;
  resolve: (value: T | PromiseLike<T>) => void;
  reject: (reason?: unknown) => void;
} {
  let settlers: Parameters<ConstructorParameters<typeof Promise<T>>[0]> | undefined;
  const promise = new Promise<T>((...both) => {
    settlers = both;
  });
  if (settlers === undefined) throw new Error('a promise calls its executor at once');
  const [resolve, reject] = settlers;
  return { promise, resolve, reject };
}

if (!('withResolvers' in Promise)) Object.defineProperty(Promise, 'withResolvers', { value: withResolvers });

const setTimer = globalThis.setTimeout;
globalThis.setTimeout = Object.assign(
  (run: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => {
    const timer = setTimer(run, delayMs, ...args);
    return (delayMs ?? 0) > LEFT_BEHIND_MS ? timer.unref() : timer;
  },
  setTimer,
);

// Loggers made from this one take over its factory.
Object.assign(logger, { methodFactory: () => () => {} });
if ('rebuild' in logger && typeof logger.rebuild === 'function') logger.rebuild();
