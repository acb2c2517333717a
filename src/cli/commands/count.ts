// `stateroom count`: how many entries a state has, of all or of one type. The tree knows without a walk.

import type { Command } from 'commander';
import { examples, globalsOf, TARGET_HELP, viewOf, withReader } from '../context.js';
import { answer } from '../output.js';

export function addCount(program: Command): void {
  program
    .command('count')
    .description('Prints how many state entries there are after an event (or before it), or in a room now.')
    .argument('<target>', 'event id, room id or root')
    .argument('[type]', 'only entries of this type')
    .option('--before', 'the state before the event instead of after it')
    .addHelpText('after', TARGET_HELP)
    .addHelpText(
      'after',
      examples(
        ["count '!room:example.org'", 'all entries now'],
        ["count '$id' m.room.member", 'all members at an event'],
      ),
    )
    .action(
      async (target: string, type: string | undefined, options: { before?: true }, command: Command) => {
        const globals = globalsOf(command);
        await withReader(globals, async (reader) => {
          const view = await viewOf(reader, target, options);
          const count = view.count(type);
          await answer(globals, count, () => String(count));
        });
      },
    );
}
