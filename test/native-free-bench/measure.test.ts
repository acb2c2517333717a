// Measuring: what is timed, how rounds become one figure, and that faults do not become figures.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { measure, median, ratioOf, timingOf } from '../../native-free-bench/measure.js';

const measuring = suite('benchmark measuring');

const effort = { rounds: 3, timeMs: 0 };

measuring('the median is the middle, or between the two in the middle', () => {
  assert.is(median([3, 1, 2]), 2);
  assert.is(median([10, 1, 2, 4]), 3);
  assert.ok(Number.isNaN(median([])));
});

measuring('a duration that a task gives itself is what counts, for one of its operations', async () => {
  const timings = await measure(
    [
      { name: 'one', run: () => ({ overriddenDuration: 2 }) },
      { name: 'ten', run: () => ({ overriddenDuration: 2 }), operations: 10 },
    ],
    effort,
  );
  assert.is(timingOf(timings, 'one'), 2_000);
  assert.is(timingOf(timings, 'ten'), 200);
  assert.is(ratioOf(timings, 'one', 'ten'), 10);
});

measuring('a ratio is taken within each round, so that a drift of the machine does not bend it', () => {
  const timings = new Map([
    ['a', [2, 20, 200]],
    ['b', [1, 10, 100]],
  ]);
  assert.is(ratioOf(timings, 'a', 'b'), 2);
});

measuring('tasks take turns: no round begins where the one before it did', async () => {
  const order: string[] = [];
  const tasks = ['a', 'b', 'c'].map((name) => ({
    name,
    run() {
      if (order.at(-1) !== name) order.push(name);
    },
  }));
  await measure(tasks, effort);
  assert.ok(order.length > 3);
  assert.is.not(order.join(''), 'abcabcabc');
});

measuring('what a task throws is thrown', async () => {
  const tasks = [
    {
      name: 'broken',
      run() {
        throw new Error('on purpose');
      },
    },
  ];
  try {
    await measure(tasks, effort);
    assert.unreachable('it was measured all the same');
  } catch (error) {
    assert.match(String(error), /on purpose/);
  }
});

measuring('two tasks of one name are refused', async () => {
  const task = { name: 'same', run: () => undefined };
  try {
    await measure([task, task], effort);
    assert.unreachable('they were measured all the same');
  } catch (error) {
    assert.match(String(error), /no two tasks/);
  }
});

measuring.run();
