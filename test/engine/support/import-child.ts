// A process that imports a room until it is killed: prints the id of each event once it is acknowledged.
//
//   node import-child.js FOLDER ROOM

import { openEngine } from '../../../src/engine/engine.js';
import { loadRoom, ROOM_NAMES } from '../../fixtures.js';

/** Events under way at a time: so that commit groups hold several. */
const AT_ONCE = 6;

const [folder = '', room = ''] = process.argv.slice(2);
const name = ROOM_NAMES.find((known) => known === room);
if (name === undefined) throw new Error(`there is no fixture room ${room}`);
const { lines, rules } = loadRoom(name);
const engine = await openEngine({ path: folder, durability: 'sync' });
let next = 0;

async function importSome(): Promise<void> {
  while (next < lines.length) {
    const line = lines[next++] as Uint8Array;
    const { eventId } = await engine.receive(line, { from: 'file', roomVersion: rules.version });
    process.stdout.write(`${eventId}\n`);
  }
}

process.stdout.write('open\n');
await Promise.all(Array.from({ length: AT_ONCE }, importSome));
await engine.close();
process.stdout.write('done\n');
