// A histogram that is told of things that happen all the time.
//
// The library finds the series of an observation by a text of all its labels, made anew each time. Here a series is
// held by whoever observes: an observation is two additions, and the library sees the counts when it is asked for them.

import { Histogram } from 'prom-client';

/** What was observed with the same labels. */
interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** How many lay between the bound of this place and the one before it; the last: beyond all bounds. */
  readonly counts: Float64Array;
  sum: number;
}

export interface SeriesHistogramOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly Label[];
  /** Upper bounds, growing. */
  readonly buckets: readonly number[];
  readonly registers: ConstructorParameters<typeof Histogram>[0]['registers'];
}

export class SeriesHistogram<Label extends string> extends Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #buckets: readonly number[];
  readonly #series: Series[] = [];

  constructor({ name, help, labelNames, buckets, registers }: SeriesHistogramOptions<Label>) {
    super({ name, help, labelNames, buckets: [...buckets], registers: registers ?? [] });
    this.#name = name;
    this.#help = help;
    this.#buckets = buckets;
  }

  /** A new series, told of from now on. To be asked for once for the same labels. @returns takes an observation */
  series(labels: Readonly<Record<Label, string>>): (value: number) => void {
    const buckets = this.#buckets;
    const series: Series = { labels, counts: new Float64Array(buckets.length + 1), sum: 0 };
    const { counts } = series;
    this.#series.push(series);
    return (value) => {
      let place = 0;
      while (place < buckets.length && value > (buckets[place] as number)) place++;
      counts[place] = (counts[place] as number) + 1;
      series.sum += value;
    };
  }

  /** What the library asks for when it tells of a metric, in text or otherwise; its types do not name it. */
  async getForPromString(): Promise<object> {
    const values = this.#series.flatMap((series) => this.#written(series));
    return { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values };
  }

  /** The values of a series as the library writes them. */
  #written({ labels: sharedLabels, counts, sum }: Series): object[] {
    const name = this.#name;
    let count = 0;
    const buckets = [...counts].map((here, place) => {
      count += here;
      const le = this.#buckets[place] ?? '+Inf';
      return { metricName: `${name}_bucket`, labels: { le }, sharedLabels, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: {}, sharedLabels, value: sum },
      { metricName: `${name}_count`, labels: {}, sharedLabels, value: count },
    ];
  }
}
