import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createVerifier } from '../../src/core/verifier.js';
import { canonicalJson } from '../../src/event/canonical.js';
import type { JsonObject } from '../../src/event/json.js';
import { rulesOf } from '../../src/event/rules.js';
import { createSigningKey, signEvent } from '../../src/event/signing.js';
import { utf8 } from '../../src/lib/bytes.js';

const test = suite('core/verifier-keys');

const SERVER = 'a.test';
const KEY = createSigningKey('ed25519:1', new Uint8Array(32).fill(1));
/** The key is good until then. */
const VALID_UNTIL = 1_000;

function unverified(version: string, time: number) {
  const rules = rulesOf(version);
  if (rules === undefined) throw new Error(`there is no version ${version}`);
  const event: JsonObject = {
    type: 'm.room.message',
    room_id: version === '12' ? `!${'r'.repeat(43)}` : `!room:${SERVER}`,
    sender: `@alice:${SERVER}`,
    content: { body: String(time) },
    origin_server_ts: time,
    depth: 2,
    prev_events: [`$${'p'.repeat(43)}`],
    auth_events: [`$${'a'.repeat(43)}`],
  };
  const json = signEvent(event, rules, SERVER, KEY);
  return { json, rules, bytes: utf8(canonicalJson(json, rules)) };
}

for (const threads of [0, 1]) {
  test(`a key counts for what was sent while it was good, where the version asks (${threads} threads)`, async () => {
    const verifier = createVerifier({
      keys: (_server, _keyId, validAt) => ((validAt ?? 0) > VALID_UNTIL ? undefined : KEY.publicKey),
      threads,
    });
    const events = [
      unverified('12', 999),
      unverified('12', 1_001),
      unverified('12', 1_000),
      unverified('5', 1_001),
      unverified('4', 1_001),
    ];
    // Together, so that they share a batch and its keys; and alone.
    const together = await Promise.all(events.map(async (event) => verifier.verify(event)));
    const all = await verifier.verifyAll(events);
    await verifier.close();
    for (const results of [together, all]) {
      assert.equal(
        results.map((result) => ('pdu' in result ? 'good' : 'bad')),
        ['good', 'bad', 'good', 'bad', 'good'],
      );
    }
  });
}

test.run();
