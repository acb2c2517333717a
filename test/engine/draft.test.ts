// Events that two servers make together: one says what it is, the other hashes and signs.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { own } from '../../src/event/json.js';
import { rulesOf } from '../../src/event/rules.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { keyOf } from '../simulator/cast.js';
import { codeOf } from './support/stores.js';
import { alice, leave, mallory, stage } from './stage.js';

const test = suite('engine/draft');

/** An engine that has a server's name and key. */
function signer(serverName: 'alpha.test' | 'beta.test'): Promise<Engine> {
  return openEngine({ serverName, signingKey: keyOf(serverName) });
}

for (const version of ['1', '3', '11', '12'] as const) {
  test(`a draft of version ${version}, signed by the server of its sender, is taken by the one that drafted it`, async () => {
    const rules = rulesOf(version);
    assert.ok(rules);
    const at = await stage(rules);
    const { server } = at;
    const [alpha, beta] = [await signer('alpha.test'), await signer('beta.test')];
    const template = { type: 'x.said', sender: mallory, content: { body: 'together' } };
    const { event, allowed, rules: drafted } = server.engine.draft(server.roomId, template);
    assert.equal([allowed, drafted.version], [{ ok: true }, version]);
    assert.is(own(event, 'hashes'), undefined);
    assert.is(own(event, 'signatures'), undefined);
    const signed = beta.sign(event, version);
    const { verdict } = await server.engine.receive(signed, { from: 'beta.test' });
    assert.is(verdict, 'accepted');
    const cosigned = alpha.sign(signed, version);
    assert.equal(cosigned['hashes'], signed['hashes']);
    assert.equal(Object.keys(cosigned['signatures'] as object).sort(), ['alpha.test', 'beta.test']);
    await Promise.all([alpha.close(), beta.close()]);
    await leave(at);
  });
}

test('a draft says by which rule it is not allowed, and none is made of a room that is not known', async () => {
  const rules = rulesOf('11');
  assert.ok(rules);
  const at = await stage(rules);
  const { engine, roomId } = at.server;
  const ban = { type: 'm.room.member', sender: mallory, stateKey: alice, content: { membership: 'ban' } };
  const { allowed } = engine.draft(roomId, ban);
  assert.is(allowed.ok, false);
  assert.ok(!allowed.ok && allowed.rule !== '' && allowed.reason !== '');
  const unknown = Promise.resolve().then(() => engine.draft('!nowhere:alpha.test', ban));
  assert.is(await codeOf(unknown), 'READER_ROOM_UNKNOWN');
  await leave(at);
});

test.run();
