// `stateroom rebuild`: makes everything but the events anew from the events: tree nodes, roots, indexes.

import type { Command } from 'commander';
import { rebuild } from '../../engine/maintenance/rebuild.js';
import { examples, globalsOf, withStore } from '../context.js';
import { answer, counted, sizeText } from '../output.js';
import { newProgress } from '../progress.js';

export function addRebuild(program: Command): void {
  program
    .command('rebuild')
    .description(
      'Makes everything but the events anew: tree nodes, roots, every index. Verdicts stay. When it is interrupted, run it again.',
    )
    .addHelpText('after', examples(['rebuild', 'after `fsck` has found damage']))
    .action(async (_options: object, command: Command) => {
      const globals = globalsOf(command);
      const progress = await newProgress('rebuilding');
      const work = withStore(
        globals,
        (store) =>
          rebuild(store, {
            onProgress: ({ phase, done, total }) => {
              if (phase === 'replay') progress.update(done, total);
            },
          }),
        { forRepair: true, toChange: true },
      );
      const report = await work.finally(() => progress.stop());
      const { events, rooms, nodeRecords, nodeBytes } = report;
      await answer(
        globals,
        { events, rooms, node_records: nodeRecords, node_bytes: nodeBytes },
        () =>
          `${counted(events, 'event')} in ${counted(rooms, 'room')} replayed; ` +
          `${counted(nodeRecords, 'record')} of tree nodes, ${sizeText(nodeBytes)}`,
      );
    });
}
