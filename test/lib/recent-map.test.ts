import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RecentMap } from '../../src/lib/recent-map.js';

const test = suite('RecentMap');

test('what was used since it was set outlives what was not', () => {
  const map = new RecentMap<string, number>();
  for (const key of ['a', 'b', 'c', 'd']) map.set(key, 1);
  map.get('a');
  map.get('c');
  map.trim(2);
  assert.equal(
    ['a', 'b', 'c', 'd'].filter((key) => map.get(key) !== undefined),
    ['a', 'c'],
  );
});

test('where all were used the first go all the same', () => {
  const map = new RecentMap<number, number>();
  for (let key = 0; key < 10; key++) {
    map.set(key, key);
    map.get(key);
  }
  map.trim(3);
  assert.is(map.size, 3);
  assert.is(map.get(0), undefined);
  assert.is(map.get(9), 9);
});

test('a use counts until it has been passed over once', () => {
  const map = new RecentMap<string, number>();
  for (const key of ['used', 'b', 'c']) map.set(key, 1);
  map.get('used');
  map.trim(2);
  map.set('d', 1);
  map.set('e', 1);
  map.trim(2);
  assert.is(map.get('used'), undefined);
});

test('what may not go stays, beyond the bound where need be', () => {
  const map = new RecentMap<string, boolean>();
  map.set('held', false);
  map.set('free', true);
  map.set('held and used', false);
  map.get('held and used');
  map.trim(0, (mayGo) => mayGo);
  assert.is(map.size, 2);
  assert.is(map.get('free'), undefined);
  assert.is(map.get('held'), false);
});

test('a value that is set again takes the place of the one before', () => {
  const map = new RecentMap<string, number>();
  map.set('a', 1);
  map.set('b', 1);
  map.set('a', 2);
  assert.is(map.size, 2);
  map.trim(1);
  assert.is(map.get('a'), undefined);
  map.delete('b');
  assert.is(map.size, 0);
});

test.run();
