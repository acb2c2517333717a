import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, RoomId, ServerName, UserId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import { receiveJson, verifyReceived } from '../../src/event/receive.js';
import { ROOM_VERSIONS } from '../../src/event/rules.js';
import { createSigningKey, signEvent } from '../../src/event/signing.js';
import { requiredSigners, verifyEventSignatures, type PublicKeys } from '../../src/event/verify.js';
import { key, keys, rulesFor, sample, server } from './samples.js';

const test = suite('required signatures');

const other = createSigningKey('ed25519:other', new Uint8Array(32).fill(1));
const both: PublicKeys = (name, keyId) =>
  name === 'other.org' && keyId === other.keyId ? other.publicKey : keys(name, keyId);

test("the sender's server signs, in every version", () => {
  for (const rules of ROOM_VERSIONS) {
    const pdu = sample(rules);
    assert.equal(requiredSigners(pdu.json, rules), [server]);
    const verdict = verifyEventSignatures(pdu.json, rules, keys);
    assert.ok(verdict.ok);
    assert.equal(verdict.verified, [{ server, keyId: 'ed25519:1' }]);
  }
});

test('the server in the event id signs too in versions 1 and 2', () => {
  for (const version of ['1', '2']) {
    const rules = rulesFor(version);
    const { json } = sample(rules, { eventId: '$e:other.org' as EventId });
    assert.equal(requiredSigners(json, rules), ['domain', 'other.org']);
    assert.equal(verifyEventSignatures(json, rules, both).faults, [
      { server: 'other.org', fault: 'unsigned' },
    ]);
    assert.ok(verifyEventSignatures(signEvent(json, rules, 'other.org', other), rules, both).ok);
  }
  const json = { ...sample(rulesFor('3')).json, event_id: '$e:other.org' };
  assert.equal(requiredSigners(json, rulesFor('3')), ['domain']);
});

test("the authorising user's server signs restricted joins from version 8", () => {
  const content = { membership: 'join', join_authorised_via_users_server: '@b:other.org' };
  for (const rules of ROOM_VERSIONS) {
    const { json } = sample(rules, { type: 'm.room.member', stateKey: '@a:domain', content });
    const signers = Number(rules.version) >= 8 ? ['domain', 'other.org'] : ['domain'];
    assert.equal(requiredSigners(json, rules), signers);
  }
  const leave = sample(rulesFor('11'), {
    type: 'm.room.member',
    stateKey: '@a:domain',
    content: { ...content, membership: 'leave' },
  });
  assert.equal(requiredSigners(leave.json, rulesFor('11')), ['domain']);
  const message = sample(rulesFor('11'), { content });
  assert.equal(requiredSigners(message.json, rulesFor('11')), ['domain']);
});

test("an invite by third party need not be signed by the sender's server", () => {
  for (const rules of ROOM_VERSIONS) {
    const member = { type: 'm.room.member', stateKey: '@b:other.org' };
    const invite = sample(rules, { ...member, content: { membership: 'invite', third_party_invite: {} } });
    assert.equal(requiredSigners(invite.json, rules), rules.eventIdServerSigns ? [server] : []);
    const plain = sample(rules, { ...member, content: { membership: 'invite' } });
    assert.equal(requiredSigners(plain.json, rules), [server]);
    const join = sample(rules, { ...member, content: { membership: 'join', third_party_invite: {} } });
    assert.equal(requiredSigners(join.json, rules), [server]);
  }
});

test('an exempted invite stays exempted when its content hash does not match', () => {
  const rules = rulesFor('10');
  const content = { membership: 'invite', third_party_invite: { display_name: 'x' } };
  const { json } = sample(rules, {
    type: 'm.room.member',
    stateKey: '@b:other.org',
    sender: '@s:other.org' as UserId,
    content,
  });
  const received = receiveJson({ ...json, extra: 1 }, rules);
  assert.ok(received.wasRedacted);
  assert.equal(received.pdu.content, { membership: 'invite' });
  assert.ok(verifyReceived(received, keys).ok);
});

test('the verdict names server and key of what is missing, unknown or wrong', () => {
  const rules = rulesFor('11');
  const { json } = sample(rules);
  const unsigned: JsonObject = { ...json, signatures: {} };
  assert.equal(verifyEventSignatures(unsigned, rules, keys).faults, [{ server, fault: 'unsigned' }]);
  assert.equal(verifyEventSignatures(json, rules, () => undefined).faults, [
    { server, fault: 'unknown-key' },
  ]);
  for (const signature of ['', 'AAAA', '!', 'A'.repeat(86), 7]) {
    const verdict = verifyEventSignatures(
      { ...json, signatures: { domain: { 'ed25519:1': signature } } },
      rules,
      keys,
    );
    assert.equal(verdict, {
      ok: false,
      verified: [],
      faults: [{ server, keyId: 'ed25519:1', fault: 'wrong-signature' }],
    });
  }
});

test('unknown keys and algorithms are skipped beside a good signature; a wrong one of a known key is not', () => {
  const rules = rulesFor('11');
  const { json } = sample(rules);
  const good = (json['signatures'] as { domain: JsonObject }).domain;
  const beside = (more: JsonObject): JsonObject => ({
    ...json,
    signatures: { domain: { ...more, ...good } },
  });
  assert.ok(verifyEventSignatures(beside({ 'ed25519:unknown': 'AAAA', 'rsa:1': 'x' }), rules, keys).ok);
  const twoKeys: PublicKeys = (name, keyId) => (keyId === 'ed25519:2' ? other.publicKey : keys(name, keyId));
  assert.not(verifyEventSignatures(beside({ 'ed25519:2': 'AAAA' }), rules, twoKeys).ok);
  const signedTwice = signEvent(
    json,
    rules,
    server,
    createSigningKey('ed25519:2', new Uint8Array(32).fill(1)),
  );
  assert.is(verifyEventSignatures(signedTwice, rules, twoKeys).verified.length, 2);
});

test('signatures of servers that need not sign are not looked at', () => {
  const rules = rulesFor('11');
  const { json } = sample(rules);
  const signatures = {
    ...(json['signatures'] as JsonObject),
    'policy.org': { 'ed25519:policy_server': 'AAAA' },
  };
  assert.ok(verifyEventSignatures({ ...json, signatures }, rules, keys).ok);
});

test('servers named like parts of JavaScript have not signed', () => {
  const rules = rulesFor('11');
  for (const name of ['constructor', 'toString', 'valueOf']) {
    const json = { type: 'x', sender: `@a:${name}`, room_id: '!a:b' as RoomId, content: {}, signatures: {} };
    assert.equal(verifyEventSignatures(json, rules, () => key.publicKey).faults, [
      { server: name as ServerName, fault: 'unsigned' },
    ]);
  }
});

test.run();
