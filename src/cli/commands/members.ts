// `stateroom members`: who is in a room, at any event, without reading a single event.

import { type Command, Option } from 'commander';
import { compareCodePoints } from '../../lib/bytes.js';
import { MEMBERSHIPS, type Membership } from '../../room/state/value.js';
import { examples, globalsOf, TARGET_HELP, viewOf, withReader } from '../context.js';
import { answer, table } from '../output.js';

interface MembersOptions {
  readonly membership?: Membership;
  readonly before?: true;
}

export function addMembers(program: Command): void {
  program
    .command('members')
    .description('Lists the members after an event (or before it), or of a room now; sorted by user id.')
    .argument('<target>', 'event id, room id or root')
    .addOption(new Option('--membership <membership>', 'only these').choices(MEMBERSHIPS.slice(1)))
    .option('--before', 'the state before the event instead of after it')
    .addHelpText('after', TARGET_HELP)
    .addHelpText(
      'after',
      examples(
        ["members '!room:example.org' --membership join", 'who is joined now'],
        ["members '$id' --before --json", 'who was there before an event'],
      ),
    )
    .action(async (target: string, options: MembersOptions, command: Command) => {
      const globals = globalsOf(command);
      const { membership } = options;
      await withReader(globals, async (reader) => {
        const view = await viewOf(reader, target, options);
        const members = [...view.members(membership === undefined ? {} : { membership })]
          .sort((a, b) => compareCodePoints(a.userId, b.userId))
          .map((member) => ({
            user_id: member.userId,
            membership: member.membership,
            event_id: member.eventId,
          }));
        await answer(globals, members, () =>
          table(
            [{ title: 'USER' }, { title: 'MEMBERSHIP' }, { title: 'EVENT' }],
            members.map((member) => [member.user_id, member.membership, member.event_id]),
          ),
        );
      });
    });
}
