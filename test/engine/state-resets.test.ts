// The state-reset alarm on rooms of real servers: it names the keys that merges took back, and is silent where
// nothing was.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openEngine } from '../../src/engine/engine.js';
import type { StateReset } from '../../src/room/graph/state-resolver.js';
import { loadRoom, type RoomName } from '../fixtures.js';

const test = suite('state resets');

/** All resets that an import of the room sounds, and the room's count of them. */
async function resetsOf(
  name: RoomName,
): Promise<{ readonly resets: StateReset[]; readonly counted: number }> {
  const { lines, keys, expected } = loadRoom(name);
  const resets: StateReset[] = [];
  const engine = await openEngine({ keys, onStateReset: (_, record) => resets.push(...record.resets) });
  await Promise.all(lines.map((line) => engine.receive(line, { roomVersion: expected.room_version })));
  const { stateResets: counted } = engine.reader.room(expected.room_id);
  await engine.close();
  return { resets, counted };
}

test('a newer join rule that loses to an older one is named, with both events', async () => {
  const { resets, counted } = await resetsOf('reset-v10');
  const newest = '$ewMDhvRCdiSwurRa-yrx9S3TWjL_g0FP_4r-5881HAw';
  const rule = resets.find((reset) => reset.newest === newest);
  assert.is(rule?.type, 'm.room.join_rules');
  assert.is(rule?.became, '$bvW938AVkZ2VhV6f7JpGBVfNuumQittAAIB9zemuTwY');
  assert.is(counted, resets.length);
});

for (const [name, newest, became] of [
  [
    'forks-v10',
    '$MHwDHsPi7ka71GK_V7xbXvvFDYOqK8xtwvDOc7PXH78',
    '$zO-RLY7H8ozxhfMvw2TNEBqu6pURGc35trgbYPOHdZQ',
  ],
  [
    'forks-v12',
    '$MM1QGlxvHxkdktbvmDlyP0KmZ-wUsULrpIshkcom7fE',
    '$WexdbL7cNmqZbHZcj3hjHknz9baIiOoHjIpYl7J0ELY',
  ],
] as const) {
  test(`a newer room name that loses to an older one is named: ${name}`, async () => {
    const { resets } = await resetsOf(name);
    assert.ok(resets.some((reset) => reset.newest === newest && reset.became === became));
  });
}

test('a room name that a merge leaves without a value is named as lost', async () => {
  const { resets, counted } = await resetsOf('crowd-v11');
  const lost = resets.filter(({ type, became }) => type === 'm.room.name' && became === null);
  assert.ok(lost.length > 0);
  assert.is(counted, resets.length);
});

test('merges that take nothing back sound no alarm', async () => {
  assert.equal(await resetsOf('small-v11'), { resets: [], counted: 0 });
  assert.equal(await resetsOf('rejects-v11'), { resets: [], counted: 0 });
});

test.run();
