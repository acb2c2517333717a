// What became of a file's lines: how many ended how, and the first of those that did not end well.

import type { Verdict, VerdictCounts } from '../../core/outcome.js';

/** A line that was not simply taken. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly code: string;
  readonly reason: string;
  readonly event_id: string | null;
}

/** All problems of one code: how many, and the first of them. */
export interface ProblemGroup {
  readonly code: string;
  readonly count: number;
  readonly first: Problem;
}

/** What an import gives back. */
export interface ImportReport {
  readonly counts: VerdictCounts;
  /** The first ones, in order of files and lines. */
  readonly problems: readonly Problem[];
  readonly groups: readonly ProblemGroup[];
  /** Lines that were read and not empty. */
  readonly lines: number;
  readonly isInterrupted: boolean;
}

/** Where a line stands. */
export interface Place {
  readonly fileIndex: number;
  readonly file: string;
  readonly line: number;
}

/** A line whose event was put aside. */
export interface WaitingLine {
  readonly place: Place;
  readonly verdict: Verdict;
}

const PROBLEMS_MAX = 20;
/** Waiting lines whose place is remembered, to say at the end what became of them. */
const WAITING_MAX = 10_000;

interface Noted {
  readonly place: Place;
  readonly problem: Problem;
}

export class Tally {
  readonly #groups = new Map<string, { count: number; first: Noted }>();
  readonly #waiting: WaitingLine[] = [];
  #first: Noted[] = [];
  lines = 0;
  /** Lines that never reached the engine. */
  refused = 0;

  /** The lines that were told to wait, as far as they are remembered. */
  get waiting(): readonly WaitingLine[] {
    return this.#waiting;
  }

  /** Takes the verdict on a line. */
  take(place: Place, verdict: Verdict): void {
    if (verdict.verdict === 'accepted' || verdict.verdict === 'duplicate') return;
    if (verdict.verdict !== 'waiting') this.note(place, verdict.code, verdict.reason, verdict.eventId);
    else if (this.#waiting.length < WAITING_MAX) this.#waiting.push({ place, verdict });
  }

  /** A line that does not even reach the engine. */
  refuse(place: Place, code: string, reason: string): void {
    this.refused++;
    this.note(place, code, reason, undefined);
  }

  note(place: Place, code: string, reason: string, eventId: string | undefined): void {
    const { file, line } = place;
    const noted = { place, problem: { file, line, code, reason, event_id: eventId ?? null } };
    const group = this.#groups.get(code);
    if (group === undefined) this.#groups.set(code, { count: 1, first: noted });
    else {
      group.count++;
      if (byPlace(noted, group.first) < 0) group.first = noted;
    }
    const last = this.#first[PROBLEMS_MAX - 1];
    if (last === undefined || byPlace(noted, last) < 0) {
      this.#first = [...this.#first, noted].sort(byPlace).slice(0, PROBLEMS_MAX);
    }
  }

  report(counts: VerdictCounts, isInterrupted: boolean): ImportReport {
    return {
      counts: { ...counts, dropped: counts.dropped + this.refused },
      problems: this.#first.map(({ problem }) => problem),
      groups: [...this.#groups]
        .sort(([, a], [, b]) => byPlace(a.first, b.first))
        .map(([code, { count, first }]) => ({ code, count, first: first.problem })),
      lines: this.lines,
      isInterrupted,
    };
  }
}

function byPlace(a: Noted, b: Noted): number {
  return a.place.fileIndex - b.place.fileIndex || a.place.line - b.place.line;
}
