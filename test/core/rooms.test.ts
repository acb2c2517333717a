import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openEngine } from '../../src/engine/engine.js';
import { internalRoomId } from '../../src/event/internal.js';

const test = suite('rooms in memory');

test('a room that was forgotten goes on from its row', async () => {
  const engine = await openEngine();
  const { internal, core } = engine;
  const [first, second] = [internalRoomId('first'), internalRoomId('second')];
  await internal.write([
    { roomId: first, type: 't', stateKey: 'a', content: { n: 1 } },
    { roomId: second, type: 't', stateKey: 'a', content: { n: 2 } },
  ]);
  const held = core.rooms.find(first);
  core.rooms.find(second);
  core.rooms.trim(1);
  assert.is.not(core.rooms.find(first), held, 'the one asked for longest ago is forgotten');
  await internal.write([{ roomId: first, type: 't', stateKey: 'b', content: { n: 3 } }]);
  assert.equal(internal.get(first, 't', 'a'), { n: 1 });
  assert.equal(internal.get(first, 't', 'b'), { n: 3 });
  assert.is(engine.reader.room(first).events, 2);
  await engine.close();
});

test('a room that was asked for since the last look stays, and another goes', async () => {
  const engine = await openEngine();
  const { rooms } = engine.core;
  const [first, second, third] = [internalRoomId('a'), internalRoomId('b'), internalRoomId('c')];
  const ids = [first, second, third];
  await engine.internal.write(ids.map((roomId) => ({ roomId, type: 't', stateKey: 'a', content: {} })));
  const held = ids.map((roomId) => rooms.find(roomId));
  rooms.trim(2);
  rooms.find(second);
  assert.is.not(rooms.find(first), held[0], 'all were asked for: the oldest goes');
  rooms.trim(2);
  assert.is(rooms.find(second), held[1]);
  assert.is.not(rooms.find(third), held[2]);
  await engine.close();
});

test.run();
