import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { forbidden, MatrixError } from '../../src/client/errors.js';

const test = suite('client/errors');

test('a refusal costs no look at the stack; a fault of ours says where it was made, and so do all other errors', () => {
  const hasFrames = ({ stack }: Error): boolean => stack?.includes('errors.test') === true;
  const refusal = forbidden('Not you.');
  assert.is(hasFrames(refusal), false);
  assert.match(String(refusal), 'Not you.');
  assert.ok(hasFrames(new MatrixError(500, 'M_UNKNOWN', 'Broken.')));
  assert.ok(hasFrames(new Error('Broken.')));
});

test.run();
