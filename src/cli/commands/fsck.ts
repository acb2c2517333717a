// `stateroom fsck`: checks everything that is stored, and says what would repair it. It changes nothing.

import type { Command } from 'commander';
import { fsck, type FsckReport } from '../../engine/maintenance/fsck.js';
import { examples, globalsOf, withStore } from '../context.js';
import { EXIT } from '../errors.js';
import { answer, colors, counted, printable } from '../output.js';
import { newCounter } from '../progress.js';

/** Problems listed; all are counted. */
const PROBLEMS_MAX = 100;

export function addFsck(program: Command): void {
  program
    .command('fsck')
    .description(
      'Checks the whole store: every event and tree node is hashed, every index row compared with the event it follows from. Changes nothing; exit code 1 when something is wrong.',
    )
    .addHelpText(
      'after',
      examples(['fsck', 'is all well?'], ['rebuild', 'make everything but the events anew']),
    )
    .action(async (_options: object, command: Command) => {
      const globals = globalsOf(command);
      const counter = newCounter('checking');
      const work = withStore(
        globals,
        (store) =>
          fsck(store, {
            problemsMax: PROBLEMS_MAX,
            onProgress: ({ phase, done }) => counter.show(phase, done),
          }),
        { forRepair: true },
      );
      const report = await work.finally(() => counter.stop());
      await answer(globals, jsonOf(report), () => textOf(report));
      if (report.problemCount > 0) process.exitCode = EXIT.no;
    });
}

function jsonOf({ problems, problemCount, ...report }: FsckReport) {
  return { ok: problemCount === 0, ...report, problem_count: problemCount, problems };
}

function textOf(report: FsckReport): string {
  const { events, rooms, nodes, records, problems, problemCount } = report;
  const checked =
    `${counted(events, 'event')} in ${counted(rooms, 'room')}, ` +
    `${counted(nodes, 'tree node')} in ${counted(records, 'record')} checked`;
  if (problemCount === 0) return `${checked}: ${colors.green('all is well')}`;
  const hidden = problemCount - problems.length;
  return [
    `${checked}: ${colors.red(counted(problemCount, 'problem'))}`,
    ...problems.map(({ code, message }) => `${colors.yellow(code)}: ${printable(message)}`),
    ...(hidden > 0 ? [`… and ${hidden.toLocaleString('en')} more`] : []),
    report.repair === 'lost'
      ? 'Events themselves are damaged: take them from a backup, or import them again from another server.'
      : '`stateroom rebuild` repairs this.',
  ].join('\n');
}
