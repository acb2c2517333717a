import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IdleHeap } from '../../src/cli/idle-heap.js';

const test = suite('idle heap');

const MB = 1024 * 1024;

/** A heap that shrinks to what is used when it is collected. */
class Heap {
  total = 70 * MB;
  used = 60 * MB;
  busy = 0;
  collected = 0;
  readonly idle = new IdleHeap({
    utilization: () => this.busy,
    heap: () => ({ total: this.total, used: this.used }),
    collect: () => {
      this.collected++;
      this.total = this.used;
    },
  });
}

test('a server that was busy gives back its memory once it is idle', () => {
  const heap = new Heap();
  heap.total = 200 * MB;
  heap.busy = 0.4;
  heap.idle.look();
  assert.is(heap.collected, 0, 'who is served does not wait for it');
  heap.busy = 0.001;
  heap.idle.look();
  assert.is(heap.collected, 1);
});

test('it is collected once, and again only after it has grown', () => {
  const heap = new Heap();
  heap.total = 200 * MB;
  heap.used = 100 * MB;
  for (let i = 0; i < 5; i++) heap.idle.look();
  assert.is(heap.collected, 1);
  heap.total = 120 * MB;
  heap.idle.look();
  assert.is(heap.collected, 1);
  heap.total = 130 * MB;
  heap.idle.look();
  assert.is(heap.collected, 2);
});

test('a small heap is left as it is, and one that takes long to collect', () => {
  const small = new Heap();
  small.idle.look();
  const large = new Heap();
  large.total = 2_000 * MB;
  large.used = 900 * MB;
  large.idle.look();
  assert.equal([small.collected, large.collected], [0, 0]);
});

test.run();
