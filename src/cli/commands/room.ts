// `stateroom room`: all that can be said of one room without reading its events.

import type { Command } from 'commander';
import { serverOf, type UserId } from '../../event/ids.js';
import { compareCodePoints } from '../../lib/bytes.js';
import type { Reader } from '../../reader/reader.js';
import { HORIZON_QUEUE, type HorizonRow } from '../../room/graph/horizon.js';
import { MEMBERSHIPS, type Membership } from '../../room/state/value.js';
import { examples, globalsOf, withReader } from '../context.js';
import { answer, colors, counted, fields, table } from '../output.js';
import { type RoomSummary, summaryOf } from './rooms.js';

/** One server's part of a room. */
interface ServerShare {
  readonly server: string;
  readonly joined: number;
}

interface RoomReport extends RoomSummary {
  readonly create_event: string;
  readonly members: Readonly<Partial<Record<Membership, number>>>;
  /** Servers with joined members: how many, and those with most of them. */
  readonly servers: { readonly count: number; readonly top: readonly ServerShare[] };
  readonly depth: number;
  /** Events that wait for missing ones. */
  readonly horizon: number;
  readonly state_events: number;
  readonly rejected: number;
  readonly soft_failed: number;
  readonly state_resets: number;
}

const SERVERS_SHOWN_MAX = 10;

export function addRoom(program: Command): void {
  program
    .command('room')
    .description('Shows one room: its members by membership, servers, depth, and what waits in its horizon.')
    .argument('<room>', 'room id')
    .addHelpText('after', examples(["room '!room:example.org'", 'what there is to say of a room']))
    .action(async (roomId: string, _options: object, command: Command) => {
      const globals = globalsOf(command);
      await withReader(globals, async (reader) => {
        const report = await reportOf(reader, roomId);
        await answer(globals, report, () => textOf(report));
      });
    });
}

async function reportOf(reader: Reader, roomId: string): Promise<RoomReport> {
  const room = reader.room(roomId);
  const members = new Map<Membership, number>(MEMBERSHIPS.slice(1).map((membership) => [membership, 0]));
  const servers = new Map<string, number>();
  for (const { userId, membership } of reader.currentState(roomId).members()) {
    members.set(membership, (members.get(membership) ?? 0) + 1);
    if (membership !== 'join') continue;
    const server = serverOf(userId as UserId);
    servers.set(server, (servers.get(server) ?? 0) + 1);
  }
  const top = [...servers]
    .sort(([a, x], [b, y]) => y - x || compareCodePoints(a, b))
    .slice(0, SERVERS_SHOWN_MAX);
  return {
    ...summaryOf(room),
    create_event: room.createEventId,
    members: Object.fromEntries(members),
    servers: { count: servers.size, top: top.map(([server, joined]) => ({ server, joined })) },
    depth: room.depth,
    horizon: await waitingIn(reader, roomId),
    state_events: room.stateEvents,
    rejected: room.rejected,
    soft_failed: room.softFailed,
    state_resets: room.stateResets,
  };
}

async function waitingIn(reader: Reader, roomId: string): Promise<number> {
  let waiting = 0;
  for await (const [, row] of reader.store.queue<HorizonRow>(HORIZON_QUEUE))
    if (row.roomId === roomId) waiting++;
  return waiting;
}

function textOf(report: RoomReport): string {
  const members = Object.entries(report.members).filter(([, count]) => count > 0);
  const lines = fields([
    ['room', report.room_id],
    ['version', report.room_version],
    ['create event', report.create_event],
    ['events', `${counted(report.events, 'event')}, ${counted(report.state_events, 'state event')}`],
    ['refused', `${report.rejected} rejected, ${report.soft_failed} soft failed`],
    ['state', `${counted(report.state_entries, 'entry', 'entries')}${report.partial ? ', partial' : ''}`],
    ['root', report.root],
    ['members', members.map(([membership, count]) => `${count} ${membership}`).join(', ') || 'none'],
    ['depth', report.depth],
    ['extremities', report.extremities.join(' ')],
    ['horizon', report.horizon === 0 ? 'nothing waits' : `${counted(report.horizon, 'event')} waiting`],
    ['state resets', report.state_resets],
    ['servers', report.servers.count],
  ]);
  if (report.servers.count === 0) return lines;
  const servers = table(
    [{ title: 'SERVER' }, { title: 'JOINED', isNumber: true }],
    report.servers.top.map(({ server, joined }) => [server, joined]),
  );
  const hidden = report.servers.count - report.servers.top.length;
  return `${lines}\n\n${servers}${hidden > 0 ? colors.dim(`\n… and ${counted(hidden, 'server')} more`) : ''}`;
}
