// `stateroom gc`: takes out the tree nodes that no kept root reaches; or a whole room.

import type { Command } from 'commander';
import { collectGarbage } from '../../store/gc.js';
import { purgeRoom } from '../../store/purge.js';
import { examples, type GlobalOptions, globalsOf, withStore } from '../context.js';
import { answer, counted, sizeText } from '../output.js';
import { newCounter } from '../progress.js';

export function addGc(program: Command): void {
  program
    .command('gc')
    .description('Takes out the tree nodes that no stored state needs any more, and gives their space back.')
    .option(
      '--purge-room <room>',
      'delete everything of a room instead, its events included: it cannot be undone',
    )
    .addHelpText(
      'after',
      examples(
        ['gc', 'collect what nothing needs'],
        ["gc --purge-room '!room:example.org'", 'forget a room'],
      ),
    )
    .action(async ({ purgeRoom: roomId }: { readonly purgeRoom?: string }, command: Command) => {
      const globals = globalsOf(command);
      if (roomId === undefined) await collect(globals);
      else await purge(globals, roomId);
    });
}

async function collect(globals: GlobalOptions): Promise<void> {
  const counter = newCounter('collecting');
  const work = withStore(
    globals,
    (store) => collectGarbage(store, { onProgress: ({ phase, done }) => counter.show(phase, done) }),
    { toChange: true },
  );
  const report = await work.finally(() => counter.stop());
  const value = {
    records: report.records,
    nodes: report.nodes,
    nodes_kept: report.nodesKept,
    records_deleted: report.recordsDeleted,
    records_rewritten: report.recordsRewritten,
    bytes_freed: report.bytesFreed,
  };
  await answer(
    globals,
    value,
    () =>
      `${counted(report.nodesKept, 'node')} of ${report.nodes.toLocaleString('en')} kept; ` +
      `${counted(report.recordsDeleted, 'record')} deleted, ${report.recordsRewritten.toLocaleString('en')} rewritten, ` +
      `${sizeText(report.bytesFreed)} freed`,
  );
}

async function purge(globals: GlobalOptions, roomId: string): Promise<void> {
  const counter = newCounter('purging');
  const work = withStore(
    globals,
    (store) => purgeRoom(store, roomId, { onProgress: (rows) => counter.show('rows', rows) }),
    { forRepair: true, toChange: true },
  );
  const { events, records, rows } = await work.finally(() => counter.stop());
  await answer(
    globals,
    { room_id: roomId, events, records, rows },
    () => `${counted(events, 'event')} and ${counted(records, 'record')} of tree nodes of ${roomId} deleted`,
  );
}
