// Invites through a third party: each condition, and signatures that are really checked.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toBase64, toBase64Url } from '../../../src/lib/base64.js';
import { isObject, own, type JsonObject, type JsonValue } from '../../../src/event/json.js';
import { createSigningKey, signJson } from '../../../src/event/signing.js';
import { ALICE, BOB, CAROL, event, expectIn, hear, member, room } from './helpers.js';

const invites = suite('third-party invites');

const TOKEN = 'a token';
const key = createSigningKey('ed25519:0', new Uint8Array(32).fill(1));
const other = createSigningKey('ed25519:0', new Uint8Array(32).fill(2));
const publicKey = toBase64(key.publicKey);
const signed = signJson({ mxid: BOB, token: TOKEN }, 'identity.example', key);

interface Case {
  readonly thirdParty?: JsonValue;
  readonly invite?: JsonObject;
  readonly inviteSender?: string;
  readonly bob?: string;
}

function outcomeOf({
  thirdParty = { signed },
  invite = { public_key: publicKey },
  inviteSender = ALICE,
  bob,
}: Case) {
  return (version: string) => {
    const content = event(version, {
      type: 'm.room.third_party_invite',
      stateKey: TOKEN,
      sender: inviteSender,
      content: invite,
    });
    const members = { [ALICE]: 'leave', ...(bob === undefined ? {} : { [BOB]: bob }) };
    const draft = member(ALICE, BOB, 'invite', { third_party_invite: thirdParty });
    return hear(version, room(version, { members, more: [content] }), draft);
  };
}

function ranges(allowed: string, part: string): Record<string, string> {
  return {
    '1-5': `${allowed} by 5.3.1.${part}`,
    '6-7': `${allowed} by 4.3.1.${part}`,
    '8-11': `${allowed} by 4.4.1.${part}`,
    '12': `${allowed} by 5.4.1.${part}`,
  };
}

invites("one that a key of the room's invite has signed is allowed, also when its sender has left", () => {
  expectIn(ranges('allowed', '7'), outcomeOf({}));
  expectIn(ranges('allowed', '7'), outcomeOf({ bob: 'leave' }));
});

invites('a banned user is not invited', () => {
  expectIn(ranges('rejected', '1'), outcomeOf({ bob: 'ban' }));
});

invites('it must hold a signed part with mxid and token', () => {
  for (const thirdParty of [null, 'x', [], {}, { signed: null }, { signed: [] }]) {
    expectIn(ranges('rejected', '2'), outcomeOf({ thirdParty }));
  }
  for (const part of [{}, { mxid: BOB }, { token: TOKEN }, { mxid: BOB, token: 7 }]) {
    expectIn(ranges('rejected', '3'), outcomeOf({ thirdParty: { signed: part } }));
  }
});

invites('it must be for the target, and the room must have an invite of its token by its sender', () => {
  const forCarol = signJson({ mxid: CAROL, token: TOKEN }, 'identity.example', key);
  const unknown = signJson({ mxid: BOB, token: 'toString' }, 'identity.example', key);
  expectIn(ranges('rejected', '4'), outcomeOf({ thirdParty: { signed: forCarol } }));
  expectIn(ranges('rejected', '5'), outcomeOf({ thirdParty: { signed: unknown } }));
  expectIn(ranges('rejected', '6'), outcomeOf({ inviteSender: CAROL }));
});

invites('any signature may match any key, in public_key or public_keys, in either alphabet of base64', () => {
  const otherKey = toBase64(other.publicKey);
  for (const invite of [
    { public_key: otherKey, public_keys: [{ public_key: publicKey, key_validity_url: 'https://x' }] },
    { public_keys: [null, { public_key: 7 }, {}, { public_key: toBase64Url(key.publicKey) }] },
    { public_key: `${publicKey}=` },
  ]) {
    expectIn(ranges('allowed', '7'), outcomeOf({ invite }));
  }
  const twice = signJson(signJson({ mxid: BOB, token: TOKEN }, 'a', other), 'b', key);
  expectIn(ranges('allowed', '7'), outcomeOf({ thirdParty: { signed: twice } }));
  expectIn(
    ranges('allowed', '7'),
    outcomeOf({ thirdParty: { signed: { ...signed, unsigned: { age: 1 } } } }),
  );
});

invites('without a signature that matches it is rejected', () => {
  const { signatures, ...unsigned } = signed;
  const byOther = signJson({ mxid: BOB, token: TOKEN }, 'identity.example', other);
  for (const part of [
    unsigned,
    byOther,
    { ...signed, more: 1 },
    { ...unsigned, signatures: null },
    { ...unsigned, signatures: { 'identity.example': [] } },
    { ...unsigned, signatures: { 'identity.example': { 'ed25519:0': 'AAAA' } } },
    { ...unsigned, signatures: { 'identity.example': { 'rsa:0': signatureOf(signatures) } } },
  ]) {
    expectIn(ranges('rejected', '8'), outcomeOf({ thirdParty: { signed: part } }));
  }
  for (const invite of [{}, { public_key: 7 }, { public_key: 'AAAA' }, { public_keys: publicKey }]) {
    expectIn(ranges('rejected', '8'), outcomeOf({ invite }));
  }
});

invites('an event full of keys and signatures costs a bounded number of verifications', () => {
  const bytes = (index: number) =>
    Uint8Array.from({ length: 32 }, (_, at) => (at < 2 ? index >> (8 * at) : 7) & 255);
  const hearWith = (keyCount: number, text: (good: string) => JsonObject) => {
    const keys = Array.from({ length: keyCount }, (_, index) => ({ public_key: toBase64(bytes(index)) }));
    const good = signatureOf(own(signed, 'signatures'));
    const part = { mxid: BOB, token: TOKEN, signatures: { 'identity.example': text(good) } };
    const invite = { public_keys: [...keys, { public_key: publicKey }] };
    return outcomeOf({ thirdParty: { signed: part }, invite })('12').allowed;
  };
  const bad = toBase64(new Uint8Array(64).fill(1));
  assert.ok(hearWith(900, (good) => ({ 'ed25519:0': good })));
  assert.ok(hearWith(400, (good) => ({ 'ed25519:0': bad, 'ed25519:1': good })));
  assert.not(hearWith(900, (good) => ({ 'ed25519:0': bad, 'ed25519:1': good })));
});

invites.run();

function signatureOf(signatures: JsonValue | undefined): string {
  assert.ok(isObject(signatures));
  const ofServer = own(signatures, 'identity.example');
  assert.ok(isObject(ofServer));
  const text = own(ofServer, 'ed25519:0');
  assert.ok(typeof text === 'string');
  return text;
}
