// `stateroom rooms`: every room, a line each.

import { INTERNAL_VERSION } from '../../event/rules.js';
import type { Command } from 'commander';
import { toHex } from '../../lib/bytes.js';
import type { RoomRow } from '../../store/records.js';
import { examples, globalsOf, withReader } from '../context.js';
import { answer, table } from '../output.js';

/** What is said of a room wherever rooms are listed. */
export interface RoomSummary {
  readonly room_id: string;
  readonly room_version: string;
  readonly events: number;
  readonly state_entries: number;
  /** Forward extremities. */
  readonly extremities: readonly string[];
  readonly root: string;
  readonly partial: boolean;
}

export function summaryOf(room: RoomRow): RoomSummary {
  return {
    room_id: room.roomId,
    room_version: room.version,
    events: room.events,
    state_entries: room.root.count,
    extremities: room.forwardExtremities,
    root: toHex(room.root.hash),
    partial: room.isPartial,
  };
}

export function addRooms(program: Command): void {
  program
    .command('rooms')
    .description('Lists every room, sorted by id.')
    .option('--internal', "the server's own records too: internal rooms")
    .addHelpText(
      'after',
      examples(['rooms', 'a table'], ['rooms --json', 'the same as JSON, with whole roots']),
    )
    .action(async ({ internal = false }: { readonly internal?: boolean }, command: Command) => {
      const globals = globalsOf(command);
      await withReader(globals, async (reader) => {
        const rooms: RoomSummary[] = [];
        for await (const room of reader.rooms()) {
          if (internal || room.version !== INTERNAL_VERSION) rooms.push(summaryOf(room));
        }
        await answer(globals, rooms, () => textOf(rooms));
      });
    });
}

const ROOT_SHOWN_CHARS = 16;

function textOf(rooms: readonly RoomSummary[]): string {
  if (rooms.length === 0) return 'There are no rooms yet; `stateroom import` takes some in.';
  return table(
    [
      { title: 'ROOM' },
      { title: 'VERSION', isNumber: true },
      { title: 'EVENTS', isNumber: true },
      { title: 'STATE', isNumber: true },
      { title: 'EXTREMITIES', isNumber: true },
      { title: 'ROOT' },
      { title: '' },
    ],
    rooms.map((room) => [
      room.room_id,
      room.room_version,
      room.events,
      room.state_entries,
      room.extremities.length,
      `${room.root.slice(0, ROOT_SHOWN_CHARS)}…`,
      room.partial ? 'partial' : ' ',
    ]),
  );
}
