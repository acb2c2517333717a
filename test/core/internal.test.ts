import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openEngine } from '../../src/engine/engine.js';
import { internalRoomId } from '../../src/event/internal.js';

const test = suite('internal rooms');
const tokens = internalRoomId('tokens');

test('a record is found by its key at once, replaced by the next, and gone when it is taken away', async () => {
  const engine = await openEngine();
  const { internal } = engine;
  const written = internal.write([{ roomId: tokens, type: 't', stateKey: 'a', content: { n: 1 } }]);
  assert.equal(internal.get(tokens, 't', 'a'), { n: 1 }, 'before it is on disk');
  await written;
  await internal.write([{ roomId: tokens, type: 't', stateKey: 'a', content: { n: 2 } }]);
  assert.equal(internal.get(tokens, 't', 'a'), { n: 2 });
  await internal.write([{ roomId: tokens, type: 't', stateKey: 'a', content: undefined }]);
  assert.is(internal.get(tokens, 't', 'a'), undefined);
  assert.equal([...internal.entries(tokens, 't')], []);
  await engine.close();
});

test('records of several rooms land in one commit group', async () => {
  const engine = await openEngine();
  const users = internalRoomId('users');
  await engine.internal.write([
    { roomId: tokens, type: 't', stateKey: 'a', content: {} },
    { roomId: users, type: 'u', stateKey: '@a:b', content: {} },
    { roomId: users, type: 'listed', content: { first: true } },
  ]);
  assert.is(engine.core.writer.stats.groups, 1);
  assert.is(engine.reader.currentState(users).get('u', '@a:b')?.length, 44);
  await engine.close();
});

test('nothing from outside can speak of an internal room or claim its version', async () => {
  const engine = await openEngine();
  await engine.internal.write([{ roomId: tokens, type: 't', stateKey: 'a', content: { n: 1 } }]);
  const event = {
    room_id: tokens,
    type: 't',
    state_key: 'a',
    sender: '@eve:evil.test',
    content: { n: 666 },
    prev_events: [],
    auth_events: [],
    depth: 2,
    origin_server_ts: 1,
    hashes: { sha256: 'x' },
    signatures: {},
  };
  for (const roomVersion of [undefined, '12', 'stateroom.internal']) {
    const options = roomVersion === undefined ? {} : { roomVersion };
    assert.is((await engine.receive(event, options)).verdict, 'dropped');
  }
  const create = {
    ...event,
    type: 'm.room.create',
    state_key: '',
    content: { room_version: 'stateroom.internal' },
  };
  assert.is((await engine.receive({ ...create, room_id: '!x:evil.test' })).code, 'ROOM_VERSION_UNKNOWN');
  assert.equal(engine.internal.get(tokens, 't', 'a'), { n: 1 });
  await engine.close();
});

test.run();
