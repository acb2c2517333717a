import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  JsonNumber,
  MAX_JSON_DEPTH,
  own,
  isObject,
  parseJson,
  type JsonValue,
} from '../../src/event/json.js';
import { utf8 } from '../../src/lib/bytes.js';
import { codeOf } from './samples.js';

const test = suite('json');
const parse = (text: string): JsonValue => parseJson(utf8(text));
const refusal = (bytes: Uint8Array): string => codeOf(() => parseJson(bytes));

test('any JSON without odd numbers reads as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json({ noUnicodeString: false, depthSize: 'medium' }), (text) => {
      const plain = parse(text);
      const seen: JsonValue = JSON.parse(text, (_key, value: unknown) =>
        Object.is(value, -0) ? 0 : value,
      ) as JsonValue;
      assert.equal(strip(plain), seen);
    }),
  );
});

test('numbers that are no plain safe integers keep their text', () => {
  for (const source of [
    '1.0',
    '1e3',
    '1E3',
    '-1.5',
    '9007199254740992',
    '-9007199254740992',
    '1e400',
    '-0.0',
    '12345678901234567890',
  ]) {
    for (const text of [source, `[${source}]`, `{"a":${source}}`, ` {"b" : [1, ${source} , "x"] }`]) {
      const found = numbers(parse(text));
      assert.is(found.length, 1, text);
      assert.is(found[0]?.source, source);
      assert.is(found[0]?.value, Number(source));
    }
  }
});

test('safe integers are numbers, however many digits they have, and -0 is 0', () => {
  assert.is(parse('9007199254740991'), Number.MAX_SAFE_INTEGER);
  assert.is(parse('-9007199254740991'), Number.MIN_SAFE_INTEGER);
  assert.ok(Object.is(parse('-0'), 0));
  assert.ok(Object.is((parse('[-0]') as readonly JsonValue[])[0], 0));
});

test('what looks like an odd number inside a string is a string', () => {
  const text = '{"body":"see, 1.5 and \\"[2e5\\", or \\\\","k":{"1.0":"9007199254740993"},"n":3}';
  assert.equal(parse(text), JSON.parse(text));
});

test('the slow reader agrees with the fast one on everything but the odd number', () => {
  fc.assert(
    fc.property(fc.json({ depthSize: 'medium' }), fc.constantFrom('', ' ', '\n\t'), (text, space) => {
      const both = parse(`[${space}${text}${space},${space}1.0${space}]`) as readonly JsonValue[];
      assert.equal(strip(both[0] as JsonValue), strip(parse(text)));
    }),
  );
});

test('of duplicate keys the last counts, on both paths', () => {
  assert.equal(parse('{"a":1,"a":2}'), { a: 2 });
  assert.equal(strip(parse('{"a":1.5,"a":2,"b":1.0}')), { a: 2, b: '1.0' });
});

test('a key named __proto__ is an own key and changes no prototype, on both paths', () => {
  for (const text of ['{"__proto__":{"x":1},"n":1}', '{"__proto__":{"x":1},"n":1.0}']) {
    const value = parse(text);
    assert.ok(isObject(value));
    assert.equal(own(value, '__proto__'), { x: 1 });
    assert.is(own(value, 'x'), undefined);
    assert.is(own(value, 'toString'), undefined);
  }
});

test('bytes that are not UTF-8 are refused', () => {
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0x22, 0xc0, 0x80, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
    [0x22, 0xe2, 0x82, 0x22],
  ]) {
    assert.is(refusal(new Uint8Array(bytes)), 'EVENT_BAD_JSON');
  }
});

test('text that is no JSON is refused', () => {
  for (const text of [
    '',
    ' ',
    '{',
    '{"a":}',
    '[1,]',
    '01',
    '1.',
    '.5',
    '+1',
    'NaN',
    'Infinity',
    "{'a':1}",
    '{"a":1}x',
    '"\u0001"',
    '\ufeff{}',
    '-',
    '"\\x"',
    '"a',
  ]) {
    assert.is(refusal(utf8(text)), 'EVENT_BAD_JSON', text);
  }
});

test('lone surrogates are refused in values and in keys, pairs are not', () => {
  for (const text of ['"\\ud800"', '"\\uDC00x"', '{"\\udbff":1}', '["\\udc00\\ud800"]']) {
    assert.is(refusal(utf8(text)), 'EVENT_BAD_JSON', text);
  }
  assert.is(parse('"\\ud83d\\ude00"'), '\u{1f600}');
  assert.is(parse('"\\\\ud800"'), '\\ud800');
});

test('nesting is bounded, for arrays and objects', () => {
  const arrays = (depth: number): Uint8Array => utf8('['.repeat(depth) + ']'.repeat(depth));
  assert.ok(parseJson(arrays(MAX_JSON_DEPTH)));
  assert.is(refusal(arrays(MAX_JSON_DEPTH + 1)), 'EVENT_BAD_JSON');
  assert.is(refusal(utf8('{"a":'.repeat(100_000))), 'EVENT_BAD_JSON');
  assert.ok(parse(`["${'['.repeat(5000)}"]`));
  assert.ok(parse(`[${'[],{},'.repeat(MAX_JSON_DEPTH)}[]]`), 'siblings are no nesting');
});

test('whatever the bytes are, there is a value or a refusal with a code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      assert.ok(['EVENT_BAD_JSON', 'nothing was thrown'].includes(refusal(bytes)));
    }),
  );
});

function numbers(value: JsonValue): JsonNumber[] {
  if (value instanceof JsonNumber) return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((inner: JsonValue) => numbers(inner));
}

/** The value with each JsonNumber as its nearest number, or as its text where the test compares that. */
function strip(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return value.source === '1.0' ? '1.0' : value.value;
  if (Array.isArray(value)) return value.map((inner: JsonValue) => strip(inner));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, strip(inner)]));
}

test.run();
