// A progress bar on stderr where that is a terminal, and nothing at all where it is not.

/** How far something is. */
export interface Progress {
  /** Moves to a value between 0 and the total; a total of 0 (nobody knows it) shows no bar. */
  update(value: number, total: number): void;
  /** Takes the bar away. */
  stop(): void;
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined };

/** Makes a progress bar, which is shown from its first update on. */
export async function newProgress(label: string): Promise<Progress> {
  if (!process.stderr.isTTY) return SILENT;
  const { SingleBar } = await import('cli-progress');
  const bar = new SingleBar({
    format: `${label} [{bar}] {percentage}% | {eta_formatted} left`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: null,
    gracefulExit: false,
    barCompleteChar: '=',
    barIncompleteChar: ' ',
  });
  let isShown = false;
  return {
    update: (value, total) => {
      if (total === 0) return;
      if (isShown) bar.update(value);
      else bar.start(total, value);
      isShown = true;
    },
    stop: () => {
      if (isShown) bar.stop();
    },
  };
}

/** A count that goes up, where nobody knows how far. */
export interface Counter {
  show(phase: string, done: number): void;
  stop(): void;
}

const CLEAR_LINE = '\r\u001b[K';

/** Makes a counter on one line of stderr; nothing at all where that is no terminal. */
export function newCounter(label: string): Counter {
  if (!process.stderr.isTTY) return { show: () => undefined, stop: () => undefined };
  return {
    show: (phase, done) =>
      void process.stderr.write(`${CLEAR_LINE}${label}: ${phase} ${done.toLocaleString('en')}`),
    stop: () => void process.stderr.write(CLEAR_LINE),
  };
}
