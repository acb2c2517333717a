// What if a stored merge were resolved by another algorithm.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { whatIf } from '../../../src/reader/explain/what-if.js';
import { openRoom } from './rooms.js';

const test = suite('reader/explain/what-if');

test('by its own algorithm every merge gives what is stored, and nothing is written', async () => {
  const { engine, room } = await openRoom('reset-v10');
  const counters = engine.store.counters();
  for (const id of room.expected.merges) {
    const result = whatIf(engine.reader, id);
    assert.is(result.tried.root, result.root, id);
    assert.equal(result.differs, []);
    assert.is(result.event_id, id);
  }
  assert.equal(engine.store.counters(), counters);
  await engine.close();
});

test('another algorithm says what would differ, on a root of its own', async () => {
  const { engine, room } = await openRoom('reset-v10');
  const merge = '$737sLpvZOyxXLTgj__izgpABryblzEOlF-L_T4yRdTE';
  const result = whatIf(engine.reader, merge, 'v1');
  assert.is(result.algorithm, 'v2');
  assert.is(result.tried.algorithm, 'v1');
  assert.is(result.trace.algorithm, 'v1');
  assert.is.not(result.tried.root, result.root);
  const rule = result.differs.find(({ type }) => type === 'm.room.join_rules');
  assert.is(rule?.stored, '$bvW938AVkZ2VhV6f7JpGBVfNuumQittAAIB9zemuTwY');
  assert.is(rule?.tried, '$ewMDhvRCdiSwurRa-yrx9S3TWjL_g0FP_4r-5881HAw');
  assert.is(engine.currentState(room.expected.room_id).get('m.room.join_rules'), rule?.stored);
  await engine.close();
});

test('of a room its forward extremities are resolved; a create event has nothing before it', async () => {
  const { engine, room } = await openRoom('small-v11');
  const { room_id: roomId, event_ids: ids } = room.expected;
  const result = whatIf(engine.reader, roomId, 'v2.1');
  assert.is(result.event_id, null);
  assert.equal(result.heads, engine.reader.room(roomId).forwardExtremities);
  try {
    whatIf(engine.reader, ids[0] ?? '', 'v2.1');
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, 'READER_NOTHING_TO_MERGE');
  }
  await engine.close();
});

test.run();
