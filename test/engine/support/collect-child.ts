// A process that writes records of its own and collects their history, until it is killed.
//
//   node collect-child.js FOLDER
//
// It prints `wrote N` once record N is acknowledged, and `collects` when it begins a slice, beside which it writes on.

import type { HistoryKept } from '../../../src/core/internal-history.js';
import { openEngine } from '../../../src/engine/engine.js';
import { COLLECTED_KEYS, COLLECTED_ROOM } from './collected-room.js';

const KEPT: HistoryKept = { events: 10, ageMs: 0, sliceMin: 50 };
/** Records written at a time. */
const AT_ONCE = 40;

const [folder = ''] = process.argv.slice(2);
const engine = await openEngine({ path: folder, durability: 'os' });
const said = [...engine.internal.entries(COLLECTED_ROOM, 't')].map(({ content }) => Number(content['i']));
let next = Math.max(-1, ...said) + 1;

const say = (line: string): Promise<void> =>
  new Promise((resolve) => process.stdout.write(`${line}\n`, () => resolve()));

async function write(): Promise<void> {
  const numbers = Array.from({ length: AT_ONCE }, () => next++);
  const records = numbers.map((i) => ({
    roomId: COLLECTED_ROOM,
    type: 't',
    stateKey: `key ${i % COLLECTED_KEYS}`,
    content: { i },
  }));
  await engine.internal.write(records);
  await say(`wrote ${next - 1}`);
}

for (;;) {
  await write();
  await write();
  await say('collects');
  await Promise.all([engine.core.history.collect(COLLECTED_ROOM, KEPT), write()]);
}
