import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalJson } from '../../src/event/canonical.js';
import { MAX_JSON_DEPTH, parseJson, type JsonValue } from '../../src/event/json.js';
import { utf8 } from '../../src/lib/bytes.js';
import { codeOf } from './samples.js';

const test = suite('canonical JSON');
const loose = { strictCanonicalJson: false };
const canonical = (text: string): string => canonicalJson(parseJson(utf8(text)));

test('the examples of the specification come out byte for byte', () => {
  const examples: ReadonlyArray<readonly [string, string]> = [
    ['{}', '{}'],
    ['{\n    "one": 1,\n    "two": "Two"\n}', '{"one":1,"two":"Two"}'],
    ['{"b": "2", "a": "1"}', '{"a":"1","b":"2"}'],
    ['{"b":"2","a":"1"}', '{"a":"1","b":"2"}'],
    [
      '{"auth": {"success": true, "mxid": "@john.doe:example.com", "profile": {"display_name": "John Doe", "three_pids": [{"medium": "email", "address": "john.doe@example.org"}, {"medium": "msisdn", "address": "123456789"}]}}}',
      '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}',
    ],
    ['{"a": "日本語"}', '{"a":"日本語"}'],
    ['{"本": 2, "日": 1}', '{"日":1,"本":2}'],
    ['{"a": "\\u65E5"}', '{"a":"日"}'],
    ['{"a": null}', '{"a":null}'],
    ['{"a": -0}', '{"a":0}'],
  ];
  for (const [text, expected] of examples) assert.is(canonical(text), expected);
});

test('1e10 in an event is refused as servers refuse it, and as a number is the integer of the last example', () => {
  assert.is(
    codeOf(() => canonical('{"a": -0, "b": 1e10}')),
    'EVENT_NOT_CANONICAL',
  );
  assert.is(canonicalJson({ a: -0, b: 1e10 }), '{"a":0,"b":10000000000}');
});

test('keys are in the order of code points, where UTF-16 has another', () => {
  const astral = '\u{10000}';
  const high = '\uffee';
  assert.is(canonicalJson({ [astral]: 1, [high]: 2, a: 3 }), `{"a":3,"${high}":2,"${astral}":1}`);
  assert.is(canonicalJson({ '10': 1, '9': 2, '1': 3 }), '{"1":3,"10":1,"9":2}');
});

test('control characters, quotes and backslashes are escaped as the grammar has it, and nothing else', () => {
  assert.is(
    canonicalJson('\b\t\n\f\r"\\/\u0000\u001f\u007f\u2028\u00e9'),
    '"\\b\\t\\n\\f\\r\\"\\\\/\\u0000\\u001f\u007f\u2028\u00e9"',
  );
});

test('a canonical text reads back as the same value and is its own canonical text', () => {
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(null),
      tie('array'),
      tie('object'),
    ),
    array: fc.array(tie('value'), { maxLength: 4 }),
    object: fc.dictionary(fc.string({ unit: 'binary', maxLength: 4 }), tie('value'), {
      maxKeys: 6,
      noNullPrototype: true,
    }),
  })).value;
  fc.assert(
    fc.property(value, (given) => {
      const text = canonicalJson(given as JsonValue);
      assert.is(canonical(text), text);
      assert.equal(JSON.parse(text), JSON.parse(JSON.stringify(given)));
    }),
  );
});

test('strict versions refuse floats, large integers and anything written like a float', () => {
  for (const text of [
    '1.0',
    '1.5',
    '1e3',
    '9007199254740992',
    '-9007199254740992',
    '[1,[2.0]]',
    '{"a":{"b":1E2}}',
  ]) {
    assert.is(
      codeOf(() => canonical(text)),
      'EVENT_NOT_CANONICAL',
      text,
    );
  }
  for (const value of [0.5, 2 ** 53, NaN, Infinity]) {
    assert.is(
      codeOf(() => canonicalJson({ value })),
      'EVENT_NOT_CANONICAL',
    );
  }
});

test('loose versions write integers of any size digit by digit and floats as Python does', () => {
  // Left: as received. Right: json.dumps(json.loads(left)) of Python 3.
  const pairs: ReadonlyArray<readonly [string, string]> = [
    ['9007199254740993', '9007199254740993'],
    ['-123456789012345678901234567890', '-123456789012345678901234567890'],
    ['1.0', '1.0'],
    ['1.50', '1.5'],
    ['-0.0', '-0.0'],
    ['1e3', '1000.0'],
    ['1E-3', '0.001'],
    ['0.0001', '0.0001'],
    ['0.00001', '1e-05'],
    ['1.25e-7', '1.25e-07'],
    ['1e15', '1000000000000000.0'],
    ['123456789012345678.0', '1.2345678901234568e+17'],
    ['9999999999999998.0', '9999999999999998.0'],
    ['1e16', '1e+16'],
    ['1e22', '1e+22'],
    ['1.5e300', '1.5e+300'],
    ['5e-324', '5e-324'],
    ['0.1', '0.1'],
    ['100.25', '100.25'],
    ['-2.5', '-2.5'],
  ];
  for (const [text, expected] of pairs)
    assert.is(canonicalJson(parseJson(utf8(text)), loose), expected, text);
});

test('a number beyond all floats is refused even by loose versions', () => {
  assert.is(
    codeOf(() => canonicalJson(parseJson(utf8('1e400')), loose)),
    'EVENT_NOT_CANONICAL',
  );
});

test('lone surrogates and bottomless nesting are refused', () => {
  assert.is(
    codeOf(() => canonicalJson({ a: '\ud800' })),
    'EVENT_NOT_CANONICAL',
  );
  assert.is(
    codeOf(() => canonicalJson({ '\udc00': 1 })),
    'EVENT_NOT_CANONICAL',
  );
  let deep: JsonValue = 0;
  for (let i = 0; i < MAX_JSON_DEPTH; i++) deep = [deep];
  assert.ok(canonicalJson(deep));
  assert.is(
    codeOf(() => canonicalJson([deep])),
    'EVENT_NOT_CANONICAL',
  );
});

test.run();
