import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { eventIdOf, referenceHash } from '../../src/event/hash.js';
import { parseJson, type JsonObject, type JsonValue } from '../../src/event/json.js';
import { parsePdu } from '../../src/event/parse.js';
import { receiveJson, receivePdu, verifyReceived } from '../../src/event/receive.js';
import { redact } from '../../src/event/redact.js';
import { ROOM_VERSIONS, type RoomVersionRules } from '../../src/event/rules.js';
import { fromUtf8, utf8 } from '../../src/lib/bytes.js';
import { loadRoom, ROOM_NAMES } from '../fixtures.js';
import { codeOf, keys, rulesFor, sample } from './samples.js';

const test = suite('receiving');

function received(json: JsonObject, rules: RoomVersionRules): ReturnType<typeof receivePdu> {
  return receivePdu(utf8(JSON.stringify(json)), rules);
}

test('an event that was built is received whole, with the id it was built with', () => {
  for (const rules of ROOM_VERSIONS) {
    const made = sample(rules);
    const { pdu, wasRedacted } = received(made.json, rules);
    assert.is(wasRedacted, false);
    assert.equal(pdu, made);
  }
});

test('an event whose content was changed on the way is redacted, keeps its id and its signatures hold', () => {
  for (const rules of ROOM_VERSIONS) {
    const made = sample(rules);
    const changed = { ...made.json, content: { body: 'changed' }, unsigned: { age: 1 } };
    const outcome = received(changed, rules);
    assert.is(outcome.wasRedacted, true);
    assert.is(outcome.pdu.eventId, made.eventId);
    assert.equal(outcome.pdu.content, {});
    assert.equal(outcome.pdu.json, redact(made.json, rules));
    assert.ok(verifyReceived(outcome, keys).ok);
  }
});

test('an event whose essential fields were changed fails its signatures', () => {
  for (const rules of ROOM_VERSIONS) {
    for (const changes of [
      { depth: 8 },
      { origin_server_ts: 1 },
      { type: 'm.other' },
      { state_key: '' },
      { prev_events: [] },
    ]) {
      const outcome = received({ ...sample(rules).json, ...changes }, rules);
      assert.not(verifyReceived(outcome, keys).ok);
    }
  }
});

test('what is no object, no JSON or far too long is refused', () => {
  const rules = rulesFor('11');
  for (const text of ['[]', '1', '"x"', 'null'])
    assert.is(
      codeOf(() => receivePdu(utf8(text), rules)),
      'EVENT_NOT_OBJECT',
    );
  assert.is(
    codeOf(() => receivePdu(utf8('{'), rules)),
    'EVENT_BAD_JSON',
  );
  assert.is(
    codeOf(() => receivePdu(new Uint8Array(600_000), rules)),
    'EVENT_TOO_LARGE',
  );
});

test('numbers in old rooms are hashed as they were written', () => {
  const rules = rulesFor('5');
  const whole = JSON.stringify(sample(rules).json);
  const withNumber = (source: string): JsonObject =>
    parseJson(utf8(whole.replace('"depth"', `"extra":${source},"depth"`))) as JsonObject;
  const hashes = ['1', '1.0', '1.5', '9007199254740993', '9007199254740992'].map((source) =>
    Buffer.from(
      referenceHash(
        {
          ...withNumber(source),
          type: 'm.room.create',
          content: { creator: withNumber(source)['extra'] ?? null },
        },
        rules,
      ),
    ).toString('hex'),
  );
  assert.is(new Set(hashes).size, hashes.length);
});

/** Real events, one of each type and room. */
const originals = ROOM_NAMES.flatMap((name) => {
  const room = loadRoom(name);
  const byType = new Map<string, { json: JsonObject; rules: RoomVersionRules }>();
  for (const line of room.lines) {
    const json = parseJson(line) as JsonObject;
    byType.set(JSON.stringify(json['type']), { json, rules: room.rules });
  }
  return [...byType.values()];
});

const junk = fc.oneof(
  fc.constantFrom<JsonValue | undefined>(
    undefined,
    null,
    true,
    0,
    -1,
    1.5,
    2 ** 60,
    '',
    '@a:b',
    '$x',
    [],
    {},
    [[]],
    { sha256: 'x' },
    '\ud800',
  ),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.array(fc.string({ maxLength: 5 }), { maxLength: 25 }),
  fc.jsonValue({ maxDepth: 3 }),
) as fc.Arbitrary<JsonValue | undefined>;

const TOP = [
  'type',
  'state_key',
  'sender',
  'room_id',
  'event_id',
  'content',
  'prev_events',
  'auth_events',
  'depth',
  'origin_server_ts',
  'hashes',
  'signatures',
  'unsigned',
  'redacts',
  '__proto__',
  'toString',
];

test('real events with any field replaced by anything parse or are refused with a code, under every version', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...originals),
      fc.constantFrom(...ROOM_VERSIONS),
      fc.array(fc.tuple(fc.constantFrom(...TOP), junk), { minLength: 1, maxLength: 3 }),
      (original, rules, changes) => {
        const entries = new Map<string, JsonValue>(Object.entries(original.json));
        for (const [name, value] of changes) {
          if (value === undefined) entries.delete(name);
          else entries.set(name, value);
        }
        const json: JsonObject = Object.fromEntries(entries);
        const code = codeOf(() => receiveJson(json, rules));
        assert.match(code, /^EVENT_|^nothing was thrown$/);
        assert.match(
          codeOf(() => parsePdu(json, rules)),
          code,
        );
      },
    ),
    { numRuns: 1500 },
  );
});

test('real events with any byte changed parse or are refused with a code, and no other event gets their id', () => {
  const texts = originals.map((original) => ({ ...original, text: JSON.stringify(original.json) }));
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      (original, position, byte) => {
        const bytes = utf8(original.text);
        const at = position % bytes.length;
        const before = bytes[at];
        bytes[at] = byte;
        const code = codeOf(() => receivePdu(bytes, original.rules));
        assert.match(code, /^EVENT_|^nothing was thrown$/);
        if (code !== 'nothing was thrown' || before === byte || original.rules.eventIdFormat === 'field')
          return;
        const outcome = receivePdu(bytes, original.rules);
        const changed = JSON.stringify(redact(JSON.parse(fromUtf8(bytes)) as JsonObject, original.rules));
        const same = essential(changed) === essential(JSON.stringify(redact(original.json, original.rules)));
        assert.is(outcome.pdu.eventId === eventIdOf(original.json, original.rules), same);
      },
    ),
    { numRuns: 1500 },
  );
});

/** The text without what no reference hash covers. */
function essential(text: string): string {
  const entries = Object.entries(JSON.parse(text) as JsonObject).filter(([name]) => name !== 'signatures');
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
}

test.run();
