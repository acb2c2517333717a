// The package's face: what an engineer embeds, used as the documentation shows it.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCodes, openEngine, StateroomError } from '../src/index.js';
import { loadRoom } from './fixtures.js';

const test = suite('index');

test('an engine takes events, gives verdicts, and answers on states, all by what the package exports', async () => {
  const { lines, keys, expected } = loadRoom('small-v11');
  const engine = await openEngine({ keys });
  try {
    const verdicts = [];
    for (const line of lines) verdicts.push((await engine.receive(line, { from: 'a.example' })).verdict);
    assert.ok(verdicts.every((verdict) => verdict === 'accepted'));
    const state = engine.currentState(expected.room_id);
    for (const [type, stateKey, eventId] of expected.current_state_a)
      assert.is(state.get(type, stateKey), eventId);
    assert.throws(
      () => engine.stateAt('$unknown'),
      (error: unknown) => error instanceof StateroomError && error.code === 'READER_EVENT_UNKNOWN',
    );
  } finally {
    await engine.close();
  }
});

test('every error code is documented once', () => {
  const codes = errorCodes();
  assert.ok(codes.length > 20);
  for (const [code, doc] of codes) {
    assert.match(code, /^[A-Z]+(_[A-Z0-9]+)+$/);
    assert.ok(doc.length > 10, code);
  }
});

test.run();
