// `stateroom stats`: how much is stored, and what it costs.

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Store } from '../../store/store.js';
import { examples, globalsOf, withStore } from '../context.js';
import { answer, fields, sizeText } from '../output.js';

export function addStats(program: Command): void {
  program
    .command('stats')
    .description('Prints how many events, rooms and tree nodes are stored, and how large they are.')
    .addHelpText('after', examples(['stats', 'for people'], ['stats --json', 'for programs']))
    .action(async (_options: object, command: Command) => {
      const globals = globalsOf(command);
      await withStore(globals, async (store) => {
        const stats = await statsOf(store);
        await answer(globals, stats, () => textOf(stats));
      });
    });
}

async function statsOf(store: Store) {
  const { events, stateEvents, nodeRecords, nodeBytes } = store.counters();
  let rooms = 0;
  let rejected = 0;
  let softFailed = 0;
  for await (const room of store.rooms()) {
    rooms++;
    rejected += room.rejected;
    softFailed += room.softFailed;
  }
  return {
    rooms,
    events,
    state_events: stateEvents,
    rejected,
    soft_failed: softFailed,
    node_records: nodeRecords,
    node_bytes: nodeBytes,
    node_bytes_per_state_event: stateEvents === 0 ? 0 : Math.round(nodeBytes / stateEvents),
    store_bytes: store.path === undefined ? 0 : await folderBytes(store.path),
  };
}

type Stats = Awaited<ReturnType<typeof statsOf>>;

/** Size of a folder's files. LevelDB may take one away while we look: it counts for nothing then. */
async function folderBytes(path: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(path)) {
    const size = await stat(join(path, name)).then(
      (found) => found.size,
      () => 0,
    );
    bytes += size;
  }
  return bytes;
}

function textOf(stats: Stats): string {
  return fields([
    ['rooms', stats.rooms],
    ['events', stats.events],
    ['state events', stats.state_events],
    ['rejected', stats.rejected],
    ['soft failed', stats.soft_failed],
    ['node records', stats.node_records],
    ['node bytes', sizeText(stats.node_bytes)],
    ['per state event', sizeText(stats.node_bytes_per_state_event)],
    ['store', sizeText(stats.store_bytes)],
  ]);
}
