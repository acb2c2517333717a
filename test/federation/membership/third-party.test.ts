// Invitations by address: an identity server vouches for who the address is of, and the servers do the rest.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerName } from '../../../src/event/ids.js';
import { isObject, type JsonObject, parseJson } from '../../../src/event/json.js';
import { createSigningKey, signJson } from '../../../src/event/signing.js';
import { toBase64 } from '../../../src/lib/base64.js';
import { type Network } from '../network.js';
import { Person, play, PUBLIC, v3 } from './people.js';

const test = suite('federation/membership third-party invites');

const IDENTITY = 'id.test' as ServerName;
const KEY = createSigningKey('ed25519:0', new Uint8Array(32).fill(3));
const TOKEN = 'a token';

/** What the identity server says once the address is bound to a user. */
function bound({ userId }: Person, changes: JsonObject = {}): JsonObject {
  return { ...signJson({ mxid: userId, token: TOKEN, at: 7 }, IDENTITY, KEY), ...changes };
}

/** Somebody is invited by their address. */
function inviteAddress(inviter: Person, roomId: string): Promise<unknown> {
  return inviter.ask('PUT', v3`/v3/rooms/${roomId}/state/m.room.third_party_invite/${TOKEN}`, {
    display_name: 'c...@elsewhere',
    key_validity_url: `https://${IDENTITY}/valid`,
    public_key: toBase64(KEY.publicKey),
    public_keys: [{ public_key: toBase64(KEY.publicKey), key_validity_url: `https://${IDENTITY}/valid` }],
  });
}

/** The identity server tells the server of the user, unsigned. */
async function tell(net: Network, target: Person, inviter: Person, roomId: string, signed: JsonObject) {
  const { status, bytes } = await net.transport(IDENTITY).send({
    destination: target.site.name,
    method: 'PUT',
    uri: '/_matrix/federation/v1/3pid/onbind',
    body: {
      address: 'carol@elsewhere',
      medium: 'email',
      mxid: target.userId,
      invites: [
        {
          address: 'carol@elsewhere',
          medium: 'email',
          mxid: target.userId,
          room_id: roomId,
          sender: inviter.userId,
          signed,
        },
      ],
    },
    isSigned: false,
    timeoutMs: 30_000,
    bytesMax: 1_000,
  });
  const body = parseJson(bytes);
  assert.is(status, 200, JSON.stringify(isObject(body) ? body : ''));
  await net.settle();
}

for (const version of ['1', '6', '11', '12']) {
  test(`version ${version}: the server of an invited user that is not in the room has the invite exchanged`, () =>
    play(2, async (net) => {
      net.stranger(IDENTITY);
      const alice = await Person.at(net, 0, 'alice');
      const carol = await Person.at(net, 1, 'carol');
      const roomId = await alice.createRoom({ room_version: version });
      await inviteAddress(alice, roomId);
      await tell(net, carol, alice, roomId, bound(carol));
      assert.is(alice.membershipOf(roomId, carol), 'invite');
      assert.ok((await carol.sync())['rooms']?.['invite']?.[roomId]);
      await carol.ask('POST', v3`/v3/join/${roomId}`);
      assert.is(alice.membershipOf(roomId, carol), 'join');
    }));

  test(`version ${version}: one that is in the room makes the invite itself, and tells all others`, () =>
    play(3, async (net) => {
      net.stranger(IDENTITY);
      const alice = await Person.at(net, 0, 'alice');
      const bob = await Person.at(net, 1, 'bob');
      const carol = await Person.at(net, 1, 'carol');
      const dave = await Person.at(net, 2, 'dave');
      const roomId = await alice.createRoom({ ...PUBLIC, room_version: version });
      for (const person of [bob, dave])
        await person.ask('POST', `${v3`/v3/join/${roomId}`}?via=${alice.site.name}`);
      await inviteAddress(alice, roomId);
      await net.settle();
      await tell(net, carol, alice, roomId, bound(carol));
      for (const person of [alice, bob, dave]) assert.is(person.membershipOf(roomId, carol), 'invite');
      const roots = [alice, bob, dave].map(({ site }) => site.harness.home.engine.currentState(roomId).root);
      assert.is(new Set(roots).size, 1);
    }));
}

test('what the key in the room did not sign, or signed for somebody else, invites nobody', () =>
  play(2, async (net) => {
    net.stranger(IDENTITY);
    const alice = await Person.at(net, 0, 'alice');
    const mallory = await Person.at(net, 0, 'mallory');
    const carol = await Person.at(net, 1, 'carol');
    const roomId = await alice.createRoom({});
    await inviteAddress(alice, roomId);
    const other = createSigningKey('ed25519:0', new Uint8Array(32).fill(4));
    const wrong: ReadonlyArray<readonly [Person, JsonObject]> = [
      [alice, signJson({ mxid: carol.userId, token: TOKEN }, IDENTITY, other)],
      [alice, bound(alice)],
      [alice, bound(carol, { token: 'another' })],
      [mallory, bound(carol)],
    ];
    for (const [inviter, signed] of wrong) await tell(net, carol, inviter, roomId, signed);
    assert.is(alice.membershipOf(roomId, carol), undefined);
    assert.is((await carol.sync())['rooms']?.['invite'], undefined);
  }));

test.run();
