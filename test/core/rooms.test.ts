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

test.run();
