// The newest places of rooms' timelines in memory.

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RecentPlaces } from '../../../src/client/sync/recent-places.js';
import type { RoomId } from '../../../src/event/ids.js';

const test = suite('sync: recent places');
const ROOM = '!a:example.org' as RoomId;

test('whatever the order in which places came, none is left out above the oldest that is given', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 400 }), { maxLength: 400 }), fc.nat({ max: 400 }), (seqs, to) => {
      const places = new RecentPlaces();
      for (const seq of seqs) places.add(ROOM, seq);
      const given = places.before(ROOM, to);
      const oldest = given.at(-1) ?? Number.POSITIVE_INFINITY;
      // What came before the first that was added may be known to the store alone.
      const expected = [...new Set(seqs)].filter((seq) => seq < to && seq >= oldest).sort((a, b) => b - a);
      assert.equal(given, expected);
    }),
  );
});

test('of a busy room the newest are kept, and no more than a few', () => {
  const places = new RecentPlaces();
  for (let seq = 1; seq <= 10_000; seq++) places.add(ROOM, seq);
  const given = places.before(ROOM, Number.POSITIVE_INFINITY);
  assert.is(given[0], 10_000);
  assert.ok(given.length >= 64 && given.length < 128);
  assert.equal(places.before(ROOM, 5), []);
  assert.equal(places.before('!b:example.org' as RoomId, 5), []);
});

test('of a room whose events got other places nothing is known until new ones come', () => {
  const places = new RecentPlaces();
  for (const seq of [3, 5, 8]) places.add(ROOM, seq);
  places.forget(ROOM);
  assert.equal(places.before(ROOM, 20), []);
  places.add(ROOM, 12);
  assert.equal(places.before(ROOM, 20), [12]);
});

test.run();
