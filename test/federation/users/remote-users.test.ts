import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, crossSigning, crossSigningKey, sync, TestKey } from '../../client/e2ee-support.js';
import { itemsOf, textOf } from '../../client/harness.js';
import { Alpha, member, type Other } from '../outbound/alpha.js';
import { Bobs, devicesOf, lists, now, query } from './bobs.js';

const test = suite('federation users');

async function open(): Promise<{ at: Alpha; beta: Other; bobs: Bobs }> {
  const at = await Alpha.open();
  const beta = await at.other();
  await at.set('m.room.encryption', '', { algorithm: 'm.megolm.v1.aes-sha2' });
  await at.settle();
  return { at, beta, bobs: new Bobs(beta) };
}

test('keys of a user who shares a room are asked for once, then kept', async () => {
  const { at, beta, bobs } = await open();
  const keys = bobs.add('PHONE', 1);
  const first = await query(at, beta.user);
  assert.equal(first['device_keys']?.[beta.user], { PHONE: { ...keys, unsigned: {} } });
  assert.equal(first['failures'], {});
  await query(at, beta.user);
  assert.is(bobs.asked.query, 1);
  assert.not('@mallory:other.test' in (first['device_keys'] ?? {}));
  await at.close();
});

test('keys that were kept are not relied on in a later room when all of us left the one that was shared', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  await query(at, beta.user);
  await at.harness.home.engine.send(at.roomId, member(at.alice.userId, 'leave'));
  await at.settle();
  bobs.add('TABLET', 2);
  await at.join(beta, beta.user, await at.room());
  await at.settle();
  assert.equal(await devicesOf(at, beta.user), ['PHONE', 'TABLET']);
  await at.close();
});

test('keys of a user who shares no room are asked for each time', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  await at.leave(beta);
  await at.settle();
  assert.equal(await devicesOf(at, beta.user), ['PHONE']);
  assert.equal(await devicesOf(at, beta.user), ['PHONE']);
  assert.is(bobs.asked.query, 2);
  await at.close();
});

test('a server that does not answer is named, and what is known is shown', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  await query(at, beta.user);
  bobs.add('TABLET', 2);
  beta.mood = 'down';
  await bobs.tell(at, 'TABLET', [77]);
  await at.settle();
  const answer = await query(at, beta.user);
  assert.equal(Object.keys(answer['failures'] ?? {}), ['beta.test']);
  assert.equal(Object.keys(answer['device_keys']?.[beta.user] ?? {}), ['PHONE']);
  await at.close();
});

test('an update that follows is taken in, and clients are told', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  await query(at, beta.user);
  bobs.add('TABLET', 2);
  await bobs.tell(at, 'TABLET', []);
  await at.settle();
  assert.is(bobs.asked.devices, 1, 'the first tells the version');
  const since = await now(at);
  bobs.add('LAPTOP', 3);
  await bobs.tell(at, 'LAPTOP', [bobs.streamId - 1]);
  await at.settle();
  assert.equal((await lists(at, since)).changed, [beta.user]);
  assert.equal(await devicesOf(at, beta.user), ['LAPTOP', 'PHONE', 'TABLET']);
  bobs.devices.delete('PHONE');
  bobs.streamId++;
  await bobs.tell(at, 'PHONE', [bobs.streamId - 1]);
  assert.equal(await devicesOf(at, beta.user), ['LAPTOP', 'TABLET']);
  assert.equal([bobs.asked.devices, bobs.asked.query], [1, 1]);
  await at.close();
});

test('after a missed update the list is asked for, again until there is an answer, and then clients are told', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  await query(at, beta.user);
  await bobs.tell(at, 'PHONE', []);
  await at.settle();
  const asked = bobs.asked.devices;
  beta.mood = 'down';
  bobs.add('MISSED', 2);
  bobs.add('TOLD', 3);
  await bobs.tell(at, 'TOLD', [bobs.streamId - 1]);
  await at.settle();
  const since = await now(at);
  beta.mood = 'up';
  await at.pass(60_000);
  assert.is(bobs.asked.devices, asked + 1);
  assert.equal((await lists(at, since)).changed, [beta.user]);
  assert.equal(await devicesOf(at, beta.user), ['MISSED', 'PHONE', 'TOLD']);
  assert.is(bobs.asked.query, 1);
  await at.close();
});

test('who leaves is forgotten, and asked for anew when back: what happened meanwhile was not told', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  await query(at, beta.user);
  const since = await now(at);
  await at.leave(beta);
  await at.settle();
  const gone = await lists(at, since);
  assert.equal([gone.changed, gone.left], [[], [beta.user]]);
  bobs.add('MEANWHILE', 2);
  await at.join(beta);
  await at.settle();
  const back = await lists(at, gone.next);
  assert.equal([back.changed, back.left], [[beta.user], []]);
  assert.equal(await devicesOf(at, beta.user), ['MEANWHILE', 'PHONE']);
  assert.is(bobs.asked.query, 2);
  await at.close();
});

test('an update of somebody who shares no room changes nothing', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  await at.leave(beta);
  await at.settle();
  const before = at.harness.home.engine.core.release.watermark;
  await bobs.tell(at, 'PHONE', []);
  await at.settle();
  assert.is(at.harness.home.engine.core.release.watermark, before);
  assert.is(bobs.asked.devices, 0);
  await at.close();
});

test('an answer that a change overtook is shown and not kept', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  const honest = beta.answers;
  beta.answers = async (request) => {
    const answer = await honest(request);
    if (request.uri.endsWith('/user/keys/query')) {
      bobs.add('TABLET', 2);
      await bobs.tell(at, 'TABLET', [bobs.streamId - 1]);
    }
    return answer;
  };
  assert.equal(await devicesOf(at, beta.user), ['PHONE']);
  beta.answers = honest;
  assert.equal(await devicesOf(at, beta.user), ['PHONE', 'TABLET']);
  await at.close();
});

test('what a server says of keys that are not theirs, or not of that form, is left out', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  bobs.devices.set('LIAR', { ...bobs.add('OTHER', 2) });
  bobs.devices.set('NOTHING', {});
  bobs.devices.set('HUGE', { ...bobs.add('HUGE', 3), more: 'x'.repeat(20_000) });
  bobs.master = crossSigningKey('@mallory:beta.test', 'master', new TestKey(9));
  const answer = await query(at, beta.user);
  assert.equal(Object.keys(answer['device_keys']?.[beta.user] ?? {}).sort(), ['OTHER', 'PHONE']);
  assert.equal(answer['master_keys'], {});
  await at.close();
});

test('one-time keys come from their server, only those asked for; one that fails is named', async () => {
  const { at, beta, bobs } = await open();
  const wanted = { one_time_keys: { [beta.user]: { PHONE: 'signed_curve25519' } } };
  const answer = await ask(at.harness, at.alice, 'POST', '/v3/keys/claim', wanted);
  assert.equal(answer['one_time_keys'], { [beta.user]: { PHONE: { 'signed_curve25519:A': { key: 'k' } } } });
  assert.equal(answer['failures'], {});
  beta.mood = 'down';
  const failed = await ask(at.harness, at.alice, 'POST', '/v3/keys/claim', wanted);
  assert.equal([failed['one_time_keys'], Object.keys(failed['failures'] ?? {})], [{}, ['beta.test']]);
  assert.is(bobs.asked.claim, 1);
  await at.close();
});

test('a remote master key can be verified, and shows the signature to who made it alone', async () => {
  const { at, beta, bobs } = await open();
  const carol = await at.harness.user('carol');
  bobs.add('PHONE', 1);
  bobs.master = crossSigningKey(beta.user, 'master', new TestKey(50));
  await query(at, beta.user);
  const own = crossSigning(at.alice.userId, 60);
  await at.harness.home.accounts.crossSigning.upload(at.alice.userId, {
    master: own.body.master_key,
    self_signing: own.body.self_signing_key,
    user_signing: own.body.user_signing_key,
  });
  const keyId = `ed25519:${own.userSigning.publicKey}`;
  const signed = own.userSigning.sign(bobs.master, at.alice.userId, keyId);
  const answer = await ask(at.harness, at.alice, 'POST', '/v3/keys/signatures/upload', {
    [beta.user]: { [new TestKey(50).publicKey]: signed },
  });
  assert.equal(answer['failures'] ?? {}, {});
  const seen = await query(at, beta.user);
  assert.equal(seen['master_keys']?.[beta.user], signed);
  const asCarol = await ask(at.harness, carol, 'POST', '/v3/keys/query', {
    device_keys: { [beta.user]: [] },
  });
  assert.equal(asCarol['master_keys']?.[beta.user], bobs.master);
  await at.close();
});

test('other cross-signing keys of a remote user take the place of the old ones, and clients are told', async () => {
  const { at, beta, bobs } = await open();
  bobs.add('PHONE', 1);
  bobs.master = crossSigningKey(beta.user, 'master', new TestKey(50));
  await query(at, beta.user);
  const since = await now(at);
  const master = crossSigningKey(beta.user, 'master', new TestKey(51));
  await at.federation.users.sink.signingKeys({
    userId: beta.user,
    masterKey: master,
    selfSigningKey: undefined,
  });
  assert.equal((await lists(at, since)).changed, [beta.user]);
  assert.equal((await query(at, beta.user))['master_keys'], { [beta.user]: master });
  assert.is(bobs.asked.query, 1);
  await at.close();
});

test('a remote profile is that of their server, kept for a minute', async () => {
  const { at, beta, bobs } = await open();
  const path = `/v3/profile/${encodeURIComponent(beta.user)}`;
  assert.equal(await ask(at.harness, at.alice, 'GET', path), { displayname: 'Bob', 'org.test.x': [1] });
  assert.equal(await ask(at.harness, at.alice, 'GET', `${path}/displayname`), { displayname: 'Bob' });
  assert.is((await at.harness.call(at.alice, 'GET', `${path}/avatar_url`)).status, 404);
  assert.is(bobs.asked.profile, 1);
  await at.pass(61_000);
  beta.mood = 'down';
  const failed = await at.harness.call(at.alice, 'GET', path);
  assert.is(failed.status, 502);
  const nobody = await at.harness.call(
    at.alice,
    'GET',
    `/v3/profile/${encodeURIComponent('@nobody:beta.test')}`,
  );
  assert.is(nobody.status, 502, 'a server in backoff is not asked');
  await at.close();
});

test('somebody whom their server does not know has no profile', async () => {
  const { at } = await open();
  const path = `/v3/profile/${encodeURIComponent('@nobody:beta.test')}`;
  assert.is((await at.harness.call(at.alice, 'GET', path)).status, 404);
  await at.close();
});

test('remote typing and presence are shown to those in the room, and end', async () => {
  const { at, beta } = await open();
  const { ephemeralSink } = await import('../../../src/client/federated-ephemeral.js');
  const sink = ephemeralSink(at.harness.home, at.federation);
  const since = await now(at);
  sink.typing({ roomId: at.roomId, userId: beta.user, isTyping: true });
  sink.presence({
    userId: beta.user,
    state: 'online',
    statusMessage: 'here',
    lastActiveAgoMs: 0,
    isCurrentlyActive: true,
  });
  const shown = await sync(at.harness, at.alice, since);
  const typing = itemsOf(shown['rooms']?.['join']?.[at.roomId]?.['ephemeral']?.['events']);
  assert.equal(
    typing.map(({ content }) => content?.['user_ids']),
    [[beta.user]],
  );
  const [presence] = itemsOf(shown['presence']?.['events']).filter(
    ({ sender }) => textOf(sender) === beta.user,
  );
  assert.is(textOf(presence?.['content']?.['status_msg']), 'here');
  at.net.advance(31 * 60_000);
  const { ephemeral } = at.harness.home;
  assert.is(ephemeral.presence(beta.user)?.state, 'offline');
  assert.equal(ephemeral.typing(at.roomId).users, []);
  assert.is(
    beta.edus('m.presence').filter((edu) => textOf(edu['push']?.['0']?.['user_id']) === beta.user).length,
    0,
  );
  await at.close();
});

test.run();
