// The homeserver by real HTTP, in a process of its own with the store on disk: what `/sync` costs by the size of
// a room and the age of a token, how fast messages are sent, what long polls hold.
//
// Everything is a ratio to something else that the same server did in the same run, but for memory.

import { assert } from '../../src/lib/errors.js';
import type { BenchContext } from '../context.js';
import { measure, ratioOf, type Task, timingOf, type Timings } from '../measure.js';
import { type Findings, grouped, type Target } from '../report/report.js';
import { temporaryFolder } from '../stores.js';
import { Connection, requestBytes } from './connection.js';
import { measureIdlePolls } from './idle-polls.js';
import { makeWorld, ServerProcess } from './processes.js';
import { measureSending } from './sending.js';
import type { Inhabitant, World, WorldRequest } from './world.js';

const SERVER = 'bench.example';
const SMALL_ROOM = 300;
const LARGE_ROOM = 30_000;
const VERSIONS = requestBytes('GET', '/_matrix/client/versions');
const LAZY = JSON.stringify({ room: { state: { lazy_load_members: true } } });

export async function measureHomeserver(context: BenchContext): Promise<Findings> {
  const { path: folder, remove } = await temporaryFolder();
  const request: WorldRequest = {
    folder,
    serverName: SERVER,
    smallMembers: SMALL_ROOM,
    largeMembers: context.size(LARGE_ROOM),
    oldEvents: context.isQuick ? 5_000 : 100_000,
    newEvents: 100,
    changedKeys: 10,
    senders: 10,
    idlers: context.isQuick ? 200 : 5_000,
  };
  try {
    context.say(`making rooms of ${grouped(request.largeMembers)} members and fewer for a homeserver`);
    const world = await makeWorld(request);
    const targets: Target[] = [];
    const server = await ServerProcess.start(folder, SERVER);
    context.say('syncing');
    targets.push(...(await syncTargets(context, server, world, request)));
    context.say('sending');
    targets.push(...(await measureSending(context, server, world, request)));
    await server.stop();
    context.say(`waiting ${grouped(request.idlers)} times`);
    const fresh = await ServerProcess.start(folder, SERVER);
    targets.push(...(await measureIdlePolls(fresh, world, context.isQuick)));
    await fresh.stop();
    return {
      series: [],
      targets,
      remarks: [
        'Homeserver: the server is a process of its own, asked by HTTP from this one on the same machine, each ' +
          'write on disk before it is acknowledged. Its rooms came in as joined rooms do.',
      ],
    };
  } finally {
    await remove();
  }
}

async function syncTargets(
  context: BenchContext,
  { address }: ServerProcess,
  world: World,
  request: WorldRequest,
): Promise<Target[]> {
  const connection = await Connection.open(address);
  const { inSmall, inLarge, longGone, justGone } = world;
  const ask = async (bytes: Buffer): Promise<Buffer> => {
    const { status, body } = await connection.ask(bytes);
    assert(status === 200, `a request of the benchmark is answered: ${body.toString('utf8', 0, 500)}`);
    return body;
  };
  const answer = async (bytes: Buffer): Promise<object> =>
    JSON.parse((await ask(bytes)).toString()) as object;
  const from = ({ seq }: { readonly seq: number }) => ({ since: `s${seq}_1.${seq}.0.0` });
  const whole = await answer(sync(inLarge, {}));
  assertMembers(whole, inLarge, request.largeMembers);
  const nothingNew = await stillSince(inSmall, ask);
  // A function that is not declared `async` tinybench calls once more, without waiting, to see what it returns.
  const tasks: Task[] = [
    { name: 'versions', run: async () => ask(VERSIONS) },
    { name: 'nothing new', run: nothingNew },
    { name: 'lazy small', run: async () => ask(sync(inSmall, { filter: LAZY })) },
    { name: 'lazy large', run: async () => ask(sync(inLarge, { filter: LAZY })) },
    { name: 'whole', run: async () => ask(sync(inLarge, {})) },
    { name: 'stringify', run: () => JSON.stringify(whole) },
    { name: 'old', run: async () => ask(sync(longGone, { ...from(longGone), filter: LAZY })) },
    { name: 'recent', run: async () => ask(sync(justGone, { ...from(justGone), filter: LAZY })) },
  ];
  const timings = await measure(tasks, context.effort);
  connection.close();
  const large = grouped(request.largeMembers);
  const old = grouped(request.oldEvents);
  return [
    ratioTarget(timings, `initial lazy /sync, ${large} members against ${SMALL_ROOM}`, 2, [
      'lazy large',
      'lazy small',
    ]),
    ratioTarget(timings, `initial /sync with ${large} members against JSON.stringify`, 5, [
      'whole',
      'stringify',
    ]),
    ratioTarget(timings, '/sync with nothing new against GET /versions', 3, ['nothing new', 'versions']),
    ratioTarget(timings, `/sync since ${old} events ago against ${request.newEvents}`, 3, ['old', 'recent']),
  ];
}

function sync({ token }: Inhabitant, query: Readonly<Record<string, string>>): Buffer {
  const parameters = new URLSearchParams(query).toString();
  return requestBytes('GET', `/_matrix/client/v3/sync?${parameters}`, token);
}

/** Syncs from the token of the answer before, as a client does. */
async function stillSince(
  inhabitant: Inhabitant,
  ask: (bytes: Buffer) => Promise<Buffer>,
): Promise<() => Promise<void>> {
  let since = '';
  const next = async (): Promise<void> => {
    const body = (await ask(sync(inhabitant, since === '' ? {} : { since }))).toString();
    since = /"next_batch":"([^"]+)"/.exec(body)?.[1] ?? '';
  };
  await next();
  return next;
}

/** Are they all in it? Else something else than a full answer would be measured. */
function assertMembers(answer: object, { roomId }: Inhabitant, members: number): void {
  const { rooms } = answer as { rooms?: { join?: Record<string, { state: { events: unknown[] } }> } };
  const count = rooms?.join?.[roomId]?.state.events.length ?? 0;
  assert(count >= members, `a full answer holds ${members} members, not ${count}`);
}

function ratioTarget(
  timings: Timings,
  name: string,
  limit: number,
  [task, other]: readonly [string, string],
): Target {
  const [mine, others] = [timingOf(timings, task), timingOf(timings, other)];
  return {
    name,
    unit: 'ratio',
    bound: 'at most',
    limit,
    reached: ratioOf(timings, task, other),
    remark: `${milliseconds(mine)} against ${milliseconds(others)}`,
  };
}

function milliseconds(microseconds: number): string {
  return `${(microseconds / 1e3).toPrecision(3)} ms`;
}
