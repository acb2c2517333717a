// `stateroom admin federation` and `stateroom admin rooms`: other servers and the rooms of a running server.

import type { Command } from 'commander';
import type { DestinationSummary } from '../../server/admin/federation-methods.js';
import type { ResyncReport } from '../../server/admin/join-methods.js';
import type { AdminRoom } from '../../server/admin/room-methods.js';
import { askServer } from '../ask-server.js';
import { globalsOf } from '../context.js';
import { answer, counted, printable, table, timeText } from '../output.js';

export function addAdminFederation(admin: Command): void {
  admin
    .command('federation')
    .description(
      'Lists the servers that fail or that something waits for, and rooms that are not all known yet.',
    )
    .option('--retry <server>', 'try a server that fails again now')
    .action(async ({ retry }: { readonly retry?: string }, command: Command) => {
      if (retry !== undefined) {
        const done = await askServer<{ server: string }>(command, 'federation.retry', { server: retry });
        await answer(globalsOf(command), done, () => `${printable(done.server)} is tried again now`);
        return;
      }
      const destinations = await askServer<DestinationSummary[]>(command, 'federation.list');
      const partial = await askServer<ResyncReport[]>(command, 'room.partial');
      await answer(globalsOf(command), destinations, () =>
        [destinationsText(destinations), ...partialTexts(partial)].join('\n\n'),
      );
    });
  admin
    .command('resync')
    .description('Asks other servers now for what is missing of the state of a room.')
    .argument('<room>', 'room id')
    .action(async (room: string, _options: object, command: Command) => {
      const done = await askServer<{ room_id: string }>(command, 'room.resync', { room_id: room });
      await answer(globalsOf(command), done, () => `${printable(done.room_id)} is asked for again now`);
    });
  admin
    .command('rooms')
    .description('Lists the rooms of the server, sorted by id: names, members, other servers.')
    .action(async (_options: object, command: Command) => {
      const rooms = await askServer<AdminRoom[]>(command, 'room.list');
      await answer(globalsOf(command), rooms, () => roomsText(rooms));
    });
}

function destinationsText(destinations: readonly DestinationSummary[]): string {
  if (destinations.length === 0) return 'No server fails, and nothing waits to be sent.';
  return table(
    [
      { title: 'SERVER' },
      { title: 'FAILING SINCE' },
      { title: 'NEXT TRY' },
      { title: 'WAITING', isNumber: true },
      { title: '' },
    ],
    destinations.map((one) => [
      one.server,
      one.failing_since === null ? '' : timeText(one.failing_since),
      one.next_try === null ? '' : timeText(one.next_try),
      one.queued + one.ephemeral + one.to_device,
      [one.behind ? `behind in ${counted(one.missed_rooms, 'room')}` : '', one.last_error ?? '']
        .filter((part) => part !== '')
        .join('; ') || ' ',
    ]),
  );
}

/** Rooms whose state is not all known, where there are any. */
function partialTexts(partial: readonly ResyncReport[]): string[] {
  if (partial.length === 0) return [];
  const rows = table(
    [
      { title: 'INCOMPLETE ROOM' },
      { title: 'SINCE' },
      { title: 'STATE' },
      { title: 'KNOWN', isNumber: true },
      { title: 'OF', isNumber: true },
      { title: 'TRIES', isNumber: true },
      { title: 'NEXT TRY' },
      { title: '' },
    ],
    partial.map((one) => [
      one.room_id,
      timeText(one.since_ts),
      one.server === null ? one.state : `${one.state} (${one.server})`,
      one.known,
      one.needed,
      one.attempts,
      one.next_try_ts === null ? '' : timeText(one.next_try_ts),
      one.last_error ?? ' ',
    ]),
  );
  return [rows];
}

function roomsText(rooms: readonly AdminRoom[]): string {
  if (rooms.length === 0) return 'There are no rooms yet.';
  return table(
    [
      { title: 'ROOM' },
      { title: 'NAME' },
      { title: 'VERSION', isNumber: true },
      { title: 'JOINED', isNumber: true },
      { title: 'HERE', isNumber: true },
      { title: 'SERVERS', isNumber: true },
      { title: 'EVENTS', isNumber: true },
    ],
    rooms.map((room) => [
      room.room_id,
      room.name ?? room.canonical_alias ?? '',
      room.room_version,
      room.joined,
      room.joined_here,
      room.servers,
      room.events,
    ]),
  );
}
