import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Turns } from '../../src/lib/turns.js';

const test = suite('lib turns');

/** Work that ends when it is told to. */
function work(begun: string[], name: string): { run: () => Promise<string>; end: (error?: Error) => void } {
  let settle: (error?: Error) => void = () => undefined;
  const ended = new Promise<string>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve(name) : reject(error));
  });
  const run = (): Promise<string> => {
    begun.push(name);
    return ended;
  };
  return { run, end: (error) => settle(error) };
}

test('work under one key is done one after another, that under another beside it', async () => {
  const turns = new Turns<string>();
  const begun: string[] = [];
  const [first, second, other] = [work(begun, 'first'), work(begun, 'second'), work(begun, 'other')];
  const results = [turns.in('a', first.run), turns.in('a', second.run), turns.in('b', other.run)];
  other.end();
  assert.is(await results[2], 'other');
  assert.equal(begun, ['first', 'other']);
  first.end();
  second.end();
  assert.equal(await Promise.all(results), ['first', 'second', 'other']);
  assert.equal(begun, ['first', 'other', 'second']);
});

test('work that fails tells who asked for it, and the next has its turn', async () => {
  const turns = new Turns<string>();
  const begun: string[] = [];
  const [first, second] = [work(begun, 'first'), work(begun, 'second')];
  const failing = turns.in('a', first.run);
  const next = turns.in('a', second.run);
  first.end(new Error('it failed'));
  second.end();
  const told = await failing.catch((error: unknown) => (error instanceof Error ? error.message : ''));
  assert.is(told, 'it failed');
  assert.is(await next, 'second');
});

test.run();
