// `stateroom join`: takes a user of a running server into a room, and shows how what is missing of it comes.

import { setTimeout as passed } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AdminClient } from '../../server/admin/client.js';
import type { Joined, ResyncReport } from '../../server/admin/join-methods.js';
import { examples, globalsOf } from '../context.js';
import { answer, counted, note, printable, timeText } from '../output.js';
import { newProgress } from '../progress.js';

interface JoinOptions {
  readonly as: string;
  readonly via?: readonly string[];
  readonly progress?: true;
}

/** How often the server is asked how far it is. */
const POLL_MS = 250;

export function addJoin(program: Command): void {
  program
    .command('join')
    .description(
      'Takes a user of the running server into a room, by other servers where the room is theirs. Their rooms are ' +
        'entered before all their members are known, which are fetched in the background.',
    )
    .argument('<room>', 'room id or alias')
    .requiredOption('--as <user>', 'who joins: alice, or @alice:example.org')
    .option('--via <server...>', 'servers that are in the room')
    .option('--progress', 'wait until all of the room is known, and show how far it is')
    .addHelpText(
      'after',
      examples(
        ["join '#room:example.org' --as alice", 'by the server that the alias names'],
        ["join '!room:example.org' --as alice --via example.org --progress", 'and wait for all members'],
      ),
    )
    .action(async (room: string, options: JoinOptions, command: Command) => {
      const { connectAdmin } = await import('../../server/admin/client.js');
      const globals = globalsOf(command);
      const client = await connectAdmin(globals.data);
      try {
        const params = { room, user_id: options.as, via: options.via ?? [] };
        const joined = await client.call<Joined>('room.join', params);
        const wantsWhole = options.progress === true && joined.partial;
        const events = wantsWhole ? await completed(client, joined.room_id) : undefined;
        const done = events === undefined ? joined : { ...joined, partial: false, events };
        await answer(globals, done, () => joinedText(done));
      } finally {
        client.close();
      }
    });
}

/** Waits until nothing is missing of a room. @returns events of its state and what it rests on */
async function completed(client: AdminClient, roomId: string): Promise<number> {
  const bar = await newProgress('members');
  let needed = 0;
  let told = 0;
  try {
    for (;;) {
      const report = await client.call<ResyncReport | null>('room.progress', { room_id: roomId });
      if (report === null) return needed;
      needed = Math.max(needed, report.needed);
      bar.update(report.known, report.needed);
      if (report.state === 'waiting' && report.attempts > told) {
        told = report.attempts;
        note(waitingText(report));
      }
      await passed(POLL_MS);
    }
  } finally {
    bar.stop();
  }
}

function waitingText({ last_error, next_try_ts }: ResyncReport): string {
  const next = next_try_ts === null ? 'now' : timeText(next_try_ts);
  return `no server gave all of it (${printable(last_error ?? 'nobody answered')}); next try: ${next}`;
}

function joinedText({ room_id, user_id, partial, events }: Joined & { readonly events?: number }): string {
  const rest = partial
    ? '; its members are being fetched (`stateroom room` tells how far that is)'
    : events === undefined
      ? ''
      : `, and all of it is known: ${counted(events, 'event')}`;
  return `${printable(user_id)} is in ${printable(room_id)}${rest}`;
}
