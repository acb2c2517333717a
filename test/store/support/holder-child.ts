// A process that opens a store and holds it until its input ends.
//
//   node holder-child.js FOLDER

import { Store } from '../../../src/store/store.js';

const store = await Store.open({ kind: 'folder', path: process.argv[2] ?? '', create: false });
process.stdout.write('open\n');
process.stdin.on('end', () => void store.close()).resume();
