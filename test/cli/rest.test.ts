import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RestTeller } from '../../src/cli/rest.js';

const test = suite('cli/rest');

/** What is told while the event loop is busy for these shares of its time. */
function told(...shares: readonly number[]): boolean[] {
  const heard: boolean[] = [];
  const teller = new RestTeller((isAtRest) => void heard.push(isAtRest));
  for (const share of shares) teller.look(share);
  return heard;
}

test('a process that does nothing for a moment is at rest, which is told once', () => {
  assert.equal(told(0, 0, 0, 0), []);
  assert.equal(told(0, 0, 0, 0.05, 0, 0, 0), [true]);
});

test('one that is idle between two requests is not', () => {
  assert.equal(told(0.5, 0, 0, 0, 0, 0.5, 0, 0.9), []);
});

test('whoever comes ends it at once', () => {
  assert.equal(told(0, 0, 0, 0, 0, 0.3), [true, false]);
  assert.equal(told(0, 0, 0, 0, 0, 0.3, 0, 0, 0, 0, 0), [true, false, true]);
});

test.run();
