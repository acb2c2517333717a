// Rows in chunks: all of them, in order, and the iterator closed however it ends.

import { MemoryLevel } from 'memory-level';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ChunkedIterator, inChunks } from '../../src/store/chunks.js';

const test = suite('store/chunks');

/** An iterator over numbers that gives a third of what it is asked for at most, and notes how it is used. */
class Counting implements ChunkedIterator<number> {
  readonly asked: number[] = [];
  isClosed = false;
  #next = 0;
  readonly #end: number;

  constructor(end: number) {
    this.#end = end;
  }

  async nextv(size: number): Promise<number[]> {
    this.asked.push(size);
    const count = Math.min(Math.ceil(size / 3), this.#end - this.#next);
    return Array.from({ length: count }, () => this.#next++);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

for (const count of [0, 1, 15, 16, 17, 1_000, 5_000]) {
  test(`all of ${count} rows come, in order`, async () => {
    const iterator = new Counting(count);
    const found: number[] = [];
    for await (const row of inChunks(iterator)) found.push(row);
    assert.equal(
      found,
      Array.from({ length: count }, (_, i) => i),
    );
    assert.ok(iterator.isClosed);
    assert.ok(Math.max(...iterator.asked) <= 1_000);
  });
}

test('whoever wants one row has few read, and the iterator is closed', async () => {
  const iterator = new Counting(5_000);
  for await (const row of inChunks(iterator)) {
    assert.is(row, 0);
    break;
  }
  assert.equal(iterator.asked, [16]);
  assert.ok(iterator.isClosed);
});

test('a failure is passed on, and the iterator is closed', async () => {
  const iterator = new Counting(5);
  iterator.nextv = () => Promise.reject(new Error('the disk is gone'));
  const rows = inChunks(iterator);
  try {
    await rows.next();
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), 'the disk is gone');
  }
  assert.ok(iterator.isClosed);
});

test('a database gives the same rows in chunks as without', async () => {
  const database = new MemoryLevel();
  await database.batch(
    Array.from({ length: 300 }, (_, i) => ({
      type: 'put' as const,
      key: String(i).padStart(3, '0'),
      value: '',
    })),
  );
  const keys: string[] = [];
  for await (const key of inChunks(database.keys({ gte: '010', reverse: true, limit: 200 }))) keys.push(key);
  assert.equal(keys, await database.keys({ gte: '010', reverse: true, limit: 200 }).all());
  await database.close();
});

test.run();
