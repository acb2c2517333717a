import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalJson } from '../../src/event/canonical.js';
import type { RoomId } from '../../src/event/ids.js';
import { JsonNumber, parseJson, type JsonObject, type JsonValue } from '../../src/event/json.js';
import { MAX_EVENT_BYTES, parsePdu } from '../../src/event/parse.js';
import { ROOM_VERSIONS, type RoomVersionRules } from '../../src/event/rules.js';
import { StateroomError } from '../../src/lib/errors.js';
import { utf8 } from '../../src/lib/bytes.js';
import { altered, codeOf, rulesFor, sample, someId, someRoom } from './samples.js';

const test = suite('format checks');

type Changes = Record<string, JsonValue | undefined>;

/** The code with which the version refuses a sample changed like this. */
function refusal(rules: RoomVersionRules, changes: Changes): string {
  const json = altered(sample(rules).json, rules, changes);
  return codeOf(() => parsePdu(json, rules));
}

/** All versions refuse these changes, by this code, and name the field. */
function expectRefused(code: string, field: string, values: ReadonlyArray<JsonValue | undefined>): void {
  for (const rules of ROOM_VERSIONS) {
    for (const value of values) {
      const json = altered(sample(rules).json, rules, {
        [field]: value,
        ...(field === 'hashes' ? {} : { hashes: sample(rules).json['hashes'] }),
      });
      try {
        parsePdu(json, rules);
        assert.unreachable(`${field} ${JSON.stringify(value)} passed in version ${rules.version}`);
      } catch (error) {
        if (!(error instanceof StateroomError)) throw error;
        assert.is(error.code, code, `${field} ${JSON.stringify(value)} in version ${rules.version}`);
        assert.ok(error.message.includes(field), error.message);
      }
    }
  }
}

/** A reference as the version writes it. */
function reference(rules: RoomVersionRules, id: string): JsonValue {
  return rules.referencesAreHashed ? [id, { sha256: 'x' }] : id;
}

test('an event of every version parses into what it says', () => {
  for (const rules of ROOM_VERSIONS) {
    const made = sample(rules, { type: 'm.room.topic', stateKey: '', content: { topic: 'x' } });
    const pdu = parsePdu(made.json, rules);
    assert.is(pdu.rules, rules);
    assert.is(pdu.eventId, made.eventId);
    assert.is(pdu.roomId, someRoom(rules));
    assert.is(pdu.type, 'm.room.topic');
    assert.is(pdu.stateKey, '');
    assert.is(pdu.sender, '@a:domain');
    assert.equal(pdu.content, { topic: 'x' });
    assert.equal(pdu.prevEvents, [someId(rules, 'p')]);
    assert.equal(pdu.authEvents, [someId(rules, 'a'), someId(rules, 'b')]);
    assert.is(pdu.depth, 7);
    assert.is(pdu.originServerTs, 1_700_000_000_000);
    assert.is(pdu.json, made.json);
    assert.is(sample(rules).stateKey, undefined);
  }
});

test('fields that are missing or of the wrong type are refused, each with its code', () => {
  const noStrings = [undefined, null, 1, true, [], {}];
  expectRefused('EVENT_BAD_TYPE', 'type', noStrings);
  expectRefused('EVENT_BAD_SENDER', 'sender', [...noStrings, '', 'a:b', '@a', '@a:b c', '!a:b']);
  expectRefused('EVENT_BAD_ROOM_ID', 'room_id', [...noStrings, '', '!', '@a:b']);
  expectRefused('EVENT_BAD_STATE_KEY', 'state_key', noStrings.slice(1));
  expectRefused('EVENT_BAD_CONTENT', 'content', [undefined, null, 1, 'x', []]);
  expectRefused('EVENT_BAD_PREV_EVENTS', 'prev_events', [
    undefined,
    null,
    'x',
    {},
    [1],
    [null],
    ['x'],
    [[]],
    [[1, {}]],
  ]);
  expectRefused('EVENT_BAD_AUTH_EVENTS', 'auth_events', [
    undefined,
    null,
    'x',
    {},
    [1],
    [null],
    ['x'],
    [[]],
    [[1, {}]],
  ]);
  expectRefused('EVENT_BAD_DEPTH', 'depth', [
    undefined,
    null,
    '1',
    -1,
    {},
    [],
    new JsonNumber('1.0', 1),
    new JsonNumber('1e3', 1000),
  ]);
  expectRefused('EVENT_BAD_TIMESTAMP', 'origin_server_ts', [
    undefined,
    null,
    '1',
    {},
    [],
    new JsonNumber('1.5', 1.5),
  ]);
  expectRefused('EVENT_BAD_HASHES', 'hashes', [
    undefined,
    null,
    {},
    [],
    { sha256: 1 },
    { sha256: '' },
    { sha256: '!'.repeat(43) },
    { sha256: 'A'.repeat(42) },
    { md5: 'A'.repeat(43) },
  ]);
  expectRefused('EVENT_BAD_SIGNATURES', 'signatures', [
    undefined,
    null,
    'x',
    [],
    { a: 1 },
    { a: [] },
    { a: { b: 1 } },
  ]);
});

test('type, state key and ids are at most 255 bytes, counted as UTF-8', () => {
  const long = (prefix: string, suffix: string, bytes: number): string => {
    const room = bytes - prefix.length - suffix.length;
    return `${prefix}${room % 2 === 1 ? 'a' : ''}${'é'.repeat(room >> 1)}${suffix}`;
  };
  for (const rules of ROOM_VERSIONS) {
    const fields: Array<[string, string, string]> = [
      ['type', '', ''],
      ['state_key', '', ''],
      ['sender', '@', ':domain'],
      ...(rules.roomIdIsCreateHash ? [] : ([['room_id', '!', ':domain']] as Array<[string, string, string]>)),
      ...(rules.eventIdFormat === 'field'
        ? ([['event_id', '$', ':domain']] as Array<[string, string, string]>)
        : []),
    ];
    for (const [field, prefix, suffix] of fields) {
      assert.is(
        refusal(rules, { [field]: long(prefix, suffix, 255) }),
        'nothing was thrown',
        `${field} ${rules.version}`,
      );
      assert.is(
        refusal(rules, { [field]: long(prefix, suffix, 256) }),
        'EVENT_FIELD_TOO_LONG',
        `${field} ${rules.version}`,
      );
    }
  }
});

test('at most 20 prev_events and 10 auth_events', () => {
  for (const rules of ROOM_VERSIONS) {
    const many = (count: number): JsonValue[] =>
      Array.from({ length: count }, (_, i) => reference(rules, someId(rules, `n${i}`)));
    assert.is(refusal(rules, { prev_events: many(20), auth_events: many(10) }), 'nothing was thrown');
    assert.is(refusal(rules, { prev_events: many(21) }), 'EVENT_TOO_MANY_PREV_EVENTS');
    assert.is(refusal(rules, { auth_events: many(11) }), 'EVENT_TOO_MANY_AUTH_EVENTS');
    assert.is(refusal(rules, { prev_events: [], auth_events: [] }), 'nothing was thrown');
  }
});

test('an event of exactly 65,536 bytes passes, one byte more does not, and unsigned does not count', () => {
  for (const rules of ROOM_VERSIONS) {
    const size = (json: JsonObject): number => Buffer.byteLength(canonicalJson(json));
    const ofSize = (bytes: number, fill: string): JsonObject => {
      const base = altered(sample(rules).json, rules, { content: { body: '' } });
      const room = bytes - size(base);
      const body =
        fill.repeat(Math.floor(room / Buffer.byteLength(fill))) + 'x'.repeat(room % Buffer.byteLength(fill));
      const json = altered(base, rules, { content: { body } });
      assert.is(size(json), bytes);
      return json;
    };
    for (const fill of ['x', '日']) {
      assert.ok(parsePdu(ofSize(MAX_EVENT_BYTES, fill), rules));
      assert.ok(parsePdu({ ...ofSize(MAX_EVENT_BYTES, fill), unsigned: { more: 'x'.repeat(1000) } }, rules));
      assert.is(
        codeOf(() => parsePdu(ofSize(MAX_EVENT_BYTES + 1, fill), rules)),
        'EVENT_TOO_LARGE',
      );
    }
  }
});

test('references have the form of their version and no other', () => {
  const v1 = rulesFor('1');
  const ok = 'nothing was thrown';
  assert.is(refusal(v1, { prev_events: [['$a:b.c', {}]] }), ok, 'an empty hash object');
  for (const bad of [
    '$a:b.c',
    ['$a:b.c'],
    ['$a:b.c', {}, 1],
    ['$a:b.c', null],
    ['$a:b.c', 'x'],
    [someId(rulesFor('4')), {}],
  ]) {
    assert.is(refusal(v1, { prev_events: [bad] }), 'EVENT_BAD_PREV_EVENTS', JSON.stringify(bad));
  }
  const slash = `$${'/'.repeat(43)}`;
  const dash = `$${'-'.repeat(43)}`;
  assert.is(refusal(rulesFor('3'), { auth_events: [slash] }), ok);
  assert.is(refusal(rulesFor('3'), { auth_events: [dash] }), 'EVENT_BAD_AUTH_EVENTS');
  for (const version of ['4', '11', '12']) {
    assert.is(refusal(rulesFor(version), { auth_events: [dash] }), ok);
    assert.is(refusal(rulesFor(version), { auth_events: [slash] }), 'EVENT_BAD_AUTH_EVENTS');
    assert.is(refusal(rulesFor(version), { auth_events: ['$a:b.c'] }), 'EVENT_BAD_AUTH_EVENTS');
    assert.is(refusal(rulesFor(version), { auth_events: [[dash, {}]] }), 'EVENT_BAD_AUTH_EVENTS');
  }
});

test('event_id is needed in versions 1 and 2, of any domain', () => {
  for (const version of ['1', '2']) {
    const rules = rulesFor(version);
    for (const id of [undefined, 1, '', 'x', '$x', someId(rulesFor('4'))]) {
      assert.is(refusal(rules, { event_id: id }), 'EVENT_BAD_EVENT_ID', String(id));
    }
    assert.is(refusal(rules, { event_id: '$x:elsewhere.org' }), 'nothing was thrown');
  }
});

test('from version 12 the create event has no room id and gives the room its own; others carry a hash', () => {
  const rules = rulesFor('12');
  const bare = Object.fromEntries(Object.entries(sample(rules).json).filter(([name]) => name !== 'room_id'));
  const create = altered(bare, rules, {
    type: 'm.room.create',
    state_key: '',
    content: { room_version: '12' },
    prev_events: [],
    auth_events: [],
  });
  const pdu = parsePdu(create, rules);
  assert.is(pdu.roomId, `!${pdu.eventId.slice(1)}`);
  assert.is(
    codeOf(() => parsePdu(altered(create, rules, { room_id: pdu.roomId }), rules)),
    'EVENT_BAD_ROOM_ID',
  );
  assert.is(refusal(rules, { room_id: undefined }), 'EVENT_BAD_ROOM_ID');
  assert.is(refusal(rules, { room_id: '!a:domain' }), 'EVENT_BAD_ROOM_ID');
  assert.is(refusal(rulesFor('11'), { room_id: someRoom(rules) }), 'EVENT_BAD_ROOM_ID');
  assert.is(refusal(rulesFor('11'), { room_id: undefined, type: 'm.room.create' }), 'EVENT_BAD_ROOM_ID');
});

test('numbers are strict from version 6, and as large as 64 bits before', () => {
  const withNumbers = (rules: RoomVersionRules, depth: string, content: string): (() => unknown) => {
    const json = altered(sample(rules).json, rules, {
      depth: parseJson(utf8(depth)),
      content: parseJson(utf8(content)),
      hashes: sample(rules).json['hashes'],
    });
    return () => parsePdu(json, rules);
  };
  for (const rules of ROOM_VERSIONS) {
    const strict = Number(rules.version) >= 6;
    const loose = (code: string): string => (strict ? code : 'nothing was thrown');
    assert.is(codeOf(withNumbers(rules, '9007199254740991', '{}')), 'nothing was thrown');
    assert.is(codeOf(withNumbers(rules, '9007199254740992', '{}')), loose('EVENT_BAD_DEPTH'));
    assert.is(codeOf(withNumbers(rules, '9223372036854775807', '{}')), loose('EVENT_BAD_DEPTH'));
    assert.is(codeOf(withNumbers(rules, '9223372036854775808', '{}')), 'EVENT_BAD_DEPTH');
    assert.is(codeOf(withNumbers(rules, '99999999999999999999', '{}')), 'EVENT_BAD_DEPTH');
    for (const number of ['1.0', '0.5', '1e2', '9007199254740992']) {
      assert.is(codeOf(withNumbers(rules, '1', `{"a":[${number}]}`)), loose('EVENT_NOT_CANONICAL'), number);
    }
  }
  const large = withNumbers(rulesFor('1'), '9223372036854775807', '{}')() as { depth: number };
  assert.is(large.depth, 2 ** 63);
});

test('redacts is read where the version keeps it, only of redactions, and only when it is an event id', () => {
  for (const rules of ROOM_VERSIONS) {
    const target = someId(rules, 'target');
    const elsewhere = rules.redactsIsInContent ? { redacts: target } : { content: { redacts: target } };
    const redaction = sample(rules, { type: 'm.room.redaction', redacts: target });
    assert.is(redaction.redacts, target);
    assert.is(parsePdu(altered(redaction.json, rules, { type: 'm.room.message' }), rules).redacts, undefined);
    const misplaced = altered(sample(rules, { type: 'm.room.redaction' }).json, rules, elsewhere);
    assert.is(parsePdu(misplaced, rules).redacts, undefined);
    for (const junk of [1, null, 'x', {}, '$']) {
      const changes = rules.redactsIsInContent ? { content: { redacts: junk } } : { redacts: junk };
      assert.is(parsePdu(altered(redaction.json, rules, changes), rules).redacts, undefined);
    }
  }
});

test('a trusted id is taken as given, and hashes, signatures and size are not asked for', () => {
  for (const rules of ROOM_VERSIONS) {
    const trustedId = someId(rules, 'trusted');
    const bare = altered(sample(rules).json, rules, {
      hashes: {},
      signatures: {},
      event_id: undefined,
      content: { body: 'x'.repeat(70_000) },
    });
    assert.is(parsePdu(bare, rules, { trustedId }).eventId, trustedId);
    assert.is(
      codeOf(() => parsePdu({ ...bare, sender: 1 }, rules, { trustedId })),
      'EVENT_BAD_SENDER',
    );
  }
  const create = {
    type: 'm.room.create',
    sender: '@a:b',
    content: {},
    prev_events: [],
    auth_events: [],
    depth: 1,
    origin_server_ts: 1,
  };
  const trustedId = someId(rulesFor('12'), 'c');
  assert.is(parsePdu(create, rulesFor('12'), { trustedId }).roomId, `!${trustedId.slice(1)}` as RoomId);
});

test('asked for redacted, the event keeps its id and loses what redaction removes', () => {
  for (const rules of ROOM_VERSIONS) {
    const whole = sample(rules, {
      type: 'm.room.redaction',
      redacts: someId(rules, 't'),
      content: { reason: 'x' },
    });
    const pdu = parsePdu(whole.json, rules, { redacted: true });
    assert.is(pdu.eventId, whole.eventId);
    assert.is(pdu.content, pdu.json['content']);
    assert.is('reason' in pdu.content, false);
    assert.is(pdu.redacts, rules.redactsIsInContent ? whole.redacts : undefined);
    assert.equal(parsePdu(pdu.json, rules, { redacted: true }).json, pdu.json);
  }
});

test('fields are own keys only: an event cannot inherit its sender', () => {
  const rules = rulesFor('11');
  const { sender, ...rest } = sample(rules).json;
  assert.ok(sender);
  const json = parseJson(
    utf8(JSON.stringify(rest).replace('{', '{"__proto__":{"sender":"@a:domain"},')),
  ) as JsonObject;
  assert.is(
    codeOf(() => parsePdu(json, rules)),
    'EVENT_BAD_SENDER',
  );
});

test.run();
