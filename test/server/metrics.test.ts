// What is told of requests and phases, against the metrics' library itself.

import { Histogram, Registry } from 'prom-client';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RequestMetrics } from '../../src/server/operations/request-metrics.js';
import { SeriesHistogram } from '../../src/server/operations/series-histogram.js';
import { Random } from '../../tools/generate/random.js';

const test = suite('server/metrics');

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) =>
      line.replace(/\{(.*)\}/, (_, labels: string) => `{${labels.split(',').sort().join(',')}}`),
    );

test('a histogram tells of what it was given as the library’s own does', async () => {
  const [ours, theirs] = [new Registry(), new Registry()];
  const options = {
    name: 'took',
    help: 'How long',
    labelNames: ['a', 'b'],
    buckets: [0.5, 1, 8, 40],
  } as const;
  const histogram = new SeriesHistogram({ ...options, registers: [ours] });
  const model = new Histogram({ ...options, buckets: [...options.buckets], registers: [theirs] });
  const random = new Random('1', 'metrics');
  for (const labels of [
    { a: 'x', b: 'y' },
    { a: 'x', b: '"\n' },
    { a: '', b: 'y' },
  ]) {
    const observe = histogram.series(labels);
    model.zero(labels);
    for (let i = 0; i < 200; i++) {
      const value = random.below(100) / 2;
      observe(value);
      model.observe(labels, value);
    }
  }
  assert.equal(linesOf(await ours.metrics()), linesOf(await theirs.metrics()));
});

test('requests are counted by method, route and status, each time as many as there were', async () => {
  const registry = new Registry();
  const metrics = new RequestMetrics(registry);
  metrics.observe('GET', '/a', 200, 3);
  metrics.observe('GET', '/a', 404, 30);
  metrics.observe('PUT', '/a', 200, 300);
  for (const times of [1, 2]) {
    metrics.observe('BREW', undefined, 404, 3);
    const lines = (await registry.metrics()).split('\n');
    const counts = lines.filter((line) => /_total\{|_duration_seconds_count/.test(line)).sort();
    assert.equal(counts, [
      'stateroom_http_request_duration_seconds_count{method="GET",route="/a"} 2',
      'stateroom_http_request_duration_seconds_count{method="PUT",route="/a"} 1',
      `stateroom_http_request_duration_seconds_count{method="any",route="none"} ${times}`,
      'stateroom_http_requests_total{method="GET",route="/a",status="200"} 1',
      'stateroom_http_requests_total{method="GET",route="/a",status="404"} 1',
      'stateroom_http_requests_total{method="PUT",route="/a",status="200"} 1',
      `stateroom_http_requests_total{method="any",route="none",status="404"} ${times}`,
    ]);
  }
});

test.run();
