import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalJson } from '../../src/event/canonical.js';
import { contentHashMatches, eventIdOf, referenceHash } from '../../src/event/hash.js';
import { isArray, isObject, own, parseJson, type JsonObject } from '../../src/event/json.js';
import { parsePdu } from '../../src/event/parse.js';
import { receivePdu, verifyReceived } from '../../src/event/receive.js';
import { redact } from '../../src/event/redact.js';
import { rulesOf } from '../../src/event/rules.js';
import { verifyEventSignatures } from '../../src/event/verify.js';
import type { EventId } from '../../src/event/ids.js';
import { toBase64, fromBase64 } from '../../src/lib/base64.js';
import { loadLines, loadRoom, ROOM_NAMES } from '../fixtures.js';

const test = suite('rooms made by Synapse');

for (const name of ROOM_NAMES) {
  const room = loadRoom(name);

  test(`${name}: every event passes the checks with its id, room, content hash and signatures`, () => {
    assert.is(room.lines.length, room.expected.event_ids.length);
    room.lines.forEach((line, index) => {
      const received = receivePdu(line, room.rules);
      assert.is(received.pdu.eventId, room.expected.event_ids[index]);
      assert.is(received.pdu.roomId, room.expected.room_id);
      assert.is(received.wasRedacted, false);
      assert.equal(verifyReceived(received, room.keys).faults, []);
    });
  });

  test(`${name}: id and signatures outlive redaction, the content hash tells of it`, () => {
    for (const line of room.lines) {
      const json = parseJson(line) as JsonObject;
      const redacted = redact(json, room.rules);
      const id = eventIdOf(json, room.rules);
      assert.is(eventIdOf(redacted, room.rules), id);
      assert.ok(verifyEventSignatures(redacted, room.rules, room.keys).ok);
      assert.ok(contentHashMatches(json, room.rules));
      const lost = covered(json) !== covered(redacted);
      assert.is(contentHashMatches(redacted, room.rules), !lost);
    }
  });

  test(`${name}: one changed byte of what is signed fails the signature`, () => {
    const json = parseJson(room.lines[1] ?? new Uint8Array()) as JsonObject;
    const forged = { ...json, depth: 3 };
    const verdict = verifyEventSignatures(forged, room.rules, room.keys);
    assert.not(verdict.ok);
    assert.is(verdict.faults[0]?.fault, 'wrong-signature');
    assert.match(verdict.faults[0]?.keyId ?? '', /^ed25519:/);
  });
}

test('version 1: the hashes beside references are the reference hashes of the events', () => {
  const room = loadRoom('old-v1');
  const byId = new Map(
    room.lines.map((line, index) => [room.expected.event_ids[index], parseJson(line) as JsonObject]),
  );
  let compared = 0;
  for (const json of byId.values()) {
    for (const field of ['prev_events', 'auth_events']) {
      const references = own(json, field);
      assert.ok(isArray(references));
      for (const reference of references) {
        assert.ok(isArray(reference));
        const [id, hashes] = reference;
        const named = byId.get(id as EventId);
        const claimed = isObject(hashes) ? own(hashes, 'sha256') : undefined;
        if (named === undefined || typeof claimed !== 'string') continue;
        assert.is(
          toBase64(fromBase64(claimed) ?? new Uint8Array()),
          toBase64(referenceHash(named, room.rules)),
        );
        compared++;
      }
    }
  }
  assert.ok(compared > 100, `${compared} compared`);
});

test('random rooms: every event passes the checks of form under its given id, and hashes to it from version 3', () => {
  let parsed = 0;
  for (const line of loadLines('state-resolution/random.jsonl')) {
    const room = parseJson(line) as JsonObject;
    const version = room['room_version'];
    const rules = typeof version === 'string' ? rulesOf(version) : undefined;
    const events = room['events'];
    assert.ok(rules && isArray(events));
    for (const event of events) {
      assert.ok(isObject(event));
      const trustedId = event['event_id'] as EventId;
      const pdu = parsePdu(event, rules, { trustedId });
      assert.is(pdu.eventId, trustedId);
      assert.is(pdu.roomId, room['room_id']);
      if (rules.eventIdFormat !== 'field') {
        const bare = Object.fromEntries(Object.entries(event).filter(([key]) => key !== 'event_id'));
        assert.is(eventIdOf(bare, rules), trustedId);
      }
      parsed++;
    }
  }
  assert.ok(parsed > 3000, `${parsed} parsed`);
});

/** What the content hash covers, as text to compare. */
function covered(json: JsonObject): string {
  const uncovered = ['unsigned', 'signatures', 'hashes'];
  return canonicalJson(Object.fromEntries(Object.entries(json).filter(([key]) => !uncovered.includes(key))));
}

test.run();
