// Large answers, read in turns: what comes out is what reading them at once gives, and nonsense is refused.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type JsonValue, parseJson } from '../../src/event/json.js';
import { parseLargeObject } from '../../src/federation/large-answers.js';
import { utf8 } from '../../src/lib/bytes.js';
import { Random } from '../../tools/generate/random.js';
import { codeOf } from '../engine/support/stores.js';

const test = suite('federation/large-answers');

for (const text of [
  '{}',
  ' { } ',
  '{"pdus":[]}',
  '{"a":[1,{"b":"]}\\"[{"},[[]],null,true,"\\\\"],"c":{"d":[1,2]},"e":-0,"f":1.50}',
  '\n{\t"a" : [ 1 , "x" ] , "b" : "\u{1F600}\\ud83d\\ude00" }\r\n',
  '{"a":[1],"a":[2,3]}',
  '{"__proto__":[1],"toString":"x"}',
  '{"n":[123456789012345678901234567890,1e3]}',
]) {
  test(`${JSON.stringify(text)} is read as at once`, async () => {
    assert.equal(await parseLargeObject(utf8(text)), parseJson(utf8(text)));
  });
}

for (const text of [
  '',
  '[]',
  '"{}"',
  '{',
  '{"a"}',
  '{"a":}',
  '{"a":[1,]}',
  '{"a":[1 2]}',
  '{"a":[,1]}',
  '{"a":1,}',
  '{"a":[1}',
  '{"a":[{]}]}',
  '{"a":["x]}',
  '{"a":[1]} x',
  '{"a":[1]}{"b":[2]}',
  '{a:[1]}',
  '{1:[1]}',
  '{"a":[nul]}',
  '{"a":["\\ud800"]}',
]) {
  test(`${JSON.stringify(text)} is no object`, async () => {
    assert.is(await codeOf(parseLargeObject(utf8(text))), 'EVENT_BAD_JSON');
  });
}

test('bytes that are no UTF-8 are refused where they stand', async () => {
  const bytes = utf8('{"a":["xy"]}');
  for (const at of [0, 2, 5, 8, 11]) {
    const bad = Uint8Array.from(bytes);
    bad[at] = 0xff;
    assert.is(await codeOf(parseLargeObject(bad)), 'EVENT_BAD_JSON', `at ${at}`);
  }
});

test('whatever is cut off or changed in the middle is refused, or read as at once', async () => {
  const seed = `${Date.now()}`;
  const random = new Random(seed, 'large answers');
  const text = JSON.stringify({ pdus: [{ a: ['b', 1], c: '"}' }, { d: {} }], auth_chain: ['x', 2], n: 3 });
  for (let round = 0; round < 500; round++) {
    const bytes = utf8(text);
    bytes[random.below(bytes.length)] = random.pick([...utf8('{}[]",:\\ 1a')]);
    const cut = round % 3 === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
    const shown = new TextDecoder().decode(cut);
    const expected = attempt(cut);
    const read = await parseLargeObject(cut).catch(() => undefined);
    assert.equal(read, expected, `seed ${seed}: ${shown}`);
  }
});

/** What reading at once gives, where it is an object. */
function attempt(bytes: Uint8Array): JsonValue | undefined {
  try {
    const value = parseJson(bytes);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

test('others get a turn between some events and the next', async () => {
  const pdus = Array.from({ length: 4_000 }, (_, i) => ({ i, text: 'x'.repeat(200) }));
  let turns = 0;
  const ending = new AbortController();
  const counting = (async () => {
    for (; !ending.signal.aborted; turns++) await new Promise((resolve) => setImmediate(resolve));
  })();
  const { pdus: read } = await parseLargeObject(utf8(JSON.stringify({ pdus })));
  ending.abort();
  await counting;
  assert.equal(read, pdus);
  assert.ok(turns >= 6, `${turns}`);
});

test.run();
