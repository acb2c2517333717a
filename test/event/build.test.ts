import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildEvent, buildSigningEvent, unsignedEvent, type EventTemplate } from '../../src/event/build.js';
import { canonicalJson } from '../../src/event/canonical.js';
import { eventIdOf, referenceHash } from '../../src/event/hash.js';
import type { EventId, RoomId } from '../../src/event/ids.js';
import { receiveJson, verifyReceived } from '../../src/event/receive.js';
import { ROOM_VERSIONS, type RoomVersionRules } from '../../src/event/rules.js';
import { fromUtf8, utf8 } from '../../src/lib/bytes.js';
import { fromBase64, toBase64 } from '../../src/lib/base64.js';
import { codeOf, key, keys, rulesFor, sample, sender, server, someId, someRoom } from './samples.js';

const test = suite('building events');

function createTemplate(rules: RoomVersionRules): EventTemplate {
  return {
    type: 'm.room.create',
    sender,
    stateKey: '',
    content: { room_version: rules.version },
    ...(rules.roomIdIsCreateHash ? {} : { roomId: '!r:domain' as RoomId }),
    ...(rules.eventIdFormat === 'field' ? { eventId: '$c:domain' as EventId } : {}),
    prevEvents: [],
    authEvents: [],
    depth: 1,
    originServerTs: 1,
  };
}

test('a room of every version can be begun: its events refer to each other and verify', () => {
  for (const rules of ROOM_VERSIONS) {
    const create = buildEvent(createTemplate(rules), { rules, server, key });
    const join = sample(rules, {
      type: 'm.room.member',
      stateKey: sender,
      roomId: create.roomId,
      content: { membership: 'join' },
      prevEvents: [create.eventId],
      authEvents: rules.authorisation.createIsImplied ? [] : [create.eventId],
      depth: 2,
    });
    for (const made of [create, join]) {
      const outcome = receiveJson(made.json, rules);
      assert.is(outcome.wasRedacted, false);
      assert.ok(verifyReceived(outcome, keys).ok);
      assert.is(outcome.pdu.eventId, eventIdOf(made.json, rules));
    }
    assert.is(join.roomId, create.roomId);
    assert.equal(join.prevEvents, [create.eventId]);
    assert.is('room_id' in create.json, !rules.roomIdIsCreateHash);
  }
});

test('an event that is signed beside other work is the same event, byte for byte, once it is signed', async () => {
  for (const rules of ROOM_VERSIONS) {
    const template = {
      ...createTemplate(rules),
      type: 'm.room.topic',
      roomId: someRoom(rules),
      content: { topic: 'tëa 🍵', x: 'A'.repeat(86) },
    };
    const made = buildEvent(template, { rules, server, key });
    const { pdu, bytes, signed } = buildSigningEvent(template, { rules, server, key });
    assert.is(pdu.eventId, made.eventId);
    assert.is(bytes.length, utf8(canonicalJson(made.json, rules)).length);
    assert.not.equal(pdu.json, made.json, 'it is not signed yet');
    await signed;
    assert.equal(pdu.json, made.json);
    assert.is(fromUtf8(bytes), canonicalJson(made.json, rules));
  }
});

test('references of versions 1 and 2 carry the hashes that are known', () => {
  const rules = rulesFor('1');
  const create = buildEvent(createTemplate(rules), { rules, server, key });
  const hash = referenceHash(create.json, rules);
  const json = unsignedEvent(
    {
      ...createTemplate(rules),
      type: 'x',
      prevEvents: [create.eventId],
      authEvents: ['$unknown:domain' as EventId],
    },
    { rules, referenceHash: (id) => (id === create.eventId ? hash : undefined) },
  );
  assert.equal(json['prev_events'], [[create.eventId, { sha256: toBase64(hash) }]]);
  assert.equal(json['auth_events'], [['$unknown:domain', {}]]);
  assert.is(fromBase64(toBase64(hash))?.length, 32);
});

test('redacts goes to content from version 11 and to the top before', () => {
  for (const rules of ROOM_VERSIONS) {
    const redacts = someId(rules, 't');
    const { json, content } = sample(rules, { type: 'm.room.redaction', content: { reason: 'x' }, redacts });
    const inContent = Number(rules.version) >= 11;
    assert.is(json['redacts'], inContent ? undefined : redacts);
    assert.equal(content, inContent ? { reason: 'x', redacts } : { reason: 'x' });
  }
});

test('a template with too little or too much for its version is refused', () => {
  for (const rules of ROOM_VERSIONS) {
    const build = (template: EventTemplate): string =>
      codeOf(() => buildEvent(template, { rules, server, key }));
    const { roomId, eventId, ...neither } = { ...createTemplate(rules), type: 'x', roomId: someRoom(rules) };
    const ids = eventId === undefined ? {} : { eventId };
    assert.is(build({ ...neither, roomId, ...ids }), 'nothing was thrown');
    assert.is(build({ ...neither, ...ids }), 'EVENT_BAD_ROOM_ID');
    const otherwise = eventId === undefined ? { eventId: someId(rules) } : {};
    assert.is(build({ ...neither, roomId, ...otherwise }), 'EVENT_BAD_EVENT_ID');
    if (!rules.roomIdIsCreateHash) continue;
    assert.is(build({ ...neither, roomId, ...ids, type: 'm.room.create' }), 'EVENT_BAD_ROOM_ID');
  }
});

test('what is built passes the same checks as what is received', () => {
  for (const rules of ROOM_VERSIONS) {
    assert.is(
      codeOf(() => sample(rules, { type: 'x'.repeat(256) })),
      'EVENT_FIELD_TOO_LONG',
    );
    assert.is(
      codeOf(() => sample(rules, { content: { body: 'x'.repeat(66_000) } })),
      'EVENT_TOO_LARGE',
    );
    assert.is(
      codeOf(() => sample(rules, { depth: -1 })),
      'EVENT_BAD_DEPTH',
    );
    if (rules.strictCanonicalJson)
      assert.is(
        codeOf(() => sample(rules, { content: { a: 0.5 } })),
        'EVENT_NOT_CANONICAL',
      );
  }
});

test('unsigned is sent and neither hashed nor signed', () => {
  for (const rules of ROOM_VERSIONS) {
    const made = sample(rules, { unsigned: { age: 5 } });
    assert.equal(made.json['unsigned'], { age: 5 });
    const { unsigned, ...rest } = made.json;
    assert.ok(unsigned);
    assert.equal(sample(rules).json, rest);
  }
});

test.run();
