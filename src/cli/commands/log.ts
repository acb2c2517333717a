// `stateroom log`: the history of a key: every event that set it or tried to, in commit order.

import type { Command } from 'commander';
import { JsonNumber, type JsonObject } from '../../event/json.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import { examples, globalsOf, withReader } from '../context.js';
import { answer, colors, printable, timeText } from '../output.js';

export function addLog(program: Command): void {
  program
    .command('log')
    .description(
      'Lists every event that set a key of a room or tried to, with verdicts; the ones in force are marked.',
    )
    .argument('<room>', 'room id')
    .argument('<type>', 'event type')
    .argument('[state_key]', 'state key; without one, all of the type')
    .addHelpText(
      'after',
      examples(
        ["log '!room:example.org' m.room.topic ''", 'every topic the room had, or was refused'],
        ["log '!room:example.org' m.room.member @alice:example.org", "what became of alice's membership"],
      ),
    )
    .action(
      async (
        roomId: string,
        type: string,
        stateKey: string | undefined,
        _options: object,
        command: Command,
      ) => {
        const globals = globalsOf(command);
        await withReader(globals, async (reader) => {
          const current = reader.currentState(roomId);
          const entries: LogEntry[] = [];
          for await (const event of reader.history(roomId, type, stateKey)) {
            const inForce = current.get(type, event.pdu.stateKey ?? '');
            entries.push(entryOf(event, inForce === event.pdu.eventId));
          }
          await answer(globals, entries, () => textOf(entries));
        });
      },
    );
}

function entryOf(event: KnownEvent, isCurrent: boolean) {
  const { pdu } = event;
  return {
    seq: event.seq,
    event_id: pdu.eventId,
    type: pdu.type,
    state_key: pdu.stateKey ?? '',
    sender: pdu.sender,
    origin_server_ts: pdu.originServerTs,
    depth: pdu.depth,
    verdict: event.verdict,
    code: event.code,
    reason: event.reason,
    current: isCurrent,
    content: plainJson(pdu.content),
  };
}

/** Content with numbers that are no safe integers (room versions 1 to 5) as JSON's nearest ones. */
function plainJson(content: JsonObject): unknown {
  const text = JSON.stringify(content, (_key, value: unknown) =>
    value instanceof JsonNumber ? value.value : value,
  );
  return JSON.parse(text);
}

type LogEntry = ReturnType<typeof entryOf>;

const CONTENT_SHOWN_CHARS = 100;

function textOf(entries: readonly LogEntry[]): string {
  if (entries.length === 0) return 'No event ever claimed this.';
  return entries
    .map((entry) => {
      const mark = entry.current ? colors.green('●') : ' ';
      const key = entry.state_key === '' ? '' : `  ${printable(entry.state_key)}`;
      const head = `${mark} ${entry.event_id}${key}  ${colors.dim(`${timeText(entry.origin_server_ts)} ${entry.sender}`)}`;
      const verdict =
        entry.verdict === 'accepted' ? '' : `\n    ${colors.red(entry.verdict)}: ${printable(entry.reason)}`;
      return `${head}${verdict}\n    ${contentText(entry.content)}`;
    })
    .join('\n');
}

function contentText(content: unknown): string {
  const text = printable(JSON.stringify(content));
  return text.length <= CONTENT_SHOWN_CHARS ? text : `${text.slice(0, CONTENT_SHOWN_CHARS)}…`;
}
