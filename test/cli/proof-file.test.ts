import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkProof, makeProof, type ProofFile } from '../../src/cli/proof-file.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { StateroomError } from '../../src/lib/errors.js';
import { loadRoom } from '../fixtures.js';

const test = suite('cli/proof-file');
const { lines, expected } = loadRoom('small-v11');
const alice = '@alice:alpha.test:7101';
let engine: Engine;
let proof: ProofFile;

test.before(async () => {
  engine = await openEngine();
  await Promise.all(lines.map((line) => engine.receive(line, { roomVersion: '11' })));
  const view = engine.currentState(expected.room_id);
  proof = makeProof(engine.reader, view, expected.room_id, 'm.room.topic', '');
});
test.after(() => engine.close());

const check = (file: unknown) => checkProof(Buffer.from(JSON.stringify(file)));

test('every entry of the current state is proven, and so is what is not there', () => {
  const view = engine.currentState(expected.room_id);
  for (const [type, stateKey, eventId] of expected.current_state_a) {
    const claim = check(makeProof(engine.reader, view, expected.room_id, type, stateKey));
    assert.equal(claim, { root: view.root, type, state_key: stateKey, present: true, event_id: eventId });
  }
  const absent = check(makeProof(engine.reader, view, expected.room_id, 'toString', alice));
  assert.is(absent.present, false);
  assert.is(absent.event_id, null);
});

test('a proof that was tampered with, or that is none, does not count', () => {
  const { nodes } = proof;
  const flipped = (nodes[0] ?? '').replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
  const forged: readonly unknown[] = [
    { ...proof, event_id: expected.event_ids[0] },
    { ...proof, present: false, event_id: null },
    { ...proof, nodes: [flipped, ...nodes.slice(1)] },
    { ...proof, nodes: [] },
    { ...proof, nodes: [7] },
    { ...proof, nodes: Array.from({ length: 1000 }, () => nodes[0]) },
    { ...proof, type: 'm.room.member', state_key: alice },
    { ...proof, root: '0'.repeat(64) },
    { ...proof, root: 'none' },
    { ...proof, room_version: '99' },
    { ...proof, format: 2 },
    { ...proof, state_key: null },
    [proof],
    null,
  ];
  check(proof);
  for (const file of forged) {
    assert.throws(
      () => check(file),
      (error: unknown) => error instanceof StateroomError && /^(CLI|TREE)_PROOF_INVALID$/.test(error.code),
      JSON.stringify(file).slice(0, 200),
    );
  }
  assert.throws(
    () => checkProof(Buffer.from('no JSON')),
    (error: unknown) => error instanceof StateroomError && error.code === 'EVENT_BAD_JSON',
  );
});

test.run();
