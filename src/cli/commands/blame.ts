// `stateroom blame`: where each entry of a room's current state comes from, and what it beat.

import type { Command } from 'commander';
import { blame, type BlameEntry } from '../../reader/explain/blame.js';
import { examples, globalsOf, withReader } from '../context.js';
import { EXIT } from '../errors.js';
import { answer, colors, counted, note, printable, timeText } from '../output.js';

export function addBlame(program: Command): void {
  program
    .command('blame')
    .description(
      'Tells for each entry of the current state: the event, since when the room has it, the resolution that chose it, ' +
        'and what it beat by which rule. Asked for a type, it also tells of keys that were lost.',
    )
    .argument('<room>', 'room id')
    .argument('[type]', 'only entries of this type')
    .argument('[state_key]', 'only the entry of this state key')
    .addHelpText(
      'after',
      examples(
        ["blame '!room:example.org'", 'everything, in short'],
        ["blame '!room:example.org' m.room.name ''", 'why the room has this name, or none'],
      ),
    )
    .action(
      async (
        room: string,
        type: string | undefined,
        stateKey: string | undefined,
        _options: object,
        command: Command,
      ) => {
        const globals = globalsOf(command);
        await withReader(globals, async (reader) => {
          const all = await blame(reader, room, type, stateKey);
          const lost = all.filter(({ event_id }) => event_id === null);
          const entries =
            type === undefined && globals.json ? all.filter(({ event_id }) => event_id !== null) : all;
          await answer(globals, entries, () => textOf(entries, stateKey !== undefined));
          if (entries.length < all.length)
            note(`${counted(lost.length, 'key')} lost in merges: ask for the type`);
          if (stateKey !== undefined && all.length === 0) process.exitCode = EXIT.no;
        });
      },
    );
}

function textOf(entries: readonly BlameEntry[], isOne: boolean): string {
  if (entries.length === 0) return 'No event that counts ever claimed this.';
  return entries.map((entry) => (isOne ? wholeText(entry) : shortText(entry))).join('\n');
}

function shortText(entry: BlameEntry): string {
  const { type, state_key, event_id, sender, says, since, set, resolution, beat } = entry;
  const name = printable(state_key === '' ? type : `${type} ${state_key}`);
  const value =
    event_id === null
      ? colors.red('lost')
      : printable(`${event_id}${says === null ? '' : ` ${JSON.stringify(says)}`}`);
  const when = since ?? set;
  const time = when === null ? 'now' : `depth ${when.depth}, ${timeText(when.origin_server_ts)}`;
  const by = sender === null ? '' : ` by ${printable(sender)}`;
  const chosen =
    resolution === null
      ? ''
      : `\n    ${colors.yellow('chosen by a merge')} ${resolution.merge ?? 'of the forward extremities'}, over ${resolution.over.join(', ')}`;
  const others = beat.length > 1 ? `; ${beat.length} beaten in all` : '';
  return `${colors.bold(name)}  ${value}\n    ${colors.dim(`${by} since ${time}`.trim())}${chosen}${others}`;
}

function wholeText(entry: BlameEntry): string {
  const steps = entry.resolution?.explanation.slice(1) ?? [];
  const beaten = entry.beat.map(
    ({ event_id, sender, says, depth, how, reason }) =>
      `  ${printable(event_id)} ${says === null ? '' : `${printable(JSON.stringify(says))} `}${colors.dim(printable(`by ${sender}, depth ${depth}, ${how}`))}\n    ${printable(reason)}`,
  );
  return [
    shortText(entry),
    '',
    ...entry.explanation.map(printable),
    ...(steps.length === 0 ? [] : ['', colors.bold('The merge, step by step'), ...steps.map(printable)]),
    ...(beaten.length === 0 ? [] : ['', colors.bold('Beaten'), ...beaten]),
  ].join('\n');
}
