// Who is told how long the phases of the core take, and how large resolutions are. The core measures only when
// somebody asks; what becomes of the numbers is theirs.

/**
 * - `evaluate`: an event's form, hash and signatures are checked, or a local one is built.
 * - `judge`: in its turn, it is judged against the graph and the state, and decided.
 * - `commit`: a group of decisions is made into a batch and written.
 * - `release`: from the commit to the moment in which a listener has it, each listener by itself.
 */
export const CORE_PHASES = ['evaluate', 'judge', 'commit', 'release'] as const;

export type CorePhase = (typeof CORE_PHASES)[number];

export interface CoreObserver {
  readonly phase: (phase: CorePhase, ms: number) => void;
  /** A resolution was done that was not done before. @param conflicts how many keys were in conflict */
  readonly resolution: (conflicts: number) => void;
}

/** Measures work that is done at once. */
export function observed<Result>(
  observer: CoreObserver | undefined,
  phase: CorePhase,
  work: () => Result,
): Result {
  if (observer === undefined) return work();
  const start = performance.now();
  try {
    return work();
  } finally {
    observer.phase(phase, performance.now() - start);
  }
}
