// fsck, rebuild and gc through the command; what they find and do is tested where they are.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { rootsKey } from '../../src/store/keys.js';
import { Store } from '../../src/store/store.js';
import { fixture, jsonOf, makeWorkplace } from './run.js';

const test = suite('cli/maintenance');
const place = makeWorkplace();
const roomsOf = (): Array<{ room_id: string; root: string }> => jsonOf(place.run(['rooms', '--json']));

test.before(() => {
  const ran = place.run(['import', fixture('small-v11', 'events.jsonl'), '--no-verify']);
  assert.is(ran.code, 0, ran.stderr);
});
test.after(() => place.remove());

test('fsck finds a sound store well', () => {
  const ran = place.run(['fsck', '--json']);
  assert.is(ran.code, 0, ran.stdout);
  const report = jsonOf<Record<string, unknown>>(ran);
  assert.is(report['ok'], true);
  assert.is(report['events'], 68);
  assert.equal(report['problems'], []);
  assert.match(place.run(['fsck']).stdout, 'all is well');
});

test('fsck names damage with exit code 1, rebuild repairs it, and the root is what it was', async () => {
  const rooms = roomsOf();
  const store = await Store.open({ kind: 'folder', path: place.data, create: false });
  await store.database.del(rootsKey(20));
  await store.close();

  const broken = place.run(['fsck', '--json']);
  assert.is(broken.code, 1);
  const report = jsonOf<{ ok: boolean; problem_count: number; repair: string }>(broken);
  assert.is(report.ok, false);
  assert.ok(report.problem_count > 0);
  assert.is(report.repair, 'rebuild');
  assert.match(place.run(['fsck']).stdout, 'stateroom rebuild');

  const rebuilt = place.run(['rebuild', '--json']);
  assert.is(rebuilt.code, 0, rebuilt.stderr);
  assert.is(jsonOf<{ events: number }>(rebuilt).events, 68);
  assert.is(place.run(['fsck']).code, 0);
  assert.equal(roomsOf(), rooms);
});

test('gc keeps every state that is stored, and forgets a room when asked', () => {
  const rooms = roomsOf();
  const collected = place.run(['gc', '--json']);
  assert.is(collected.code, 0, collected.stderr);
  const { nodes, nodes_kept } = jsonOf<{ nodes: number; nodes_kept: number }>(collected);
  assert.ok(nodes_kept > 0 && nodes_kept <= nodes);
  assert.is(place.run(['fsck']).code, 0);
  assert.equal(roomsOf(), rooms);

  assert.is(place.run(['gc', '--purge-room', '!none:a.example']).code, 1);
  const purged = place.run(['gc', '--purge-room', rooms[0]?.room_id ?? '', '--json']);
  assert.is(purged.code, 0, purged.stderr);
  assert.is(jsonOf<{ events: number }>(purged).events, 68);
  assert.equal(roomsOf(), []);
  assert.is(place.run(['fsck']).code, 0);
});

test.run();
