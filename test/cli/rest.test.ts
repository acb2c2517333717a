// When a server counts as at rest, and what it gives back then.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RestCollector } from '../../src/cli/rest.js';

const MB = 1024 * 1024;

const test = suite('cli/rest');

/** A process in which a look is made every quarter of a second; what was done to it, in order. */
class Scene {
  readonly done: string[] = [];
  busyShare = 0;
  usedBytes = 100 * MB;
  committedBytes = 200 * MB;
  #now = 0;
  readonly #collector = new RestCollector({
    busyShare: () => this.busyShare,
    heap: () => ({ usedBytes: this.usedBytes, committedBytes: this.committedBytes }),
    compact: () => this.done.push('compact'),
    shrink: () => {
      this.done.push('shrink');
      this.committedBytes = this.usedBytes;
    },
    now: () => this.#now,
  });

  look(times = 1): void {
    for (let i = 0; i < times; i++) {
      this.#now += 250;
      this.#collector.look();
    }
  }
}

test('a busy process is left alone, and one that was idle for one look only', () => {
  const scene = new Scene();
  scene.busyShare = 0.9;
  scene.look(10);
  for (let i = 0; i < 10; i++) {
    scene.busyShare = i % 2;
    scene.look();
  }
  assert.equal(scene.done, []);
});

test('one at rest is compacted and then shrunk, each in a look of its own, once', () => {
  const scene = new Scene();
  scene.look(2);
  assert.equal(scene.done, ['compact']);
  scene.look();
  assert.equal(scene.done, ['compact', 'shrink']);
  scene.look(100);
  assert.equal(scene.done, ['compact', 'shrink']);
});

test('it is done again when the heap has grown, but not soon', () => {
  const scene = new Scene();
  scene.look(4);
  scene.committedBytes = 110 * MB;
  scene.look(100);
  assert.is(scene.done.length, 2, 'a little growth is not worth it');
  scene.committedBytes = 150 * MB;
  scene.look(3);
  assert.is(scene.done.length, 4);
  scene.look();
  scene.committedBytes = 150 * MB;
  scene.look(20);
  assert.is(scene.done.length, 4, 'five seconds later');
  scene.look(40);
  assert.is(scene.done.length, 6);
});

test('a heap that would halt the process for long is not collected', () => {
  const scene = new Scene();
  scene.usedBytes = 300 * MB;
  scene.committedBytes = 900 * MB;
  scene.look(10);
  assert.equal(scene.done, []);
});

test.run();
