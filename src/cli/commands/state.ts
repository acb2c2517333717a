// `stateroom state`: the state at an event, of a room or of a root; whole, of one type, or one key.

import type { Command } from 'commander';
import { StateroomError } from '../../lib/errors.js';
import type { Reader, Side } from '../../reader/reader.js';
import type { StateView } from '../../reader/state-view.js';
import { examples, type GlobalOptions, globalsOf, TARGET_HELP, viewOf, withReader } from '../context.js';
import { EXIT, reportError, UsageError } from '../errors.js';
import { idsIn } from '../id-list.js';
import { answer, table, writeOut } from '../output.js';

interface StateOptions {
  readonly before?: true;
  readonly events?: string;
}

/** A state entry as JSON shows it. */
interface StateEntryJson {
  readonly type: string;
  readonly state_key: string;
  readonly event_id: string;
}

export function addState(program: Command): void {
  program
    .command('state')
    .description(
      'Prints the state after an event (or before it), of a room now, or of a root; sorted by type, then state key.',
    )
    .usage(
      '[options] <event|room|root> [type [state_key]]\n       stateroom state [options] --events <file> [type [state_key]]',
    )
    .argument('[target]', 'event id, room id or root')
    .argument('[type]', 'only entries of this type')
    .argument('[state_key]', 'only the entry of this state key; without one of it the exit code is 1')
    .option('--before', 'the state before the event instead of after it')
    .option('--events <file>', 'answer for many events: ids, one a line (- is stdin); a JSON line each')
    .addHelpText('after', TARGET_HELP)
    .addHelpText(
      'after',
      examples(
        ["state '!room:example.org'", 'the current state'],
        ["state '$id' --before", 'the state that the event met'],
        ["state '$id' m.room.member @alice:example.org", 'one entry'],
        ["state '$id' m.room.topic ''", 'one entry with an empty state key'],
        ['state --before --events ids.txt', 'the state before each of many events, as JSON lines'],
      ),
    )
    .action(async (...args: unknown[]) => {
      const command = args.at(-1) as Command;
      const options = args.at(-2) as StateOptions;
      const words = command.args;
      const globals = globalsOf(command);
      if (options.events === undefined) await answerOne(globals, words, options);
      else await answerMany(globals, options.events, words, options.before === true ? 'before' : 'after');
    });
}

async function answerOne(
  globals: GlobalOptions,
  words: readonly string[],
  options: StateOptions,
): Promise<void> {
  const [target, type, stateKey] = words;
  if (target === undefined)
    throw new UsageError('say whose state: an event, a room, a root, or --events FILE');
  await withReader(globals, async (reader) => {
    const entries = entriesOf(await viewOf(reader, target, options), type, stateKey);
    await answer(globals, entries, () => textOf(entries));
    if (stateKey !== undefined && entries.length === 0) process.exitCode = EXIT.no;
  });
}

/** One JSON line an event: `{event_id, root, state}`, or `{event_id, error}` where it cannot be answered. */
async function answerMany(
  globals: GlobalOptions,
  file: string,
  words: readonly string[],
  side: Side,
): Promise<void> {
  const [type, stateKey, excess] = words;
  if (excess !== undefined || type?.startsWith('$') === true || type?.startsWith('!') === true) {
    throw new UsageError(
      'with --events the events are in the file; behind it only a type and a state key may stand',
    );
  }
  await withReader(globals, async (reader) => {
    for await (const eventId of idsIn(file)) {
      const line = lineFor(reader, eventId, side, type, stateKey);
      if ('error' in line) process.exitCode = EXIT.no;
      await writeOut(`${JSON.stringify(line)}\n`);
    }
  });
}

function lineFor(
  reader: Reader,
  eventId: string,
  side: Side,
  type: string | undefined,
  stateKey: string | undefined,
) {
  try {
    const view = reader.stateAt(eventId, side);
    return { event_id: eventId, root: view.root, state: entriesOf(view, type, stateKey) };
  } catch (error) {
    if (!(error instanceof StateroomError) || !error.code.startsWith('READER_')) throw error;
    reportError(error);
    return { event_id: eventId, error: { code: error.code, message: error.message } };
  }
}

/** The entries asked for; a single key is one look-up, not a walk. */
function entriesOf(
  view: StateView,
  type: string | undefined,
  stateKey: string | undefined,
): StateEntryJson[] {
  if (type === undefined || stateKey === undefined) {
    return view
      .sorted(type)
      .map((entry) => ({ type: entry.type, state_key: entry.stateKey, event_id: entry.eventId }));
  }
  const eventId = view.get(type, stateKey);
  return eventId === undefined ? [] : [{ type, state_key: stateKey, event_id: eventId }];
}

function textOf(entries: readonly StateEntryJson[]): string {
  if (entries.length === 0) return 'There is no such entry.';
  return table(
    [{ title: 'TYPE' }, { title: 'STATE KEY' }, { title: 'EVENT' }],
    entries.map((entry) => [entry.type, entry.state_key, entry.event_id]),
  );
}
