import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Gate } from '../../src/lib/gate.js';

const test = suite('Gate');

test('lets in what fits and the rest in the order in which it came', async () => {
  const gate = new Gate(10);
  const entered: string[] = [];
  const enter = (name: string, cost: number): void => void gate.enter(cost).then(() => entered.push(name));
  enter('a', 6);
  enter('b', 6);
  enter('c', 1);
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(entered, ['a'], 'c fits, but must not overtake b');
  gate.leave(6);
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(entered, ['a', 'b', 'c']);
});

test('one alone always has room, however much it costs', async () => {
  const gate = new Gate(10);
  await gate.enter(1_000);
  gate.leave(1_000);
  await gate.enter(10);
});

test.run();
