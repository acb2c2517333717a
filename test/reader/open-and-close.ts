// Run by pool.test.ts in a process of its own, because a wrong order of closing is a segmentation fault:
// opens an engine with reader threads, asks much, and closes it in the middle of the answers; then leaves
// without closing at all.

import { openEngine } from '../../src/engine/engine.js';
import { loadRoom } from '../fixtures.js';
import { importRoom, questionsAbout } from './helpers.js';

const TIMES = 20;
const [, , path = ''] = process.argv;
const room = loadRoom('small-v11');
const options = { path, durability: 'os', readerThreads: 2, nodeCacheBytes: 10_000 } as const;

for (let time = 0; time < TIMES; time++) {
  const engine = await openEngine(options);
  if (time === 0) await importRoom(engine, room);
  const questions = questionsAbout(engine, room);
  const asked = Array.from({ length: 10 }, () => engine.query(questions));
  // Nothing asked yet; messages on their way; some answered; all answered.
  if (time % 4 === 1) await Promise.resolve();
  if (time % 4 === 2) await asked[0];
  if (time % 4 === 3) await Promise.all(asked);
  await engine.close();
  for (const outcomes of await Promise.all(asked)) {
    for (const outcome of outcomes) {
      if (!outcome.ok && outcome.error.code !== 'READER_CLOSED') throw outcome.error;
    }
  }
}
const engine = await openEngine(options);
void engine.query(questionsAbout(engine, room));
process.stdout.write(`opened and closed ${TIMES} times\n`, () => process.exit(0));
