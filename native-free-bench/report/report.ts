// What a run of the benchmarks says: curves over room sizes, targets with what was reached, and remarks.
//
// Plain data: it is written as JSON as it is, and the table, the Markdown and the picture are made from it.

/** `us`: microseconds. `ratio`: how many times as much. `percent`: of a hundred. */
export type Unit = 'us' | 'bytes' | 'ratio' | 'percent' | 'count' | 'per_second';

/** The curves that stand in one picture. */
export const GROUPS = {
  query: 'State at an event: one key',
  put: 'One more state event: the new state',
  bytes: 'Bytes stored for a state event',
  questions: 'Other questions to a state',
  whole: 'What touches every entry',
  engine: 'Through the engine',
} as const;
export type Group = keyof typeof GROUPS;

/** One line over room sizes. */
export interface Series {
  readonly group: Group;
  readonly name: string;
  /** `naive` answers are what others do, or what first comes to mind. */
  readonly kind: 'ours' | 'naive';
  readonly unit: Unit;
  readonly points: ReadonlyArray<{ readonly members: number; readonly value: number }>;
}

/** One figure that was aimed for. */
export interface Target {
  readonly name: string;
  readonly unit: Unit;
  readonly bound: 'at most' | 'below' | 'at least' | 'none';
  /** The figure aimed for; with bound `none` there is none, and the row is there for comparison. */
  readonly limit: number;
  readonly reached: number;
  readonly remark?: string;
}

/** What one section of the benchmarks found. */
export interface Findings {
  readonly series: readonly Series[];
  readonly targets: readonly Target[];
  readonly remarks: readonly string[];
}

/** Where it ran. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly node: string;
  readonly platform: string;
  /** Compiled addons in this process, by file name. */
  readonly addons: readonly string[];
}

export interface Report extends Findings {
  readonly machine: Machine;
  readonly store: 'memory' | 'classic-level';
  readonly isQuick: boolean;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly seconds: number;
}

/** Was the target reached? Undefined where there is none. */
export function isReached({ bound, limit, reached }: Target): boolean | undefined {
  if (bound === 'none') return undefined;
  if (bound === 'at least') return reached >= limit;
  return bound === 'below' ? reached < limit : reached <= limit;
}

/** A figure for people: three digits, and the unit that suits its size. */
export function shown(value: number, unit: Unit): string {
  if (unit === 'us') {
    if (value >= 1e6) return `${digits(value / 1e6)} s`;
    if (value >= 1e3) return `${digits(value / 1e3)} ms`;
    return value >= 1 ? `${digits(value)} µs` : `${digits(value * 1e3)} ns`;
  }
  if (unit === 'bytes') {
    if (value >= 1e6) return `${digits(value / 1e6)} MB`;
    return value >= 1e4 ? `${digits(value / 1e3)} kB` : `${digits(value)} B`;
  }
  if (unit === 'ratio') return `${digits(value)}x`;
  if (unit === 'percent') return `${digits(value)} %`;
  return unit === 'per_second' ? `${digits(value)}/s` : digits(value);
}

/** What was aimed for, in words. */
export function shownLimit({ bound, limit, unit }: Target): string {
  if (bound === 'none') return '';
  const sign = { 'at most': '<=', below: '<', 'at least': '>=' }[bound];
  return `${sign} ${shown(limit, unit)}`;
}

/** All room sizes that any of these series has, ascending. */
export function sizesOf(series: readonly Series[]): number[] {
  return [...new Set(series.flatMap(({ points }) => points.map(({ members }) => members)))].sort(
    (a, b) => a - b,
  );
}

/** A whole number with commas. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

function digits(value: number): string {
  if (value === 0) return '0';
  if (Math.abs(value) >= 1000) return grouped(value);
  return String(Number(value.toPrecision(3)));
}
