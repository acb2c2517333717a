// Joins of a large public room by way of another stateroom, with its members at once and without them first, in turns:
// with both handshakes, the resident's answers over TLS, every signature verified, and all of it on disk.
//
// In the end every joiner must have the resident's state at its join, to the root, or the run fails.

import { join } from 'node:path';
import { loadavg } from 'node:os';
import type { RoomId } from '../../src/event/ids.js';
import { assert } from '../../src/lib/errors.js';
import { generateRoom, type GeneratedRoom } from '../../tools/generate/generate-room.js';
import { RunningServer } from '../../tools/peers/running-server.js';
import { freePort } from '../../tools/peers/wire.js';
import type { BenchContext } from '../context.js';
import { verifyOnAllCores } from '../import-rate.js';
import { median, percentile } from '../measure.js';
import { type Findings, grouped, type Target } from '../report/report.js';
import { type AskedAnswer, askResident } from './join-answer.js';
import { joinOnce, type JoinKind, type JoinTimes } from './joiner.js';
import { importRoom, inFolder, type Resident } from './large-room.js';
import { TestNetwork } from './test-network.js';

const ROUNDS = 3;
const KINDS: readonly JoinKind[] = ['full', 'partial'];

/** A server that joined, and who on it. */
interface Joined {
  readonly folder: string;
  readonly userId: string;
}

/** All joins, and what they are held against. */
interface Joins {
  readonly answer: AskedAnswer;
  /** Of the answer's signatures, in seconds. */
  readonly verified: readonly number[];
  readonly times: Readonly<Record<JoinKind, readonly JoinTimes[]>>;
}

export async function measureJoins(
  context: BenchContext,
  folder: string,
): Promise<Pick<Findings, 'targets' | 'remarks'>> {
  const room = generateRoom(
    context.isQuick ? { members: 300, servers: 60, roomVersion: '10' } : { preset: 'hq' },
  );
  context.say(`importing a room of ${grouped(room.eventCount)} events`);
  const resident = await importRoom(room, join(folder, 'resident'));
  const joined: Joined[] = [];
  const load = [loadavg()[0] ?? 0];
  const joins = await joinInTurns(context, room, resident, folder, joined);
  load.push(loadavg()[0] ?? 0);
  for (const one of joined) await assertSameState(resident, one);
  return {
    targets: context.isQuick ? targetsOf(joins).map(unbound) : targetsOf(joins),
    remarks: [
      'Joins: resident and joining server are processes of their own on the same cores, durability sync; from the ' +
        "request of a client, medians of rounds in turns. The state of every joiner has the resident's root. " +
        `Load average ${load.map((one) => one.toFixed(1)).join(' to ')}.`,
    ],
  };
}

async function joinInTurns(
  context: BenchContext,
  room: GeneratedRoom,
  { serverName, roomId, folder: residentFolder }: Resident,
  folder: string,
  joined: Joined[],
): Promise<Joins> {
  const network = await TestNetwork.make(folder);
  const place = { serverName, port: await freePort() };
  const config = await network.config(serverName, place.port);
  const server = await RunningServer.start({ config, folder: residentFolder });
  try {
    context.say('asking the resident for the room');
    const answer = await askResident(room, roomId, place, network);
    let publicKeys = { ...room.publicKeys, ...answer.publicKeys };
    const verified: number[] = [];
    const times: Record<JoinKind, JoinTimes[]> = { full: [], partial: [] };
    for (let round = 0; round < (context.isQuick ? 1 : ROUNDS); round++) {
      verified.push(await verifyOnAllCores(answer.messages));
      for (const kind of KINDS) {
        context.say(`joining the room, ${kind}, round ${round + 1}`);
        const joiner = join(folder, `joiner-${kind}-${round}`);
        const plan = { kind, roomId, resident: place, network, publicKeys, folder: joiner };
        const done = await joinOnce(plan);
        // They are gone, but their users are in the room from now on.
        publicKeys = { ...publicKeys, ...done.publicKeys };
        times[kind].push(done.times);
        joined.push({ folder: joiner, userId: done.userId });
        context.say(shownTimes(done.times));
      }
    }
    const complaints = server.complaints();
    assert(complaints.length === 0, `the resident has nothing to complain of: ${complaints.join('\n')}`);
    return { answer, verified, times };
  } catch (error) {
    context.say(`the resident: ${server.complaints().join('\n')}`);
    throw error;
  } finally {
    await server.stop();
  }
}

/** The joiner's state is all there, and what it is at the resident after the same join. */
async function assertSameState(
  { folder, roomId }: Resident,
  { folder: joiner, userId }: Joined,
): Promise<void> {
  const room = roomId as RoomId;
  const [joined, before, after] = await inFolder(joiner, async (engine) => {
    assert(!engine.partial.isPartial(room), 'nothing is missing of the room');
    const now = engine.currentState(room);
    const id = now.get('m.room.member', userId);
    assert(id !== undefined, 'who joined is in the room');
    assert(now.root === engine.stateAt(id).root, 'nothing changed the state since the join');
    return [id, engine.stateAt(id, 'before').root, now.root] as const;
  });
  await inFolder(folder, async (engine) => {
    const isSame = before === engine.stateAt(joined, 'before').root && after === engine.stateAt(joined).root;
    assert(isSame, `the state at the join of ${userId} has the root that it has at the resident`);
  });
}

/** A small room is joined as fast either way: its figures are there to be seen. */
function unbound(target: Target): Target {
  return { ...target, bound: 'none', limit: 0 };
}

function targetsOf({ answer, verified, times }: Joins): Target[] {
  const { full, partial } = times;
  const of = (joins: readonly JoinTimes[], figure: (times: JoinTimes) => number): number =>
    median(joins.map(figure));
  const seconds = of(full, ({ answered }) => answered);
  const verifying = median(verified);
  const usable = of(partial, (one) => one.usable);
  const fullUsable = of(full, (one) => one.usable);
  const whole = of(partial, (one) => one.whole);
  const bytes = of(partial, ({ bytesUsable }) => bytesUsable);
  const fullBytes = of(full, ({ bytesUsable }) => bytesUsable);
  const latencies = partial.flatMap(({ latenciesMs }) => latenciesMs);
  const idle = partial.flatMap(({ idleLatenciesMs }) => idleLatenciesMs);
  const against = (ours: number, theirs: number): string =>
    `${ours.toFixed(2)} s against ${theirs.toFixed(2)} s`;
  return [
    {
      name: `full join over HTTPS against verifying ${grouped(answer.messages.length)} signatures`,
      unit: 'ratio',
      bound: 'at most',
      limit: 4,
      reached: seconds / verifying,
      remark: against(seconds, verifying),
    },
    {
      name: 'join without members, to a first sync and a message sent, against the full join',
      unit: 'ratio',
      bound: 'below',
      limit: 0.07,
      reached: usable / fullUsable,
      remark: against(usable, fullUsable),
    },
    {
      name: 'the same in bytes from the resident',
      unit: 'ratio',
      bound: 'below',
      limit: 0.03,
      reached: bytes / fullBytes,
      remark: `${grouped(bytes)} against ${grouped(fullBytes)} bytes`,
    },
    {
      name: 'join without members, to the whole state, against the full join',
      unit: 'ratio',
      bound: 'below',
      limit: 1.3,
      reached: whole / seconds,
      remark: against(whole, seconds),
    },
    {
      name: 'the same in bytes from the resident',
      unit: 'ratio',
      bound: 'none',
      limit: 0,
      reached: of(partial, (one) => one.bytes) / of(full, (one) => one.bytes),
    },
    {
      name: 'a small request to the server while members are fetched, 99th percentile',
      unit: 'us',
      bound: 'below',
      limit: 100e3,
      reached: percentile(latencies, 0.99) * 1e3,
      remark: `at most ${Math.round(percentile(latencies, 1))} ms; when idle ${Math.round(percentile(idle, 0.99))} ms`,
    },
    {
      name: 'peak memory of a server that joins in full',
      unit: 'bytes',
      bound: 'below',
      limit: 600e6,
      reached: Math.max(...full.map(({ rssBytesMax }) => rssBytesMax)),
    },
    {
      name: 'peak memory of a server that fetches the members later',
      unit: 'bytes',
      bound: 'below',
      limit: 600e6,
      reached: Math.max(...partial.map(({ rssBytesMax }) => rssBytesMax)),
    },
    {
      name: "a resident's answer to a full join",
      unit: 'us',
      bound: 'none',
      limit: 0,
      reached: answer.answerMs * 1e3,
      remark: `${(answer.bytes / 1e6).toFixed(1)} MB`,
    },
  ];
}

function shownTimes({
  answered,
  usable,
  whole,
  bytesAnswered,
  bytesUsable,
  bytes,
  latenciesMs,
  rssBytesMax,
}: JoinTimes): string {
  const times = [answered, usable, whole].map((seconds) => `${seconds.toFixed(3)} s`).join(', ');
  const sizes = [bytesAnswered, bytesUsable, bytes].map(grouped).join(', ');
  return (
    `answered, usable, whole: ${times}; bytes ${sizes}; ${Math.round(rssBytesMax / 1e6)} MB; ` +
    `latency p99 ${percentile(latenciesMs, 0.99).toFixed(0)} ms, max ${percentile(latenciesMs, 1).toFixed(0)} ms`
  );
}
