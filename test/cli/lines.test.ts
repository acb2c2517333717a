import { Readable } from 'node:stream';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { linesOf } from '../../src/cli/import/lines.js';

const test = suite('cli/import/lines');

interface Shown {
  readonly number: number;
  readonly text: string | undefined;
  readonly isUnended: boolean;
}

/** The lines of text that arrives in chunks of these sizes. */
async function cut(text: string, lineBytesMax = 1000, chunkBytes = 1000): Promise<Shown[]> {
  const bytes = Buffer.from(text);
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) chunks.push(bytes.subarray(at, at + chunkBytes));
  const lines: Shown[] = [];
  for await (const batch of linesOf(Readable.from(chunks), { lineBytesMax })) {
    for (const { number, bytes, isUnended } of batch) {
      lines.push({ number, text: bytes && Buffer.from(bytes).toString(), isUnended });
    }
  }
  return lines;
}

test('lines end with LF or CRLF, and empty ones count but are not given', async () => {
  assert.equal(await cut('a\r\n\nb\n  \t\nc\n'), [
    { number: 1, text: 'a', isUnended: false },
    { number: 3, text: 'b', isUnended: false },
    { number: 5, text: 'c', isUnended: false },
  ]);
});

test('a last line without an end is given and marked', async () => {
  assert.equal(await cut('a\nb'), [
    { number: 1, text: 'a', isUnended: false },
    { number: 2, text: 'b', isUnended: true },
  ]);
});

test('a byte order mark at the start is no part of the first line', async () => {
  assert.equal(await cut('\ufeffa\n\ufeffb\n'), [
    { number: 1, text: 'a', isUnended: false },
    { number: 2, text: '\ufeffb', isUnended: false },
  ]);
});

test('a line longer than allowed is given without its bytes, and the next one is whole', async () => {
  for (const chunkBytes of [1, 3, 7, 1000]) {
    assert.equal(await cut('12345678\r\n123456789\r\nabc\n', 8, chunkBytes), [
      { number: 1, text: '12345678', isUnended: false },
      { number: 2, text: undefined, isUnended: false },
      { number: 3, text: 'abc', isUnended: false },
    ]);
  }
});

test('nothing has no lines', async () => {
  assert.equal(await cut(''), []);
  assert.equal(await cut('\n\r\n'), []);
});

test('how the bytes are cut into chunks does not matter', async () => {
  const text = fc.array(fc.constantFrom('a', 'é', '\n', '\r\n', '\r', ' ', 'xyz'), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(
      text,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 12 }),
      async (parts, size, max) => {
        const whole = parts.join('');
        assert.equal(await cut(whole, max, size), await cut(whole, max, 10_000));
      },
    ),
  );
});

test.run();
