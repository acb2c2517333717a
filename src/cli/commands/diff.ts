// `stateroom diff`: what differs between two states. Equal parts of the two trees are not read.

import type { Command } from 'commander';
import { compareCodePoints } from '../../lib/bytes.js';
import type { Reader } from '../../reader/reader.js';
import { examples, globalsOf, TARGET_HELP, withReader } from '../context.js';
import { UsageError } from '../errors.js';
import { answer, colors, printable } from '../output.js';

/** One key that differs; null where it is not set. */
export interface ChangeJson {
  readonly type: string;
  readonly state_key: string;
  readonly before: string | null;
  readonly after: string | null;
}

export function addDiff(program: Command): void {
  program
    .command('diff')
    .description('Prints what differs between two states of a room; sorted by type, then state key.')
    .argument('<a>', 'event id (the state after it), room id or root')
    .argument('<b>', 'likewise')
    .addHelpText('after', TARGET_HELP)
    .addHelpText(
      'after',
      examples(
        ["diff '$old' '$new'", 'what changed between two events'],
        ["diff '$old' '!room:example.org' --json", 'what changed since an event'],
      ),
    )
    .action(async (a: string, b: string, _options: object, command: Command) => {
      const globals = globalsOf(command);
      await withReader(globals, async (reader) => {
        const changes = await changesBetween(reader, a, b);
        await answer(globals, changes, () => changesText(changes));
      });
    });
}

/** What differs, sorted. @throws CLI_USAGE for states of two rooms, and as `Reader.state` */
export async function changesBetween(reader: Reader, a: string, b: string): Promise<ChangeJson[]> {
  let from = await reader.state(a);
  let to = await reader.state(b);
  if (from.roomId !== to.roomId) {
    // The empty state is the same in every room: it is taken for one of the other's.
    if (from.count() === 0) from = reader.view(to.roomId, from.rootRef);
    else if (to.count() === 0) to = reader.view(from.roomId, to.rootRef);
    else throw new UsageError(`these are states of two rooms, ${from.roomId} and ${to.roomId}`);
  }
  return [...from.diff(to)]
    .sort((x, y) => compareCodePoints(x.type, y.type) || compareCodePoints(x.stateKey, y.stateKey))
    .map(({ type, stateKey, before, after }) => ({
      type,
      state_key: stateKey,
      before: before ?? null,
      after: after ?? null,
    }));
}

/** Changes for people: `+` set, `-` gone, `~` another event. */
export function changesText(changes: readonly ChangeJson[]): string {
  if (changes.length === 0) return 'The states are equal.';
  return changes
    .map(({ type, state_key, before, after }) => {
      const key = printable(state_key === '' ? type : `${type} ${state_key}`);
      if (before === null) return `${colors.green('+')} ${key}  ${printable(after ?? '')}`;
      if (after === null) return `${colors.red('-')} ${key}  ${printable(before)}`;
      return `${colors.yellow('~')} ${key}  ${printable(before)} → ${printable(after)}`;
    })
    .join('\n');
}
