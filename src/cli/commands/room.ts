// `stateroom room`: all that can be said of one room without reading its events.

import type { Command } from 'commander';
import { serverOf, type UserId } from '../../event/ids.js';
import { PARTIAL_ROOM, PARTIAL_TYPE } from '../../core/partial-states.js';
import { isArray, own } from '../../event/json.js';
import { compareCodePoints } from '../../lib/bytes.js';
import { StateroomError } from '../../lib/errors.js';
import type { ResyncReport } from '../../server/admin/join-methods.js';
import type { Reader } from '../../reader/reader.js';
import { HORIZON_QUEUE, type HorizonRow } from '../../room/graph/horizon.js';
import { MEMBERSHIPS, type Membership } from '../../room/state/value.js';
import { askServer } from '../ask-server.js';
import { examples, globalsOf, withReader } from '../context.js';
import { answer, colors, counted, fields, table, timeText } from '../output.js';
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
  /** What is known of a state that is not all known; null where it is. */
  readonly incomplete: IncompleteState | null;
}

/** How a room came to be incomplete, and what a running server says of its completion. */
interface IncompleteState {
  readonly since_ts: number;
  /** Who gave what is known. */
  readonly from: string | null;
  /** Servers in the room then. */
  readonly servers: number;
  /** Null where no server runs. */
  readonly progress: ResyncReport | null;
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
        const incomplete = await incompleteOf(reader, roomId, command);
        const report = { ...(await reportOf(reader, roomId)), incomplete };
        await answer(globals, report, () => textOf(report));
      });
    });
}

async function reportOf(reader: Reader, roomId: string): Promise<Omit<RoomReport, 'incomplete'>> {
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

async function incompleteOf(
  reader: Reader,
  roomId: string,
  command: Command,
): Promise<IncompleteState | null> {
  const records = reader.store.room(PARTIAL_ROOM);
  if (records === undefined) return null;
  for (const { type, eventId } of reader.viewOf(records, records.root).entries()) {
    if (type !== PARTIAL_TYPE) continue;
    const { content } = reader.event(eventId).pdu;
    if (own(content, 'room_id') !== roomId || own(content, 'completed') === true) continue;
    const [from, servers] = [own(content, 'from'), own(content, 'servers')];
    return {
      since_ts: Number(own(content, 'since_ts')),
      from: typeof from === 'string' ? from : null,
      servers: isArray(servers) ? servers.length : 0,
      progress: await progressOf(roomId, command),
    };
  }
  return null;
}

/** What the server that runs on the folder says, where one does. */
async function progressOf(roomId: string, command: Command): Promise<ResyncReport | null> {
  try {
    return await askServer<ResyncReport | null>(command, 'room.progress', { room_id: roomId });
  } catch (error) {
    if (error instanceof StateroomError && error.code === 'SERVER_NOT_RUNNING') return null;
    throw error;
  }
}

async function waitingIn(reader: Reader, roomId: string): Promise<number> {
  let waiting = 0;
  for await (const [, row] of reader.store.queue<HorizonRow>(HORIZON_QUEUE))
    if (row.roomId === roomId) waiting++;
  return waiting;
}

function incompleteFields(incomplete: IncompleteState | null): (readonly [string, string | number])[] {
  if (incomplete === null) return [];
  const { since_ts, from, servers, progress } = incomplete;
  const origin = from === null ? '' : `, as ${from} gave it`;
  const since = [
    'incomplete',
    `since ${timeText(since_ts)}${origin}; ${counted(servers, 'server')} then`,
  ] as const;
  if (progress === null) return [since, ['completion', 'goes on when the server runs']];
  const { state, server, known, needed, attempts, last_error, next_try_ts } = progress;
  const by = server === null ? '' : ` by ${server}`;
  const next = next_try_ts === null ? '' : `, next try ${timeText(next_try_ts)}`;
  const tries = attempts === 1 ? '1 try' : `${attempts} tries`;
  return [
    since,
    ['completion', `${state}${by}: ${known} of ${needed} events, ${tries}${next}`],
    ...(last_error === null ? [] : [['last error', last_error] as const]),
  ];
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
    ...incompleteFields(report.incomplete),
  ]);
  if (report.servers.count === 0) return lines;
  const servers = table(
    [{ title: 'SERVER' }, { title: 'JOINED', isNumber: true }],
    report.servers.top.map(({ server, joined }) => [server, joined]),
  );
  const hidden = report.servers.count - report.servers.top.length;
  return `${lines}\n\n${servers}${hidden > 0 ? colors.dim(`\n… and ${counted(hidden, 'server')} more`) : ''}`;
}
